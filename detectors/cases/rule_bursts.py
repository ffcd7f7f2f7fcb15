"""Rule bursts: a rule removes unusually many events of one target.

They are published as flags with the verdict *rule*, so that readers of flags learn of it. The events were never valid,
so no correction belongs to it. A rule burst changes neither a case of the same target nor what detection learns.

Unusual is a matter of shares. A hit brings its usual share of robots and double clicks, and a producer that sends its
records again makes duplicates on all targets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import msgspec

from detectors.cases.closing_time import close_time
from detectors.cases.flags import Flags
from detectors.cases.ids import rule_burst_id
from detectors.cases.statuses import CLOSED, OPENED, UPDATED
from detectors.events.key import Key, metric_name_of, metric_of, target_of
from detectors.failures import UNCONTAINED
from detectors.intake.rules import reasons as rules
from detectors.intake.ticks import Tick
from detectors.measurement.expectation import interval_of
from detectors.platform.rule_shares import RuleShares
from detectors.records import Interval, Outcome
from detectors.scoring.tails import geometric_tail
from detectors.state.case import SCORE_MAX, Evidence, score_of_surprise
from detectors.state.course import Point, put
from detectors.state.ledger import DUPLICATE_ID
from detectors.state.removals import RULE, Habit, Removals, Removed, RuleBurst, Run
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTES, MINUTES_MS

BURST_EXCESS = 100
BURST_FACTOR = 3.0
BURST_SHARE = 0.1
"""A rule burst opens with 100 removed events beyond the usual number, three times this number, and a tenth of the
target's events: all within an hour. A smaller share matters to nobody, and differs honestly between targets."""

SPAN_MIN = 8
"""Least number of removed events in five minutes that makes a rule burst go on: about a hundred in an hour."""

REVISE_GROWTH = 2.0
"""The flag is revised when its events have doubled."""

USUAL_AFTER_MS = DAY_MS
"""What a rule has removed for a day is usual for the target from then on."""

HABIT_HALF_LIFE_MS = 7 * DAY_MS
HABIT_PRIOR = 300.0
"""Events of the platform's share in the share of a target: few events of its own say little."""

SPREAD = 1.0
"""Dispersion of usual numbers, as ``geometric_tail`` assumes it."""

DETECTOR = "rules"
"""Stands in for a detector in the reasons of a rule burst."""

