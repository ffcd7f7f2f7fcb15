"""One window under judgement: expected count, features, and learning from it afterwards."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

from detectors.actors.rulings import Rulings
from detectors.events.key import Key, is_view, metric_of
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.features.crowd import crowd_features, evenness
from detectors.features.interaction import lonely, silent, with_accounts
from detectors.features.names import Features
from detectors.features.referrers import unusual_referrers
from detectors.measurement.expectation import EXPECTED_MIN, usual_count
from detectors.platform.platform import EVERYTHING, RUNGS, Platform, Teaching
from detectors.records import Outcome
from detectors.reference.ended_views import EndedViews
from detectors.reference.mixes import Mix, WatchMix
from detectors.reference.rates import VIEWED_BEFORE, Rates
from detectors.scoring.sentences import habit, usual
from detectors.state.level import Level
from detectors.state.target_state import TargetState
from detectors.thresholds import SURGE_LEAST
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS, HOUR, HOUR_MS, MINUTES, MINUTES_MS, TICK, TICK_SECONDS, Scale

HABIT_FADING = 0.1
"""Weight of a window in the target's own habits (about its last ten windows)."""
HABIT_WINDOWS = 10
"""Number of first windows that are always measured for the target's habits, however many targets there are."""
HABIT_WINDOWS_MIN = 3
"""Windows after which a target's own habit replaces the platform's mean."""

FIRST_SEEN_MS = TICK_SECONDS * 1000
"""Assumed age of a surge when it is first judged: one tick of the default length, whatever length is configured."""

OFTEN = 2.0
"""Views per person from which on most views are not a person's last."""

VIEWED_MS = 3 * HOUR_MS
"""Time since a target's first view after which likes by people who did not view it may count as evidence."""


