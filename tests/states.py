"""The states of all keys of an audit that has them in memory."""

from __future__ import annotations

from detectors.audit import Audit
from detectors.events.key import Key
from detectors.state.target_state import TargetState
from detectors.state.target_states import MemoryTargetStates


def states_of(audit: Audit) -> dict[Key, TargetState]:
    """Key → state."""
    assert isinstance(audit.target_states, MemoryTargetStates)
    return audit.target_states.states