WHAT: dict[str, str] = {
    DUPLICATE_ID: "events with an id that came before",
    rules.LISTED_NETWORK: "events from listed networks",
    rules.LISTED_AGENT: "events of listed user agents",
    rules.DECLARED_ROBOT: "events of declared robots",
    rules.ALREADY_COUNTED: "likes or follows by actors who have one already",
    rules.DOUBLE_CLICK: "double clicks",
    rules.RATE: "events beyond what one person does in a minute",
    rules.RATE_DAY: "events beyond what one person does in a day",
    rules.AUTOMATED_ACTOR: "events of actors that programs drive",
    rules.AUTOMATED_REPLAY: "views of accounts that replay this target by a program",
}
"""Reason code → what was removed, in words."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Removals | None, RuleBurst | None]).decode


class RuleBursts:
    """The rule bursts of one partition. ``shares`` has what is usual, by metric."""

    def __init__(
        self,
        target_states: TargetStates,
        schedule: Callable[[int, Key], None],
        flags: Flags,
        shares: Sequence[RuleShares],
    ) -> None:
        """``schedule`` is called with the time at which a key's rule burst may close."""
        self._target_states = target_states
        self._schedule = schedule
        self._flags = flags
        self._shares = shares

    def settle(self, tick: Tick, start: int, end: int, outcome: Outcome) -> None:
        """Consider what rules have removed of a closed tick, after all its events were entered."""
        if not tick.rejected:  # as most ticks with few events
            for shares, entered in zip(self._shares, tick.entered, strict=True):
                if entered:
                    shares.note(start, entered, {})
            return
        removed: list[dict[str, float]] = [{} for _ in self._shares]
        by_key: dict[Key, dict[str, int]] = {}
        for (key, reason), count in sorted(tick.rejected.items()):
            by_key.setdefault(key, {})[reason] = count
            of_metric = removed[metric_of(key)]
            of_metric[reason] = of_metric.get(reason, 0.0) + count
        for shares, entered, of_metric in zip(self._shares, tick.entered, removed, strict=True):
            events = entered + int(sum(of_metric.values())) if of_metric else entered
            if events:
                shares.note(start, events, of_metric)
        for key, counts in by_key.items():
            state = self._target_states.change(key)
            saved, flags = _encode((state.removals, state.rule_burst)), len(outcome.flags)
            try:
                self._consider(key, state, counts, (start, end, tick.log_from, tick.log_to), outcome)
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # a failure costs this part of a rule burst only
                state.removals, state.rule_burst = _decode(saved)
                del outcome.flags[flags:]
                outcome.fail("rules", key, start, 0, error)

    def _consider(
        self, key: Key, state: TargetState, counts: dict[str, int], tick: tuple[int, int, int, int], outcome: Outcome
    ) -> None:
        """Add a key's removed events of a tick (start, end, first and last position), and open or continue a burst."""
        start, end, log_from, log_to = tick
        shares, burst = self._shares[metric_of(key)], state.rule_burst
        experienced = shares.experienced(end)
        removals = _in_span(state, start - start % MINUTES_MS, sum(counts.values()), log_from, experienced=experienced)
        events = state.ledger.raw - removals.raw
        joining, goes_on = [], False
        for reason, count in counts.items():
            entry = removals.reasons.setdefault(reason, Removed())
            entry.removed += count
            entry.events = events
            in_burst = burst is not None and reason in burst.codes
            if in_burst:
                shares.take_back(reason, count)
            else:
                shares.rank(reason, key, entry.removed)
            entry.expected = events * _usual_share(shares, key, reason, entry, in_burst=in_burst)
            if in_burst:
                goes_on = goes_on or (entry.removed >= SPAN_MIN and _is_unusual(*_in_this_span(entry)))
            elif experienced and _is_burst(entry):
                joining.append(reason)
        if joining:
            burst = self._join(key, state, removals, joining)
        if burst is None:
            return
        _draw(burst, removals, end)
        if joining or goes_on:
            burst.until, burst.log_to = max(burst.until, end), max(burst.log_to, log_to)
            burst.close_at = close_time(burst.until, MINUTES_MS)
            self._schedule(burst.close_at, key)
        if joining or _removed_by(burst, removals) > REVISE_GROWTH * burst.flagged_removed:
            self._emit_flag(key, burst, removals, UPDATED if burst.revision else OPENED, outcome)

    def _join(self, key: Key, state: TargetState, removals: Removals, reasons: Iterable[str]) -> RuleBurst:
        """Open the rule burst with these reasons, or add them to the open one. What they removed is not learned."""
        shares, burst = self._shares[metric_of(key)], state.rule_burst
        for reason in reasons:
            entry = removals.reasons[reason]
            run = entry.run = entry.run or Run(removals.span, removals.log_from)
            if burst is None:
                ident = rule_burst_id(target_of(key), metric_name_of(key), run.onset)
                burst = state.rule_burst = RuleBurst(ident, run.onset, run.onset, 0, [], log_from=run.log_from)
            burst.codes = sorted([*burst.codes, reason])
            if run.onset < removals.span:
                before = Point(run.onset, removals.span - run.onset, run.removed, run.expected)
                _draw_before(burst.series, before)
            shares.take_back(reason, entry.removed, run.removed)
            shares.rank(reason, key, 0)
        assert burst is not None
        return burst

    def expire(self, key: Key, state: TargetState, now: int, outcome: Outcome) -> None:
        """Close a key's rule burst if its time has come."""
        burst, removals = state.rule_burst, state.removals
        if burst is None or removals is None or burst.close_at > now:
            return
        self._emit_flag(key, burst, removals, CLOSED, outcome)
        for code in burst.codes:
            removals.reasons[code] = Removed(habit=removals.reasons[code].habit)
        state.rule_burst = None

    def _emit_flag(self, key: Key, burst: RuleBurst, removals: Removals, status: str, outcome: Outcome) -> None:
        totals = {code: _total(removals.reasons[code]) for code in burst.codes}
        burst.flagged_removed = removed = sum(total[0] for total in totals.values())
        expected = sum(total[1] for total in totals.values())
        burst.reasons = [_evidence(code, total[0], total[1]) for code, total in totals.items()]
        self._flags.emit(
            key,
            burst,
            status,
            outcome,
            verdict=RULE,
            score=score_of_surprise(max(-math.log10(reason.p) for reason in burst.reasons)),
            observed=removed,
            expected=interval_of(expected, SPREAD).rounded(),
            artificial=Interval(removed, removed, removed),
        )