@dataclass(slots=True)
class WindowView:
    """One window of one key, closed or open. ``ratio`` is its span divided by its level's window span."""

    key: Key
    target_state: TargetState
    scale: Scale
    start: int
    crowd: Crowd
    platform: Platform
    """model of the windows of the key's metric"""
    reference: Platform
    """model of the platform's people: that of views, once it has enough history"""
    outcome: Outcome
    ratio: float = 1.0
    early_at_ms: int = -1
    """event time of a judging before the window's end, -1 if the window is closed"""
    teaches: Teaching = EVERYTHING
    """what the platform model may learn from the window"""
    parts: int = 0
    """windows of the next shorter scale in it, 0 if evenness is not measured"""
    views_days: int = 0
    """closed days in the history of the target's views"""
    windows_since_first_view: int = 0
    """for likes and follows: windows of this scale since the target's first view, 0 if it was never viewed"""
    other_counts: tuple[int, int, int] | None = None
    """views, likes and follows of the target around the window, None if not computed"""
    viewer_events: float = 0.0
    """for likes and follows: events by people who viewed the target around the window"""
    all_views_emitted: bool = False
    """for closed likes: whether every view that started in that time has been emitted"""
    rates: Rates | None = None
    rulings: Rulings | None = None
    """recorded rulings on actors, None if they are not used"""
    x: Features = field(default_factory=dict)
    _mixes: dict[str, Mix] | None = None

    @property
    def end(self) -> int:
        """End of the window in epoch ms."""
        return self.start + self.scale.span_ms

    @property
    def early(self) -> bool:
        """Whether the window is still open."""
        return self.early_at_ms >= 0

    @property
    def ends(self) -> bool:
        """Whether this is a closed window of five minutes or longer."""
        return self.early_at_ms < 0 and self.scale.name != TICK

    @property
    def span_ms(self) -> int:
        """Length of time that this judging covers, in ms: one part of an open window, all of a closed one."""
        return self.scale.span_ms // max(1, self.parts) if self.early else self.scale.span_ms

    @property
    def until(self) -> int:
        """End of the time in which the window's events have been seen, in epoch ms."""
        return self.early_at_ms if self.early else self.end

    def note_surge(self, surge: float) -> None:
        """Record a surge in the target's state. Adjacent windows that surge extend the same surge."""
        if surge < SURGE_LEAST or self.scale.span_ms > HOUR_MS:
            return
        since, until = self.target_state.surging
        continues = self.start // MINUTES_MS * MINUTES_MS <= until
        self.target_state.surging = since if continues else self.until - FIRST_SEEN_MS, max(until, self.until)

    def age_ms(self) -> int | None:
        """Age of the surge that this window belongs to, None without a surge."""
        since, until = self.target_state.surging
        return self.until - since if until > self.start else None

    def mixes(self) -> dict[str, Mix]:
        """The platform's mixes to compare this window with.

        If views are emitted when playback ends, a young surge contains only people who left early. Then watch times
        are compared with the views that could have ended by now. People who view OFTEN need no such correction: all
        their views but the last have ended.
        """
        if self._mixes is None:
            self._mixes, age_ms = self.reference.mixes, self.age_ms()
            again = self.crowd.named >= OFTEN * self.crowd.distinct_actors()
            if is_view(self.key) and age_ms is not None and not again and not self.platform.rates.emitted_at_start():
                whole = cast("WatchMix", self._mixes[f.WATCH])
                self._mixes = {**self._mixes, f.WATCH: EndedViews.of(whole, age_ms, self.until - self.start)}
        return self._mixes

    def is_closed_day(self) -> bool:
        """Whether this is a closed window of a day."""
        return self.scale.span_ms >= DAY_MS and not self.early

    def habits_unknown(self) -> bool:
        """Whether the target has fewer than HABIT_WINDOWS windows of habits at this scale."""
        habits = self.target_state.habits.get(RUNGS[self.scale.name])
        return habits is None or habits.get(f.REPEATS, (0.0, 0))[1] < HABIT_WINDOWS

    def expect(self) -> None:
        """Set count, expected count and dispersion. A tick has no level: it is expected its part of five minutes."""
        name = MINUTES if self.scale.name == TICK else self.scale.name
        mean, dispersion = usual_count(
            self.target_state, name, self.platform, windows_since_first_view=self.windows_since_first_view
        )
        season = self.platform.season(self.scale, self.start)
        self.x[f.COUNT] = float(self.crowd.n)
        if self.crowd.nobody:
            self.x[f.NAMED] = self.crowd.named / self.crowd.n
        self.x[f.EXPECTED] = max(EXPECTED_MIN, mean * season * self.ratio)
        self.x[f.DISPERSION] = dispersion

    def measure(self) -> None:
        """Set the features of the crowd and the target's habits."""
        known = (self.platform.known, self.reference.known)
        self.x.update(crowd_features(self.crowd, self.mixes(), known))
        self.x[f.ONCE] = float(not is_view(self.key))
        if is_view(self.key):
            share = unusual_referrers(self.crowd, self.reference.mixes[f.REFERRER], self.reference.usual(f.NO_REFERRER))
            if share is not None:
                self.x[f.UNUSUAL_REFERRERS] = share
        if self.parts and not self.early:
            even = evenness(self.crowd, self.parts)
            if even is not None:
                self.x[f.EVEN], self.x[f.PARTS] = even, float(self.parts)
        if self.rulings and f.STRANGERS in self.x:
            self.x[f.RULED] = self.rulings.share(self.crowd.actors, self.key)
        self._interaction()
        for name in (f.FRESH, f.DORMANT):
            share = self.reference.usual(name)
            if share is not None:
                self.x[usual(name)] = share
        for name, (mean, windows) in self.target_state.habits.get(RUNGS[self.scale.name], {}).items():
            if windows >= HABIT_WINDOWS_MIN:
                self.x[habit(name)] = mean

    def _interaction(self) -> None:
        if self.rates is None or self.other_counts is None:
            return
        rates = self.rates.per_person(self.scale.name)
        if rates is None:
            return
        views, likes, follows = self.other_counts
        if not is_view(self.key):
            metric = metric_of(self.key)
            without_views = self._usual_without_views(metric, self.rates)
            if without_views is not None and self.crowd.named:
                self.x[f.LONELY] = lonely(self.crowd.named, views, rates[metric - 1], self.viewer_events)
                self.x[usual(f.LONELY)] = without_views
            first = self.rates.viewed_first(self.scale.name, metric, least=VIEWED_BEFORE)
            if (
                first is not None
                and self.all_views_emitted
                and self.windows_since_first_view * self.scale.span_ms >= VIEWED_MS
            ):
                self.x[f.VIEWED_FIRST] = first
        elif self.parts:
            people = with_accounts(self.crowd, self.reference.knows_accounts())
            missing = silent(people, likes + follows, sum(rates))
            if missing is not None:
                self.x[f.SILENT], self.x[f.INTERACTIONS] = missing, people * sum(rates)

    def _usual_without_views(self, metric: int, rates: Rates) -> float | None:
        """Usual share of likes or follows without a view so far, None while it cannot be known.

        If views are emitted when playback ends, it is known for a closed day. It is known for a closed hour too if the
        surge is at least half an hour old, or if there is no surge.
        """
        without_views, age_ms = rates.usually_lonely(metric), self.age_ms()
        if self.is_closed_day() or without_views is None:
            return without_views
        closed_hour = self.scale.span_ms >= HOUR_MS and not self.early
        if not rates.emitted_at_start() and not (closed_hour and (age_ms is None or age_ms >= HOUR_MS // 2)):
            return None
        first = rates.viewed_first(HOUR if closed_hour else MINUTES, metric)
        return None if first is None else max(without_views, 1.0 - first)

    def learn(self, *, measured: bool, suspicious: bool) -> None:
        """Learn from the window. Quarantined events are excluded; a suspicious window counts at most as expected.

        An exception ends only the learning. The verdict remains valid.
        """
        try:
            self._learn(measured=measured, suspicious=suspicious)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # any failure is limited to learning from this window
            self.platform.changed = True
            self.fail("learning", error)

    def _learn(self, *, measured: bool, suspicious: bool) -> None:
        state, crowd, platform, scale = self.target_state, self.crowd, self.platform, self.scale
        level = state.levels.get(scale.name)
        if level is None:
            level = state.levels[scale.name] = Level()
        honest = crowd.n - crowd.quarantined
        if suspicious:
            honest = min(honest, math.ceil(self.x[f.EXPECTED]))
        level.learn(scale, self.start, max(0, honest), platform.season(scale, self.start))
        if crowd.quarantined or suspicious or state.case is not None:
            return
        platform.changed = True
        platform.learn_typical(scale, crowd.n)
        if measured:
            if self.teaches.crowd:
                for detector in platform.detectors_of(scale).values():
                    try:
                        detector.learn_one(self.x)
                    except UNCONTAINED:
                        raise
                    except Exception as error:  # noqa: BLE001  # the other detectors still learn
                        self.fail("learning", error)
            self._learn_habits()
        if scale.name == MINUTES and self.teaches.mix:
            platform.learn_mixes(crowd)

    def fail(self, part: str, error: Exception) -> None:
        """Record a failed part; the window's verdict remains valid. See ``Outcome.fail``."""
        self.outcome.fail(part, self.key, self.start, 0, error)

    def _learn_habits(self) -> None:
        habits = self.target_state.habits.setdefault(RUNGS[self.scale.name], {})
        for name in f.CROWD_FEATURES:
            if name in self.x:
                own = habits.get(name)
                if own is None:
                    habits[name] = [self.x[name], 1]
                else:
                    own[1] += 1
                    own[0] += (self.x[name] - own[0]) * max(HABIT_FADING, 1.0 / own[1])
