"""Explained surges: their crowd is the platform's own, or a promotion was announced.

They are published as flags with the verdict *explained*, so that an analyst who sees the surge finds its cause. They
move no events. Only a strong surge within five minutes opens one. While it goes on, the same flag is revised. It closes
after two windows without a surge. A window with a verdict is never explained: evidence about people *and* behaviour
convicts in spite of any promotion. Explanations do not change what is learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from detectors.cases.closing_time import close_time
from detectors.cases.expected import expect, expected_of
from detectors.cases.flags import Flags
from detectors.cases.ids import explained_id
from detectors.cases.statuses import CLOSED, OPENED, UPDATED
from detectors.catalog.registry import DETECTOR_SET, SURGE
from detectors.catalog.surge import SURGE_CODE
from detectors.events.key import Key, metric_name_of, metric_of, target_of
from detectors.features import names as f
from detectors.measurement.expectation import interval_of
from detectors.measurement.window_view import WindowView
from detectors.records import Interval, Outcome
from detectors.state.case import EXPLAINED, Evidence, Explained
from detectors.state.course import Point, put
from detectors.state.target_state import TargetState
from detectors.thresholds import SURGE_SCORE, Thresholds
from detectors.verdict.evidence import WITNESS_SCORE
from detectors.verdict.opinion import Opinion
from detectors.windows.scales import MINUTES

STRONG_SCORE = 6.0
STRONG_FACTOR = 3.0
STRONG_EXCESS = 50
"""A surge is strong if it is as rare as one window in a million, three times the expectation and 50 events beyond it.
Smaller ones are common, and explaining each would bury the flags. It goes on while there is any surge."""

EXPLAINED_PEOPLE_MIN = 30
"""Least number of different people for "the platform's own crowd"."""

HISTORY_WINDOWS = 12
"""Windows that the target must have had: the usual count of a new one is not known."""

EXPLAINED_REVISE_GROWTH = 2.0
"""An explained flag is revised when its events have doubled."""

OWN_CROWD, PROMOTION = "own_crowd", "promotion"
CODES = (OWN_CROWD, PROMOTION)

JUDGE = "judge"
"""Stands in for a detector in the reasons of an explained surge."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """An announced promotion of a target, in epoch ms; of all metrics if ``metric`` is None."""

    name: str
    target: str
    from_ms: int
    until_ms: int
    metric: int | None = None
    factor: float | None = None
    """announced multiple of the usual count"""

    def covers(self, key: Key, start_ms: int, end_ms: int) -> bool:
        """Whether a window of a key overlaps the promotion."""
        return (
            self.target == target_of(key)
            and self.metric in (None, metric_of(key))
            and start_ms < self.until_ms
            and end_ms > self.from_ms
        )


class Explanations:
    """The explained surges of one partition."""

    def __init__(
        self,
        schedule: Callable[[int, Key], None],
        *,
        enabled: bool,
        promotions: tuple[Promotion, ...],
        flags: Flags,
    ) -> None:
        """``schedule`` is called with the time at which a key's surge may close."""
        self._schedule = schedule
        self._enabled = enabled
        self._promotions: dict[str, list[Promotion]] = {}
        for promotion in promotions:
            self._promotions.setdefault(promotion.target, []).append(promotion)
        self._flags = flags

    def consider(self, window: WindowView, view: Opinion, limits: Thresholds) -> None:
        """Open or continue the explanation of a window of minutes that has no verdict."""
        if not self._enabled or window.scale.name != MINUTES or view.surge < SURGE_SCORE:
            return
        explained = window.target_state.explained
        promotion = self.promotion(window)
        odd = limits.suspect_score if promotion is not None else WITNESS_SCORE
        if view.crowd >= odd or window.x.get(f.PEOPLE, 0.0) < EXPLAINED_PEOPLE_MIN:
            return
        if promotion is None and window.x.get(f.NAMED, 1.0) < f.GIVEN_SHARE:
            return  # most of the crowd has no actor, so it cannot be compared with the platform's
        if explained is None:
            if window.target_state.case is not None or not self._strong(window, view):
                return
            ident = explained_id(target_of(window.key), metric_name_of(window.key), DETECTOR_SET, window.start)
            explained = Explained(ident, window.start, window.until, 0, log_from=window.crowd.log_from)
            window.target_state.explained = explained
        self._add(explained, window, view, promotion)
        close_at = close_time(explained.until, window.scale.span_ms)
        if close_at > explained.close_at:
            explained.close_at = close_at
            self._schedule(close_at, window.key)
        if (
            explained.revision == 0
            or explained.observed + explained.current[1] > EXPLAINED_REVISE_GROWTH * explained.flagged_observed
        ):
            self._emit_flag(window.key, explained, UPDATED if explained.revision else OPENED, window.outcome)

    def expire(self, key: Key, state: TargetState, now: int, outcome: Outcome) -> None:
        """Close a key's explained surge if its time has come."""
        explained = state.explained
        if explained is None or explained.close_at > now:
            return
        self._emit_flag(key, explained, CLOSED, outcome)
        state.explained = None

    def end(self, window: WindowView) -> None:
        """Close the explained surge of a target that now has a verdict."""
        explained = window.target_state.explained
        if explained is not None:
            self._emit_flag(window.key, explained, CLOSED, window.outcome)
            window.target_state.explained = None

    def _strong(self, window: WindowView, view: Opinion) -> bool:
        count, expected = window.x[f.COUNT], window.x[f.EXPECTED]
        level = window.target_state.levels.get(window.scale.name)
        return (
            level is not None
            and level.windows >= HISTORY_WINDOWS
            and view.surge >= STRONG_SCORE
            and count >= STRONG_FACTOR * expected
            and count - expected >= STRONG_EXCESS
        )

    def promotion(self, window: WindowView) -> Promotion | None:
        """The promotion announced for the time of a window, if there is one."""
        promotions = self._promotions.get(target_of(window.key), ())
        return next((one for one in promotions if one.covers(window.key, window.start, window.until)), None)

    @staticmethod
    def _add(explained: Explained, window: WindowView, view: Opinion, promotion: Promotion | None) -> None:
        x = window.x
        start, observed, *amounts = explained.current
        if start not in (-1, window.start):
            explained.observed += observed
            expect(explained, Interval(*amounts))
        expected = x[f.EXPECTED]
        interval = interval_of(expected, x[f.DISPERSION])
        explained.current = (window.start, window.crowd.n, interval.value, interval.low, interval.high)
        explained.until = max(explained.until, window.until)
        explained.log_to = max(explained.log_to, window.crowd.log_to)
        put(explained.series, Point(window.start, window.scale.span_ms, window.crowd.n, expected))
        if view.surge >= explained.surge:
            explained.surge = view.surge
            text = f"{window.crowd.n:,} events where {expected:,.0f} are usual"
            surge = Evidence(SURGE_CODE, SURGE, float(window.crowd.n), expected, 10.0**-view.surge, text)
            why = _own_crowd(window, view) if promotion is None else _promoted(promotion, window)
            explained.reasons = [surge, why]

    def _emit_flag(self, key: Key, explained: Explained, status: str, outcome: Outcome) -> None:
        _, observed, *amounts = explained.current
        explained.flagged_observed = explained.observed + observed
        self._flags.emit(
            key,
            explained,
            status,
            outcome,
            verdict=EXPLAINED,
            score=0,
            observed=explained.flagged_observed,
            expected=(expected_of(explained) + Interval(*amounts)).rounded(),
            artificial=Interval(0, 0, 0),
        )


def _own_crowd(window: WindowView, view: Opinion) -> Evidence:
    people = window.x[f.PEOPLE]
    p = 10.0**-view.crowd
    text = f"the crowd is the platform's own: {people:,.0f} people, and nothing in who came and how is rare"
    return Evidence(OWN_CROWD, JUDGE, people, 0.0, p, text)


def _promoted(promotion: Promotion, window: WindowView) -> Evidence:
    times = window.x[f.COUNT] / window.x[f.EXPECTED]
    announced = promotion.factor
    text = (
        f"{promotion.name!r} was announced for it until {_clock(promotion.until_ms)}; {times:,.1f} times the usual came"
    )
    if announced is not None:
        beyond = "more than" if times > announced else "within"
        text += f", {beyond} the {announced:g} times announced"
    return Evidence(PROMOTION, JUDGE, times, announced or 0.0, 1.0, text)


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(math.floor(ms / 1000), UTC).strftime("%Y-%m-%d %H:%M UTC")