def _in_span(state: TargetState, span: int, removed: int, log_from: int, *, experienced: bool) -> Removals:
    """The removals of a key in the span of a closed tick, of which ``removed`` events were removed."""
    removals = state.removals
    if removals is not None and removals.span == span:
        return removals
    window = state.open.get(MINUTES)
    entered = window.n if window is not None and window.start == span else 0
    raw = state.ledger.raw - removed - entered
    if removals is None:
        removals = state.removals = Removals(span, raw, log_from)
        return removals
    burst, between = state.rule_burst, raw - removals.raw
    for code, entry in list(removals.reasons.items()):
        run = entry.run
        in_burst = burst is not None and code in burst.codes
        goes_on = span - removals.span == MINUTES_MS and entry.removed > 0 and _is_unusual(*_in_this_span(entry))
        if in_burst or (experienced and goes_on and (run is None or span - run.onset < HOUR_MS)):
            if burst is not None and in_burst and span - burst.onset >= USUAL_AFTER_MS:
                _learn(entry, span, between, entry.removed)
            run = entry.run = run or Run(removals.span, removals.log_from)
            run.events += entry.events
            run.removed += entry.removed
            run.expected += entry.expected
        else:  # only what became no burst is learned
            _learn(entry, span, between + (run.events if run else 0), entry.removed + (run.removed if run else 0))
            entry.run = None
        entry.removed, entry.events, entry.expected = 0, 0, 0.0
        if entry.run is None and entry.habit is None:
            del removals.reasons[code]
    removals.span, removals.raw, removals.log_from = span, raw, log_from
    return removals


def _learn(entry: Removed, now: int, events: int, removed: int) -> None:
    """Learn what a rule usually removes of a target: so many ``removed`` of so many events."""
    habit = entry.habit
    if habit is None:
        if removed < SPAN_MIN:
            return
        habit = entry.habit = Habit(now)
    kept = 0.5 ** ((now - habit.at) / HABIT_HALF_LIFE_MS)
    habit.at, habit.events, habit.removed = now, kept * habit.events + events, kept * habit.removed + removed
    if habit.removed < 1.0:
        entry.habit = None


def _usual_share(shares: RuleShares, key: Key, reason: str, entry: Removed, *, in_burst: bool) -> float:
    """Share of a target's events that a rule usually removes.

    It is the largest of the platform's past share, that of the other targets now, and the target's own past share.
    """
    if in_burst:  # the shares of the platform are without its removed events
        learned = shares.learned(reason, 0)
        present = shares.present(key, reason, 0, entry.events - entry.removed)
    else:
        learned = shares.learned(reason, entry.removed + (0 if entry.run is None else entry.run.removed))
        present = shares.present(key, reason, entry.removed, entry.events)
    usual = max(learned, present)
    if entry.habit is not None:
        habit = entry.habit
        usual = max(usual, (habit.removed + HABIT_PRIOR * learned) / (habit.events + HABIT_PRIOR))
    return min(1.0, usual)


def _in_this_span(entry: Removed) -> tuple[int, float, int]:
    return entry.removed, entry.expected, entry.events


def _total(entry: Removed) -> tuple[int, float, int]:
    """Removed events, usual number and all events, of the run and the current span."""
    run = entry.run
    if run is None:
        return _in_this_span(entry)
    return run.removed + entry.removed, run.expected + entry.expected, run.events + entry.events


def _is_unusual(removed: int, expected: float, events: int) -> bool:
    return removed >= BURST_FACTOR * expected and removed >= BURST_SHARE * events


def _is_burst(entry: Removed) -> bool:
    total = _total(entry)
    return total[0] - total[1] >= BURST_EXCESS and _is_unusual(*total)


def _removed_by(burst: RuleBurst, removals: Removals) -> int:
    return sum(_total(removals.reasons[code])[0] for code in burst.codes)


def _draw(burst: RuleBurst, removals: Removals, end: int) -> None:
    """Add the current span to the burst's course."""
    entries = [removals.reasons[code] for code in burst.codes]
    removed, expected = sum(entry.removed for entry in entries), sum(entry.expected for entry in entries)
    put(burst.series, Point(removals.span, end - removals.span, removed, expected))


def _draw_before(series: list[Point], before: Point) -> None:
    """Add what was removed for a reason before it joined the burst. The first point may be wider than the others."""
    if not series:
        series.append(before)
        return
    series[0].observed += before.observed
    series[0].expected += before.expected


def _evidence(code: str, removed: int, expected: float) -> Evidence:
    p = max(geometric_tail(expected, removed), 10.0**-SCORE_MAX)
    text = f"{removed:,} {WHAT.get(code, f'events removed by the rule {code}')}, where {expected:,.0f} are usual"
    return Evidence(code, DETECTOR, float(removed), expected, p, text)
