"""The parts of what a task stores: which records each part has, what of them has changed, how one is loaded.

The keys and the values of records are persisted. A prefix that is in use never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from detectors.state.target_state import Outlook, TargetState


class RecordKind(NamedTuple):
    """The records of one part: how their keys begin, and what is in them. Both are persisted."""

    prefix: bytes
    """A record belongs to the kind with the longest prefix of its key."""
    type: Any = Any
    """The struct that a value is decoded as; ``Any`` for builtins."""
    outlook: Any = None
    """Of a keyed kind: the few fields of the struct that a restore reads of every record."""
    keyed: bool = False
    """Whether there is a record for each key that is audited.

    There may be millions, so they stay on the disk and are read one by one. Records of other kinds are few, and all in
    memory. The prefix of a keyed kind begins the keys of no other kind.
    """


class Part(Protocol):
    """A part of what a task stores. A checkpoint writes what has changed of each part; a restore loads it.

    A task has its parts in a list. Checkpoints write the parts in the order of the list, and restores load them in
    that order: a part may rely on those before it. Two parts of a task never have the same kind.
    """

    @property
    def kind(self) -> RecordKind:
        """The records of this part."""
        ...

    def take_changed(self) -> Iterable[tuple[str, Any]]:
        """The records that have changed since the last call, or since the load: the rest of the key, and the value.

        The value is what ``kind.type`` says, ready for msgspec. It must not change before it is encoded, which is done
        before anything else is asked of the task. The order of the records is a function of the log alone.
        """
        ...

    def load(self, suffix: str, state: Any) -> None:
        """Take the newest record of a key, decoded. Each record is loaded once, in any order within the part.

        A record of something that the configuration has switched off is passed over. Keyed records are not loaded
        where a store has them.
        """
        ...


TARGET_STATES = RecordKind(b"w/", TargetState, Outlook, keyed=True)
"""One target and metric; the suffix is its key."""
PLATFORM = RecordKind(b"platform/")
"""What is known of the platform, by metric."""
LOCKSTEP = RecordKind(b"platform/lockstep/")
"""Who comes together: a head, and a table in pages."""
RULINGS = RecordKind(b"platform/rulings")
"""Actors whose events were taken out of a count; the suffix is empty."""
DAYS = RecordKind(b"platform/days/")
"""Pairs of an actor and a target that are counted for a day, by metric."""

AUDIT_KINDS = (TARGET_STATES, PLATFORM, LOCKSTEP, RULINGS, DAYS)
"""The kinds of records of an audit, in the order of its parts.

When partitions are split, keyed records go to the partition of their target. All others are copied to each.
"""
