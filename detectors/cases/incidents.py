"""Opens, revises and closes cases. Moves events in the ledger, and emits corrections and flags."""

from __future__ import annotations

from detectors.cases.case_records import CaseRecords, CaseSchedule
from detectors.cases.closing_time import close_time
from detectors.cases.expected import expect
from detectors.cases.given_back import GivenBack
from detectors.cases.ids import flag_id
from detectors.cases.settlements import SAMPLE_MAX, Settlements
from detectors.cases.statuses import CLOSED, ENDINGS, OPENED, REVERSED, UPDATED
from detectors.catalog.registry import DETECTOR_SET, ESTIMATING_CODES
from detectors.catalog.surge import SURGE_CODE
from detectors.events.actor import all_without_account
from detectors.events.key import Key, metric_name_of, target_of
from detectors.features import names as f
from detectors.measurement.expectation import interval_of
from detectors.measurement.window_view import WindowView
from detectors.records import Interval, Outcome
from detectors.state.case import ARTIFICIAL, SUSPECT, Case, Evidence, Step
from detectors.state.course import Point, put
from detectors.state.days import Day
from detectors.state.ledger import QUARANTINED, VALID
from detectors.state.relations import cover
from detectors.state.target_state import TargetState
from detectors.verdict.marked_share import marked_people
from detectors.verdict.opinion import Opinion
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS, HOUR_MS, TICK, Scale

REVISE_GROWTH = 1.25
"""A flag is revised when its artificial events have grown by a quarter, when its verdict changes, and at its end."""

STEP_DOUBT = 0.1
"""Relative uncertainty of events moved from before the opening: their purity is inferred from later windows."""


