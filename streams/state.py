"""A partition audit's state as changelog records, and back: msgspec, versioned, never pickle.

Keyed state is written as it changes. What was open at a checkpoint (ticks, recent ids) is not written at all: it is
a function of the last stretch of the log, so a restore reads that stretch again. The ``meta`` record says where it
begins.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from detectors.watched import STATE_VERSION, Watched
from streams.auditing import PartitionAudit

META_KEY = b"meta"
PLATFORM_KEY = b"platform/"
WATCHED_KEY = b"w/"

_encode = msgspec.msgpack.Encoder().encode
_watched = msgspec.msgpack.Decoder(Watched)


class StateError(Exception):
    """State that this version cannot read."""


class Meta(msgspec.Struct):
    """Everything of a partition that is not keyed."""

    version: int
    position: int
    audit: Any


class Restored(NamedTuple):
    """Where a loaded state stands: the position it is of, and from where the log must be replayed up to it."""

    position: int
    replay_from: int


def dump_changes(audit: PartitionAudit, position: int) -> list[tuple[bytes, bytes | None]]:
    """Records for the changelog since the last call: the changed keys, the platform, the meta record (last)."""
    watches = audit.audit.watches
    records: list[tuple[bytes, bytes | None]] = [
        (WATCHED_KEY + key.encode(), _encode(watches[key])) for key in sorted(watches.take_changed())
    ]
    for index, platform in enumerate(audit.audit.platforms):
        if platform.take_changed():
            records.append((PLATFORM_KEY + str(index).encode(), _encode(platform.dump())))
    records.append((META_KEY, _encode(Meta(STATE_VERSION, position, audit.dump(position)))))
    return records


def load(audit: PartitionAudit, saved: dict[bytes, bytes]) -> Restored | None:
    """Load the newest records by key; None if there is no state. Raises StateError."""
    if META_KEY not in saved:
        return None
    meta = msgspec.msgpack.decode(saved[META_KEY], type=Meta, strict=False)
    if meta.version != STATE_VERSION:
        raise StateError(f"state version {meta.version}; this worker reads {STATE_VERSION}")
    for key, value in saved.items():
        if key.startswith(WATCHED_KEY):
            audit.audit.watches[key[len(WATCHED_KEY) :].decode()] = _watched.decode(value)
        elif key.startswith(PLATFORM_KEY):
            index = int(key[len(PLATFORM_KEY) :])
            audit.audit.platforms[index].load(msgspec.msgpack.decode(value, strict=False))
    return Restored(meta.position, audit.load(meta.audit))
