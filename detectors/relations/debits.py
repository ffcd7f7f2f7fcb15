"""Which part of a count an undo takes back.

**An undo of a relation** takes back its own event, as far as that is known. A case quarantines a number of events and
no single ones. So an undo of a relation that was created within a case's time takes from the case's part first, until
nothing of it is left: those who leave a bought crowd are mostly those who were bought. Every other undo takes a valid
event; if there is none, one of a case.

**An undo outside relations** (no actor, an input without relations) takes a valid event, else a quarantined one, as
long as the count has events outside relations.
"""

from __future__ import annotations

from detectors.intake.rules.reasons import RULES
from detectors.state.ledger import QUARANTINED, UNDONE, VALID, Ledger
from detectors.state.relation_pages import SPAN_MS
from detectors.state.relations import Covered
from detectors.state.target_state import TargetState

_NO_ACTS = frozenset((*RULES, UNDONE))
"""Invalid parts that no relation belongs to. The others are the events of cases."""


def undo_relation(state: TargetState, span: int) -> None:
    """Take back the event of a relation that was created in a span of SPAN_MS."""
    ledger, relations = state.ledger, state.relations
    covered = [] if relations is None else relations.covered
    for one in covered:
        if one.left > 0 and one.start < (span + 1) * SPAN_MS and span * SPAN_MS < one.end and _take(state, one):
            return
    if ledger.move(VALID, UNDONE, 1):
        return
    if any(_take(state, one) for one in covered if one.left > 0) or ledger.move(QUARANTINED, UNDONE, 1):
        return
    for reason in sorted(ledger.invalid):
        if reason not in _NO_ACTS and ledger.move(reason, UNDONE, 1):
            return


def _take(state: TargetState, covered: Covered) -> bool:
    """Take back one event of a case."""
    if not state.ledger.move(covered.part, UNDONE, 1):
        return False
    covered.left -= 1
    if covered.part == QUARANTINED:
        waiting = [settlement.case for settlement in state.settlements]
        for case in waiting if state.case is None else [state.case, *waiting]:
            if case.flag_id == covered.flag_id:
                case.undone += 1
    return True


def undo_outside(state: TargetState, count: int, reason: str = "") -> int:
    """Take back events outside relations, for undos that a rule catches for ``reason``, if any.

    Returns how many undos found no event.
    """
    if reason:
        return state.ledger.undo(count, reason)
    outside = events_outside(state)
    allowed = min(count, outside)
    left = count - allowed + state.ledger.undo(allowed)
    state.unknown_acts = min(state.unknown_acts, outside - (count - left))
    return left


def undo_unknown(state: TargetState) -> bool:
    """Take back an event for an actor without a relation, if its act may be one of those that are not known."""
    if not (state.unknown_acts or state.incomplete) or state.ledger.undo(1):
        return False
    state.unknown_acts = max(0, state.unknown_acts - 1)
    return True


def events_outside(state: TargetState) -> int:
    """Accepted events of a count that no undo has taken back and that belong to no relation."""
    return max(0, live_events(state.ledger) - (0 if state.relations is None else state.relations.current))


def live_events(ledger: Ledger) -> int:
    """Accepted events of a count that no undo has taken back: valid, quarantined, and removed by cases."""
    removed = sum(count for reason, count in ledger.invalid.items() if reason not in _NO_ACTS)
    return ledger.valid + ledger.quarantined + removed
