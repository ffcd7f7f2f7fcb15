"""Corrections and flags of cases."""

from __future__ import annotations

from typing import Protocol

from detectors.cases.expected import expected_of
from detectors.cases.flags import Flags
from detectors.cases.ids import correction_id
from detectors.events.key import Key, metric_name_of, target_of
from detectors.records import Correction, Interval, Outcome
from detectors.state.case import Case


class CaseSchedule(Protocol):
    """Schedules the closing of cases and notes changed counts. The audit implements it."""

    def changed(self, key: Key) -> None:
        """Note that part of this key's count has moved."""
        ...

    def schedule_case(self, close_at_ms: int, key: Key) -> None:
        """Check at ``close_at_ms`` whether this key's case can close."""
        ...


class CaseRecords:
    """Emits what is published of the cases of one partition."""

    def __init__(self, schedule: CaseSchedule, flags: Flags) -> None:
        self._schedule = schedule
        self._flags = flags

    def emit_correction(
        self,
        key: Key,
        case: Case,
        movement: tuple[str, str, int],
        span: tuple[int, int],
        outcome: Outcome,
        *,
        reason: str = "",
    ) -> None:
        """Publish a movement (source, destination, events) of events in ``span``. By default with the case's reason."""
        case.corrections += 1
        source, to, count = movement
        outcome.corrections.append(
            Correction(
                correction_id=correction_id(case.flag_id, case.corrections),
                target=target_of(key),
                metric=metric_name_of(key),
                from_=source,
                to=to,
                count=count,
                reason=reason or case.reason,
                flag_id=case.flag_id,
                window={"start": span[0], "end": span[1]},
            )
        )
        self._schedule.changed(key)

    def emit_flag(self, key: Key, case: Case, status: str, outcome: Outcome) -> None:
        """Publish the next revision of a case's flag."""
        case.flagged_artificial = case.artificial
        low = min(case.artificial, round(case.artificial_low))
        high = max(case.artificial, round(case.artificial_high))
        self._flags.emit(
            key,
            case,
            status,
            outcome,
            verdict=case.verdict,
            score=case.score(),
            observed=case.observed,
            expected=expected_of(case).rounded(),
            artificial=Interval(case.artificial, low, high),
        )
