"""The states of all keys of an audit that has them in memory."""

from __future__ import annotations

from detectors.audit import Audit
from detectors.events.key import Key
from detectors.state.watched import Watched
from detectors.state.watches import MemoryWatches


def states_of(audit: Audit) -> dict[Key, Watched]:
    """Key → state."""
    assert isinstance(audit.watches, MemoryWatches)
    return audit.watches.states
