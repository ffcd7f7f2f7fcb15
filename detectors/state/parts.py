"""The stored parts of a task: which records each part has, which have changed, how a record is loaded.

The keys and the values of records are persisted. A prefix that is in use never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from detectors.state.target_state import Outlook, TargetState


class RecordKind(NamedTuple):
    """The records of one part: the prefix of their keys and the type of their values. Both are persisted."""

    prefix: bytes
    """A record belongs to the kind with the longest prefix of its key."""
    type: Any = Any
    """The struct of the value; ``Any`` for builtins."""
    outlook: Any = None
    """For a keyed kind: a struct of the few fields that a restore reads from every record."""
    keyed: bool = False
    """Whether there is one record, or several, for each audited key.

    There may be millions, so they stay on disk and are read one by one. Records of other kinds are few and all in
    memory. No key of another kind begins with the prefix of a keyed kind.
    """


class Part(Protocol):
    """A stored part of a task. A checkpoint writes its changed records; a restore loads them.

    A task has a list of parts. Checkpoints and restores use the order of the list: a part may rely on those before it.
    Two parts of a task never have the same kind.
    """

    @property
    def kind(self) -> RecordKind:
        """The kind of this part's records."""
        ...

    def take_changed(self) -> Iterable[tuple[str, Any]]:
        """The records that have changed since the last call or the load: (rest of the key, value).

        The value has the type ``kind.type`` and can be encoded by msgspec. It must not change before it is encoded; the
        caller encodes it before it calls anything else of the task. The order of the records depends on the log only.
        """
        ...

    def load(self, suffix: str, state: Any) -> None:
        """Load the newest, decoded record of a key. Each record is loaded once, in any order within the part.

        Records of features that the configuration has switched off are ignored. Keyed records are not loaded if a store
        has them.
        """
        ...


TARGET_STATES = RecordKind(b"w/", TargetState, Outlook, keyed=True)
"""One target and metric; the suffix is its key."""
PLATFORM = RecordKind(b"platform/")
"""The platform as one metric sees it; the suffix is the metric's index."""
LOCKSTEP = RecordKind(b"platform/lockstep/")
"""Actors who come together: a head record, and a table in pages."""
RULINGS = RecordKind(b"platform/rulings")
"""Actors whose events were removed from a count; the suffix is empty."""
CONDUCT = RecordKind(b"platform/conduct")
"""Rulings of the role ``actors``; the suffix is empty."""
REPLAYS = RecordKind(b"platform/replays")
"""Accounts that replay a target by a program; the suffix is empty."""
DAYS = RecordKind(b"platform/days/")
"""Pairs of actor and target that are counted over a day, by metric."""

RELATIONS = RecordKind(b"r/", bytes, bytes, keyed=True)
"""Pages of relations; the suffix is the page's number, "/" and the key (``relation_pages.name_of``)."""

AUDIT_KINDS = (TARGET_STATES, RELATIONS, PLATFORM, LOCKSTEP, RULINGS, CONDUCT, REPLAYS, DAYS)
"""The kinds of records of an audit, in the order of its parts.

When partitions are split, keyed records go to the partition of their target. All others are copied to each.
"""
