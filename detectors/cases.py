"""Windows put before the judge, and the life of a case: opened, revised, closed; its corrections booked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from detectors import features as f
from detectors.baseline import MEMORY_WINDOWS, YOUNG_WINDOWS, Level
from detectors.catalog.composition import EVENTS_MIN, habit
from detectors.catalog.surge import cusum
from detectors.events import METRICS
from detectors.features import crowd_features
from detectors.judge import (
    ARTIFICIAL,
    EXCESS_MIN,
    REVISE_GROWTH,
    SUSPECT,
    Case,
    Evidence,
    Opinion,
    Step,
    close_time,
    correction_id,
    flag_id,
    opinion,
    spread,
)
from detectors.ledger import QUARANTINED, VALID
from detectors.records import Correction, Flag, Interval, Outcome, Reason
from detectors.registry import DETECTOR_SET
from detectors.windows import Crowd, Scale

if TYPE_CHECKING:
    from detectors.audit import Audit
    from detectors.detector import Features
    from detectors.platform import Platform
    from detectors.watched import Watched

TRAIL_MAX = 360
"""Ticks remembered since the onset of a surge (an hour of ten-second ticks)."""

HABIT_FADING = 0.1
"""Weight of a window in the target's own habits (about its last ten windows)."""
HABIT_WINDOWS_MIN = 3
"""Windows after which a target's own habit stands in for the platform's mean."""

EXPECTED_MIN = 0.05
"""Least expectation of a window, in events: keeps ratios finite for targets that were silent."""

TICK_FACTOR = 3.0
"""A tick is worth a look from this many times its expectation on (and EXCESS_MIN events)."""

LEARN_CROWD_BELOW = 2.0
"""Crowd score from which a window in a surge teaches nothing: it may be what we are here to find."""


