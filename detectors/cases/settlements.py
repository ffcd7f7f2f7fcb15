"""Settles cases that evidence of one kind has opened, by what their accounts do besides the act in question.

Such evidence may be a wave of honest sign-ups as well as bought accounts. So the events stay in quarantine when the
case ends, and the role ``actors`` is asked about a sample of the accounts: the people with the traits that opened the
case, the smallest hashes first. The accounts have ``settle_ms`` from the end of the incident to do something else.

Of the accounts known, a share m did nothing else: within an hour of the act in question people and bots alike do what
comes to hand, so only acts at other times count. The events of these accounts are condemned if they are most, and that
is not usual among the platform's accounts that are equally new (``scoring.empty_accounts``).

The sample is a random one, so its share m applies to all quarantined
events of the case; the 95 % interval of m (Agresti and Coull 1998) is that of the flag. Everything else is given back:
the events of accounts that went on to act, or are not known, and all events if nobody answers.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from detectors.cases.case_records import CaseRecords, CaseSchedule
from detectors.cases.statuses import CLOSED, REVERSED, UPDATED
from detectors.controls import Answered, Asked, Removed
from detectors.events.key import Key
from detectors.records import Outcome
from detectors.scoring.empty_accounts import empty_accounts
from detectors.scoring.normal import TWO_SIDED_95
from detectors.state.case import ARTIFICIAL, SUSPECT, Case, Evidence
from detectors.state.ledger import QUARANTINED, VALID
from detectors.state.relations import cover
from detectors.state.settlement import Settlement
from detectors.state.target_state import TargetState
from detectors.verdict.marked_share import share_beyond
from detectors.windows.scales import HOUR_MS

LATE_MS = HOUR_MS
"""How long answers are waited for, in event time. Accounts without an answer are not known."""

SETTLEMENTS_MAX = 4
"""Most cases of one key that wait. While there are so many, evidence of one kind opens no other."""

SAMPLE_MAX = 256
"""Most accounts of a case to ask about: a share is then known within 6 points."""

DETECTOR = "conduct"
"""Stands in for a detector in the reasons of a settled case."""

AWAITED, EMPTY_ACCOUNTS, ACTED, UNSETTLED = "conduct_awaited", "empty_accounts", "acted_elsewhere", "not_settled"
CODES = (AWAITED, EMPTY_ACCOUNTS, ACTED, UNSETTLED)
"""Reason codes. The last three are also reasons of corrections."""


class Settlements:
    """The cases of one partition that wait for what their accounts do."""

    def __init__(self, schedule: CaseSchedule, records: CaseRecords, *, partition: int, settle_ms: int) -> None:
        self._schedule = schedule
        self._records = records
        self._partition = partition
        self._settle_ms = settle_ms

    def begin(self, key: Key, state: TargetState, case: Case, now: int, outcome: Outcome) -> None:
        """Let a case that has ended wait for what its accounts do, and ask about them."""
        due = max(now, case.until + self._settle_ms)
        state.settlements = [*state.settlements, Settlement(case, due, due + LATE_MS)]
        outcome.requests.append(
            Asked(case.flag_id, key, self._partition, case.owner, case.onset, case.until, due, list(case.sample))
        )
        count = len(case.sample)
        text = f"until {_clock(due)} it is seen what {count:,} of its accounts do besides; only one thing is odd so far"
        case.reasons = [*case.reasons, Evidence(AWAITED, DETECTOR, float(count), 0.0, 1.0, text)]
        self._schedule.schedule_case(due + LATE_MS, key)
        self._records.emit_flag(key, case, UPDATED, outcome)

    def resume(self, state: TargetState, start: int, end: int) -> Case | None:
        """Take back the latest waiting case with events between two moments, because of new evidence about them.

        If that is of a second kind, it decides. Otherwise the case has grown, and its accounts are asked about anew.
        """
        for settlement in reversed(state.settlements):
            case = settlement.case
            if case.onset < end and start < case.until:
                state.settlements = [other for other in state.settlements if other is not settlement]
                case.reasons = [reason for reason in case.reasons if reason.code != AWAITED]
                return case
        return None

    def answer(self, record: Answered, state: TargetState, outcome: Outcome) -> None:
        """Add the answer of one partition. The case is settled when all accounts have one."""
        for settlement in state.settlements:
            asked = len(settlement.case.sample)
            answers = record.acted, record.empty, record.unknown, record.usual_acted, record.usual_empty
            if settlement.case.flag_id != record.case or min(answers) < 0:
                continue
            if settlement.answered() + sum(answers[:3]) > asked:
                continue  # it was not asked for
            settlement.acted += record.acted
            settlement.empty += record.empty
            settlement.unknown += record.unknown
            settlement.usual_acted += record.usual_acted
            settlement.usual_empty += record.usual_empty
            if settlement.answered() == asked:
                self._settle(Key(record.key), state, settlement, record.at, outcome)

    def expire(self, key: Key, state: TargetState, now: int, outcome: Outcome) -> None:
        """Settle what has waited long enough, by the answers that have come."""
        for settlement in state.settlements:
            if settlement.close_at <= now:
                self._settle(key, state, settlement, settlement.close_at, outcome)

    def _settle(self, key: Key, state: TargetState, settlement: Settlement, at: int, outcome: Outcome) -> None:
        case = settlement.case
        state.settlements = [other for other in state.settlements if other is not settlement]
        low, share, high, why = conclusion(settlement)
        quarantined = case.artificial - case.undone
        condemned = round(share * quarantined)
        case.reasons = [*(reason for reason in case.reasons if reason.code != AWAITED), why]
        span = case.onset, case.until
        back = UNSETTLED if why.code == UNSETTLED else ACTED
        for to, count, reason in (
            (EMPTY_ACCOUNTS, condemned, EMPTY_ACCOUNTS),
            (VALID, quarantined - condemned, back),
        ):
            moved = state.ledger.move(QUARANTINED, to, count)
            if moved:
                self._records.emit_correction(key, case, (QUARANTINED, to, moved), span, outcome, reason=reason)
        ended = (QUARANTINED, EMPTY_ACCOUNTS, condemned) if condemned else (QUARANTINED, VALID, quarantined)
        cover(state.relations, case.flag_id, ended, span)
        if condemned:
            outcome.requests.append(Removed(at, case.flag_id, key, share, list(case.sample)))
        case.artificial = condemned
        case.artificial_low, case.artificial_high = low * quarantined, high * quarantined
        case.verdict = ARTIFICIAL if condemned else SUSPECT
        self._records.emit_flag(key, case, CLOSED if condemned else REVERSED, outcome)


def conclusion(settlement: Settlement) -> tuple[float, float, float, Evidence]:
    """The part of a case's events to condemn (low, value, high, in 0 … 1), and the reason in a sentence."""
    known, asked = settlement.acted + settlement.empty, len(settlement.case.sample)
    equally_new = settlement.usual_acted + settlement.usual_empty
    if not known:
        text = "it could not be settled: nothing is known of what its accounts did besides"
        return 0.0, 0.0, 0.0, Evidence(UNSETTLED, DETECTOR, 0.0, 0.0, 1.0, text)
    found = empty_accounts(settlement.acted, settlement.empty, settlement.usual_acted, settlement.usual_empty)
    share, usual = found.share, found.usual
    error = share_beyond(share, 0.0, known).standard_error
    hours = round((settlement.due - settlement.case.until) / HOUR_MS)
    beside = f"usual is {usual:.0%}" if equally_new else "what is usual is not known"
    if not found.unusual:
        text = f"{settlement.empty:,} of {known:,} accounts did nothing else within {hours} hours, which is not unusual"
        return 0.0, 0.0, 0.0, Evidence(ACTED, DETECTOR, 1.0 - share, 1.0 - usual, 1.0, text)
    text = f"{settlement.empty:,} of {known:,} accounts did nothing else within {hours} hours; {beside}"
    margin, part = TWO_SIDED_95 * error, known / asked
    bounds = max(0.0, share - margin) * part, share * part, min(1.0, share + margin)
    return *bounds, Evidence(EMPTY_ACCOUNTS, DETECTOR, share, usual, found.p, text)


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(math.floor(ms / 1000), UTC).strftime("%Y-%m-%d %H:%M UTC")
