"""Gives back what rulings have condemned (``verdict.sellers``), if they are taken back before the case closes.

When the case closes, its accounts are looked up again. The events of those without a ruling are given back, and all of
them if fewer than SELLERS_MIN accounts have one.
"""

from __future__ import annotations

from detectors.actors.conduct import ConductRulings
from detectors.cases.case_records import CaseRecords
from detectors.events.key import Key
from detectors.features.names import SELLERS_MIN
from detectors.records import Outcome
from detectors.state.case import SUSPECT, Case, Evidence
from detectors.state.ledger import QUARANTINED, VALID
from detectors.state.relations import cover
from detectors.state.target_state import TargetState

RULINGS_REVERSED = "rulings_reversed"
"""Reason code of the flag and of the correction."""

DETECTOR = "conduct"
"""Stands in for a detector in the reasons."""


class GivenBack:
    """Gives back events of the cases of one partition."""

    def __init__(self, conduct: ConductRulings, records: CaseRecords) -> None:
        self._conduct = conduct
        self._records = records

    def settle(self, key: Key, state: TargetState, case: Case, now: int, outcome: Outcome) -> None:
        """Give back the events of accounts of a closing case that are not held to be a seller's any more."""
        if not case.by_rulings:
            return
        condemned, asked = case.artificial, len(case.sellers)
        ruled = len(self._conduct.sellers(now).intersection(case.sellers))
        kept = ruled / asked if ruled >= SELLERS_MIN else 0.0
        wanted = min(round((1.0 - kept) * case.by_rulings), condemned - case.undone)
        back = state.ledger.move(QUARANTINED, VALID, wanted)
        if not back:
            return
        movement, span = (QUARANTINED, VALID, back), (case.onset, case.until)
        case.by_rulings -= back
        case.artificial -= back
        case.artificial_low *= case.artificial / condemned
        case.artificial_high *= case.artificial / condemned
        text = f"{asked - ruled:,} of {asked:,} accounts are not held to be a seller's any more"
        case.reasons = [*case.reasons, Evidence(RULINGS_REVERSED, DETECTOR, 1.0 - kept, 0.0, 1.0, text)]
        if not case.artificial:
            case.verdict = SUSPECT
            cover(state.relations, case.flag_id, movement, span)
        self._records.emit_correction(key, case, movement, span, outcome, reason=RULINGS_REVERSED)