class Cases:
    """The judge's desk of one audit."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def worth_a_look(self, watched: Watched, count: int, platform: Platform) -> bool:
        """Whether a closed tick must be judged by itself, or can wait for its five minutes."""
        if watched.case is not None:
            return True
        if count < EXCESS_MIN:
            return False
        scales = self._audit.scales
        ratio = scales[0].span_ms / scales[1].span_ms
        level = watched.levels.get("minutes")
        usual = ratio * (level.mean if level is not None else platform.typical.get("minutes", 0.0))
        return watched.cusum > 0.0 or count > TICK_FACTOR * usual

    def look(
        self,
        key: str,
        watched: Watched,
        scale: Scale,
        start: int,
        crowd: Crowd,
        platform: Platform,
        outcome: Outcome,
    ) -> None:
        """Judge a closed window of one key; learn from it if nothing speaks against it."""
        season = platform.season(scale, start)
        x = self._expectation(watched, scale, crowd.n, season, platform)
        surge = crowd_score = 0.0
        detectors = platform.detectors_of(scale)
        view: Opinion | None = None
        measured = crowd.n >= EVENTS_MIN
        if measured:
            x.update(crowd_features(crowd, platform.mixes, platform.known))
            self._add_habits(watched, x)
            surge = detectors["surge"].score_one(x)
            if surge >= 1.0 or watched.case is not None:
                crowd_score = detectors["composition"].score_one(x)
                view = opinion(
                    x,
                    surge,
                    crowd_score,
                    detectors["surge"].findings(x),
                    detectors["composition"].findings(x),
                    watched.case,
                    crowd.quarantined,
                )
        if scale.name == "tick":
            self._follow_onset(watched, start, crowd, x)
        if view is not None and view.verdict is not None:
            self._act(key, watched, scale, start, crowd, x, view, outcome)
        elif scale.name == "tick" and watched.trail:
            watched.trail[-1].quarantined = crowd.quarantined
        suspicious = surge >= 1.0 and crowd_score >= LEARN_CROWD_BELOW
        if scale.name != "tick":
            self._learn(watched, scale, start, crowd, season, platform, x, measured, suspicious)

    # ------------------------------------------------------------ expectation and learning

    def _expectation(
        self, watched: Watched, scale: Scale, count: int, season: float, platform: Platform
    ) -> Features:
        ratio = 1.0
        name = scale.name
        if name == "tick":
            ratio = scale.span_ms / self._audit.scales[1].span_ms
            name = "minutes"
        level = watched.levels.get(name)
        if level is None:
            level = Level()
        mean = level.mean
        if level.windows < YOUNG_WINDOWS:
            mean = max(mean, platform.typical.get(name, 1.0))
        expected = max(EXPECTED_MIN, mean * season * ratio)
        return {f.COUNT: float(count), f.EXPECTED: expected, f.DISPERSION: level.dispersion()}

    def _add_habits(self, watched: Watched, x: Features) -> None:
        for name, (mean, windows) in watched.habits.items():
            if windows >= HABIT_WINDOWS_MIN:
                x[habit(name)] = mean

    def _learn(
        self,
        watched: Watched,
        scale: Scale,
        start: int,
        crowd: Crowd,
        season: float,
        platform: Platform,
        x: Features,
        measured: bool,
        suspicious: bool,
    ) -> None:
        """A window that a case holds, or may come to hold, teaches at most what is left of it."""
        level = watched.levels.get(scale.name)
        if level is None:
            level = watched.levels[scale.name] = Level()
        honest = crowd.n - crowd.quarantined
        if suspicious:
            honest = min(honest, math.ceil(x[f.EXPECTED]))
        level.learn(scale, start, max(0, honest), season)
        if crowd.quarantined or suspicious or watched.case is not None:
            return
        platform.changed = True
        platform.learn_typical(scale, crowd.n)
        if not measured:
            if scale.name == "minutes":
                self._learn_mixes(crowd, platform)
            return
        for detector in platform.detectors_of(scale).values():
            detector.learn_one(x)
        if scale.name == "minutes":
            self._learn_mixes(crowd, platform)
        for name in f.CROWD_FEATURES:
            if name in x:
                own = watched.habits.get(name)
                if own is None:
                    watched.habits[name] = [x[name], 1]
                else:
                    own[1] += 1
                    own[0] += (x[name] - own[0]) * max(HABIT_FADING, 1.0 / own[1])

    def _learn_mixes(self, crowd: Crowd, platform: Platform) -> None:
        for name, mix in platform.mixes.items():
            counts: dict[int, int] = getattr(crowd, name)
            if counts:
                mix.learn(counts)

    def _follow_onset(self, watched: Watched, start: int, crowd: Crowd, x: Features) -> None:
        span = self._audit.scales[0].span_ms
        idle = (start - watched.cusum_at) // span - 1 if watched.cusum_at >= 0 else 0
        watched.cusum = cusum(watched.cusum, idle, x)
        watched.cusum_at = start
        if watched.cusum <= 0.0:
            watched.trail = []
            return
        watched.trail.append(Step(start, crowd.n, x[f.EXPECTED], crowd.quarantined, crowd.log_from))
        if len(watched.trail) > TRAIL_MAX:
            del watched.trail[0]

    # ------------------------------------------------------------ the case

    def _act(
        self,
        key: str,
        watched: Watched,
        scale: Scale,
        start: int,
        crowd: Crowd,
        x: Features,
        view: Opinion,
        outcome: Outcome,
    ) -> None:
        end = start + scale.span_ms
        case = watched.case
        opened = case is None
        excess = x[f.COUNT] - x[f.EXPECTED]
        if case is None:
            case = self._open(key, watched, scale, start, view)
        previous = case.verdict
        if view.verdict == ARTIFICIAL:
            case.verdict = ARTIFICIAL
        if excess > 0:
            case.purity = max(case.purity, min(1.0, view.artificial / excess))
        if view.crowd >= case.crowd or not case.reasons:
            case.reasons = [
                Evidence(g.code, g.detector, g.value, g.baseline, g.p, g.text) for g in view.findings
            ]
            case.reason = next((g.code for g in view.findings if g.detector != "surge"), "surge")
        case.surge, case.crowd = max(case.surge, view.surge), max(case.crowd, view.crowd)
        case.until = max(case.until, end)
        case.log_to = max(case.log_to, crowd.log_to)
        half = spread(x[f.EXPECTED], x[f.DISPERSION])
        if opened and scale.name == "tick":
            for step in watched.trail[:-1]:
                self._quarantine_step(key, watched, case, step, outcome)
        fresh = max(0, round(view.artificial) - crowd.quarantined)
        moved = self._move(key, watched, case, fresh, start, end, outcome)
        crowd.quarantined += moved
        if scale.name == "tick" and watched.trail:
            watched.trail[-1].quarantined = crowd.quarantined
        if scale.name == "tick" or opened:
            case.observed += crowd.n
            case.expected += x[f.EXPECTED]
            case.low += max(0.0, x[f.EXPECTED] - half)
            case.high += x[f.EXPECTED] + half
        if moved:
            width = moved / max(1.0, view.artificial)
            case.artificial_low += view.low * width
            case.artificial_high += view.high * width
        close_at = close_time(case.until, scale.span_ms)
        if close_at > case.close_at:
            case.close_at = close_at
            self._audit.schedule_case(close_at, key)
        if opened or case.verdict != previous or case.artificial > REVISE_GROWTH * case.said:
            self._say(key, case, "opened" if opened else "updated", outcome)

    def _open(self, key: str, watched: Watched, scale: Scale, start: int, view: Opinion) -> Case:
        onset = start
        log_from = watched.open["minutes"].log_from if "minutes" in watched.open else -1
        if scale.name == "tick" and watched.trail:
            onset = watched.trail[0].start
            log_from = watched.trail[0].log_from
        metric = METRICS[int(key[0])]
        case = Case(
            flag_id=flag_id(key[1:], metric, DETECTOR_SET, onset),
            onset=onset,
            until=onset,
            close_at=0,
            verdict=view.verdict or SUSPECT,
            reason="surge",
            purity=0.0,
            log_from=log_from,
        )
        watched.case = case
        return case

    def _quarantine_step(self, key: str, watched: Watched, case: Case, step: Step, outcome: Outcome) -> None:
        """Take back the artificial part of a tick that passed before the case was opened."""
        excess = step.count - step.expected
        case.observed += step.count
        case.expected += step.expected
        case.low += max(0.0, step.expected - spread(step.expected, 1.0))
        case.high += step.expected + spread(step.expected, 1.0)
        if excess <= 0:
            return
        end = step.start + self._audit.scales[0].span_ms
        fresh = max(0, round(case.purity * excess) - step.quarantined)
        moved = self._move(key, watched, case, fresh, step.start, end, outcome)
        step.quarantined += moved
        case.artificial_low += 0.9 * moved
        case.artificial_high += 1.1 * moved
        for scale in self._audit.scales[1:]:
            window = watched.open.get(scale.name)
            if window is not None and scale.start(step.start) == scale.start(case.until - 1):
                window.quarantined += moved
                return

    def _move(
        self, key: str, watched: Watched, case: Case, count: int, start: int, end: int, outcome: Outcome
    ) -> int:
        moved = watched.ledger.move(VALID, QUARANTINED, count)
        if moved:
            case.artificial += moved
            self._book(key, case, VALID, QUARANTINED, moved, start, end, outcome)
        return moved

    def _book(
        self, key: str, case: Case, source: str, to: str, count: int, start: int, end: int, outcome: Outcome
    ) -> None:
        case.corrections += 1
        outcome.corrections.append(
            Correction(
                correction_id=correction_id(case.flag_id, case.corrections),
                target=key[1:],
                metric=METRICS[int(key[0])],
                from_=source,
                to=to,
                count=count,
                reason=case.reason,
                flag_id=case.flag_id,
                window={"start": start, "end": end},
            )
        )
        self._audit.changed(key, end)

    def expire(self, key: str, now: int, outcome: Outcome) -> None:
        """Close a key's case if its time has come: what it holds becomes invalid, or is given back."""
        watched = self._audit.watches.change(key)
        case = watched.case
        if case is None or case.close_at > now:
            return
        if case.artificial:
            to = case.reason if case.verdict == ARTIFICIAL else VALID
            moved = watched.ledger.move(QUARANTINED, to, case.artificial)
            if moved:
                self._book(key, case, QUARANTINED, to, moved, case.onset, case.until, outcome)
        self._say(key, case, "closed", outcome)
        watched.case = None
        watched.trail = []
        watched.cusum = 0.0

    def _say(self, key: str, case: Case, status: str, outcome: Outcome) -> None:
        case.revision += 1
        case.said = case.artificial
        low = min(case.artificial, round(case.artificial_low))
        high = max(case.artificial, round(case.artificial_high))
        log = {"partition": self._audit.settings.partition, "from": case.log_from, "to": case.log_to}
        outcome.flags.append(
            Flag(
                flag_id=case.flag_id,
                revision=case.revision,
                status=status,
                target=key[1:],
                metric=METRICS[int(key[0])],
                verdict=case.verdict,
                score=case.score(),
                onset=case.onset,
                until=case.until,
                observed=case.observed,
                expected=Interval(round(case.expected), round(case.low), round(case.high)),
                artificial=Interval(case.artificial, low, high),
                reasons=[Reason(e.code, e.detector, e.value, e.baseline, e.p, e.text) for e in case.reasons],
                config=self._audit.settings.config,
                log=log,
            )
        )


assert MEMORY_WINDOWS.keys() == {"minutes", "hour", "day"}, "every scale above the tick keeps a level"