class Incidents:
    """The cases of one partition."""

    def __init__(
        self,
        schedule: CaseSchedule,
        scales: tuple[Scale, ...],
        records: CaseRecords,
        settlements: Settlements,
        given_back: GivenBack,
    ) -> None:
        self._schedule = schedule
        self._scales = scales
        self._records = records
        self._settlements = settlements
        self._given_back = given_back

    def act(self, window: WindowView, view: Opinion) -> None:
        """Open or continue the case of a judged window, and quarantine its artificial events."""
        state, crowd = window.target_state, window.crowd
        expected = view.expected(window.x)
        case = state.case
        if case is None and state.settlements and (view.settles or view.verdict == ARTIFICIAL):
            case = state.case = self._settlements.resume(state, window.start, window.until)
        opened = case is None
        if case is None:
            case = self._open(window, view)
        previous = case.verdict
        self._weigh(case, window, view, window.x[f.COUNT] - expected)
        if opened and window.scale.name == TICK:
            for step in state.trail[:-1]:
                put(case.series, Point(step.start, window.scale.span_ms, step.count, step.expected))
                self._quarantine_tick(window, case, step)
        slow = state.slow
        if slow is not None and view.beside_drip is not None and not slow.past_cased:
            slow.past_cased = True
            since = window.start if opened else case.onset
            for day in slow.past_days():
                if opened:
                    put(case.series, Point(day.start, DAY_MS, day.count, day.count - day.artificial))
                self._quarantine_day(window, case, day, cased=day.cased if day.start >= since else 0)
        self._follow(window, expected)
        fresh = max(
            0,
            round(view.artificial if view.certain_artificial is None else view.certain_artificial) - crowd.quarantined,
        )
        moved = self._move(window, case, fresh, window.start, window.end)
        crowd.quarantined += moved
        _note_rulings(case, view, moved)
        if window.scale.name == TICK and state.trail:
            state.trail[-1].quarantined = crowd.quarantined
        _observe(case, window, view, expected)
        if moved:
            width = moved / max(1.0, view.artificial)
            case.artificial_low += view.low * width
            case.artificial_high += view.high * width
        drips = slow is not None and slow.blocks_learning()
        close_at = close_time(case.until, _quiet_span(case, DAY_MS if drips else window.span_ms))
        if close_at > case.close_at and (opened or moved):
            case.close_at = close_at
            self._schedule.schedule_case(close_at, window.key)
        if opened or case.verdict != previous or case.artificial > REVISE_GROWTH * case.flagged_artificial:
            self._records.emit_flag(window.key, case, OPENED if opened else UPDATED, window.outcome)

    def expire(self, key: Key, state: TargetState, now: int, outcome: Outcome) -> None:
        """Close a key's case if its time has come: its quarantined events become invalid, or valid again."""
        case = state.case
        if case is None or case.close_at > now:
            return
        state.case = None
        state.trail = []
        state.cusum = 0.0
        if case.settles and case.verdict == SUSPECT and case.artificial and case.sample:
            self._settlements.begin(key, state, case, now, outcome)
            return
        held = case.artificial
        self._given_back.settle(key, state, case, now, outcome)
        if case.artificial:
            to = ENDINGS[case.verdict].becomes or case.reason
            moved = state.ledger.move(QUARANTINED, to, case.artificial - case.undone)
            if moved:
                cover(state.relations, case.flag_id, (QUARANTINED, to, moved), (case.onset, case.until))
                self._records.emit_correction(key, case, (QUARANTINED, to, moved), (case.onset, case.until), outcome)
        self._records.emit_flag(key, case, REVERSED if held and not case.artificial else CLOSED, outcome)

    def follow(self, window: WindowView) -> None:
        """Add a window to the course of an open case. Of an open window only the part that has passed is added."""
        self._follow(window, window.x[f.EXPECTED])

    @staticmethod
    def _follow(window: WindowView, expected: float) -> None:
        if window.target_state.case is not None:
            span = window.until - window.start
            part = expected * span / window.scale.span_ms
            put(window.target_state.case.series, Point(window.start, span, window.crowd.n, part))

    def _open(self, window: WindowView, view: Opinion) -> Case:
        state, onset, log_from = window.target_state, window.start, window.crowd.log_from
        if window.scale.name == TICK and state.trail:
            onset, log_from = state.trail[0].start, state.trail[0].log_from
        metric, number = metric_name_of(window.key), self._note_onset(window, onset)
        case = Case(
            flag_id=flag_id(target_of(window.key), metric, DETECTOR_SET, onset, number),
            onset=onset,
            until=onset,
            close_at=0,
            verdict=view.verdict or SUSPECT,
            reason=SURGE_CODE,
            log_from=log_from,
            settles=view.settles,
        )
        state.case = case
        return case

    def _note_onset(self, window: WindowView, onset: int) -> int:
        """Note the onset of a new case. Returns how many earlier cases have the same.

        A window of an hour or a day can open a case that begins where a closed one began. No later case begins before
        the start of the longest window, so older onsets are forgotten.
        """
        state, since = window.target_state, window.until - self._scales[-1].span_ms
        number = state.case_onsets.count(onset)
        state.case_onsets = [*(each for each in state.case_onsets if each >= since), onset]
        return number

    def _weigh(self, case: Case, window: WindowView, view: Opinion, excess: float) -> None:
        decided = case.settles and view.verdict == ARTIFICIAL != case.verdict
        if view.verdict == ARTIFICIAL:
            case.verdict = ARTIFICIAL
        if excess > 0 and view.own_evidence:
            case.judged += excess
            case.found += min(excess, view.artificial)
        if view.own_evidence and (excess > 0 or view.settles):  # such evidence needs no surge at the end of a day
            case.marks = case.marks.joined(view.marks)
        if case.settles:
            people = marked_people(window.crowd, case.marks)
            case.sample = sorted({*case.sample, *all_without_account(people)})[:SAMPLE_MAX]
            case.owner = max(case.owner, window.crowd.owner)
        if view.crowd >= case.crowd or not case.reasons or decided:
            case.reasons = [Evidence(g.code, g.detector, g.value, g.baseline, g.p, g.text) for g in view.findings]
            case.reason = next((g.code for g in view.findings if g.code in ESTIMATING_CODES), SURGE_CODE)
        case.surge, case.crowd = max(case.surge, view.surge), max(case.crowd, view.crowd)
        case.until = max(case.until, window.until)
        case.log_to = max(case.log_to, window.crowd.log_to)

    def _quarantine_tick(self, window: WindowView, case: Case, step: Step) -> None:
        """Quarantine the artificial part of a tick that passed before the case was opened."""
        excess = step.count - step.expected
        case.observed += step.count
        expect(case, interval_of(step.expected, 1.0))
        open_window = self._open_window_at(window.target_state, step.start)
        if open_window is not None:
            open_window.cased += step.count
        if excess <= 0:
            return
        fresh = max(0, round(case.purity() * excess) - step.quarantined)
        moved = self._move(window, case, fresh, step.start, step.start + self._scales[0].span_ms)
        step.quarantined += moved
        case.artificial_low += (1.0 - STEP_DOUBT) * moved
        case.artificial_high += (1.0 + STEP_DOUBT) * moved
        if open_window is not None:
            open_window.quarantined += moved

    def _quarantine_day(self, window: WindowView, case: Case, day: Day, *, cased: int) -> None:
        """Quarantine the artificial part of a day before the verdict over several days.

        The case already contains ``cased`` of its events.
        """
        artificial = day.artificial if day.wrong else 0.0
        if day.start < case.onset:
            case.onset, case.log_from = day.start, day.log_from
        honest = (1.0 - cased / day.count) * (day.count - artificial)
        case.observed += day.count - cased
        expect(case, Interval(honest, (1.0 - STEP_DOUBT) * honest, (1.0 + STEP_DOUBT) * honest))
        moved = self._move(window, case, max(0, round(artificial) - day.quarantined), day.start, day.start + DAY_MS)
        day.quarantined += moved
        width = moved / max(1.0, artificial)
        case.artificial_low += day.low * width
        case.artificial_high += day.high * width

    def _open_window_at(self, state: TargetState, moment: int) -> Crowd | None:
        """The shortest open window that contains a past tick."""
        for scale in self._scales[1:]:
            open_window = state.open.get(scale.name)
            if open_window is not None and open_window.start <= moment < open_window.start + scale.span_ms:
                return open_window
        return None

    def _move(self, window: WindowView, case: Case, count: int, start: int, end: int) -> int:
        moved = window.target_state.ledger.move(VALID, QUARANTINED, count)
        if moved:
            case.artificial += moved
            cover(window.target_state.relations, case.flag_id, (VALID, QUARANTINED, moved), (start, end))
            self._records.emit_correction(window.key, case, (VALID, QUARANTINED, moved), (start, end), window.outcome)
        return moved


def _observe(case: Case, window: WindowView, view: Opinion, expected: float) -> None:
    """Add the events of a window to those of the case, and how many were expected."""
    crowd = window.crowd
    if not view.of_case_only:
        uncased = 0.0 if crowd.expected_cased else 1.0 - crowd.cased / crowd.n
        case.observed += crowd.n - crowd.cased
        expect(case, interval_of(expected, window.x[f.DISPERSION]).times(uncased))
        crowd.cased, crowd.expected_cased = crowd.n, True


def _note_rulings(case: Case, view: Opinion, moved: int) -> None:
    """Note whose rulings have condemned the events that were moved, if rulings have."""
    if view.sellers and moved:
        case.by_rulings += moved
        case.sellers = sorted({*case.sellers, *all_without_account(view.sellers)})[:SAMPLE_MAX]


def _quiet_span(case: Case, span_ms: int) -> int:
    """The span whose windows must be quiet before a case closes.

    A case that settles is resumed if there is more, and its accounts are observed for days afterwards.
    """
    return min(span_ms, HOUR_MS) if case.settles and case.verdict == SUSPECT else span_ms
