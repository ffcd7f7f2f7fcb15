"""A partition audit's state as changelog records, and back: msgspec, versioned, checked, never pickle.

Keyed state is written as it changes. What was open at a checkpoint (ticks, recent ids) is not written at all: it is
a function of the last stretch of the log, so a restore reads that stretch again. The ``meta`` record says where it
begins.

A record is sealed: a byte with the version, four with a checksum (XXH32), then msgpack. Version 1 had neither; from
version 3 on the version is the checksum's seed, so that a version with a flipped bit is not taken for another one.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import xxhash

from detectors.failures import MachineError
from detectors.state.watched import STATE_VERSION, Agenda, Watched
from streams.state.upgrades import UPGRADES

META_KEY = b"meta"
PLATFORM_KEY = b"platform/"
LOCKSTEP_KEY = b"platform/lockstep/"
"""Of the platform too: it travels and is split as what else a task knows of it."""
DAYS_KEY = b"platform/days/"
"""Likewise: a pair of an actor and a target that is elsewhere now only takes its room until others need it."""
RULINGS_KEY = b"platform/rulings"
"""What is held of actors; it travels with the rest, and is of no use where the actors do not come."""
WATCHED_KEY = b"w/"

SEAL_BYTES = 5
SEALED, SEEDED = 2, 3
"""Versions from which records have a seal, and from which the version is part of its checksum."""
UNSEALED = 0x80
"""First bytes from here on are those of a msgpack map or array: a record of version 1."""

_GARBAGE = (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, struct.error)
"""What reading something else than a record raises."""
_VERSION = bytes((STATE_VERSION,))
encode = msgspec.msgpack.Encoder().encode
_watched = msgspec.msgpack.Decoder(Watched, strict=False)


class StateError(MachineError):
    """State that this version cannot read."""


class MovedError(StateError):
    """The state goes on elsewhere."""

    def __init__(self, where: str, to: str) -> None:
        super().__init__(f"{where} has moved: set log_prefix and state_prefix to {to!r}, and partitions to match")
        self.to = to


class DamagedError(StateError):
    """A record that is not what was written."""


class Meta(msgspec.Struct):
    """Everything of a partition that is not keyed. ``born`` names the changelog's life: another one has another."""

    version: int
    position: int
    audit: Any
    born: str = ""
    totals: list[list[int]] = []
    configs: list[tuple[int, str]] = []
    """from which position of the log which configuration held: the first and the last few"""
    moved_to: str = ""
    """the state goes on under this prefix, and not here"""
    unjudged: list[tuple[int, int]] = []
    """positions of the log whose events were counted and not judged, as first and last of ranges"""


def encode_meta(meta: Meta) -> bytes:
    """The meta record."""
    return seal(encode(meta))


def meta_of(value: bytes) -> Meta:
    """The meta record. Raises StateError."""
    return msgspec.convert(builtins_of(value), Meta, strict=False)


# ---------------------------------------------------------------- records


def seal(payload: bytes) -> bytes:
    """Put version and checksum before a payload."""
    return _VERSION + xxhash.xxh32_digest(payload, STATE_VERSION) + payload


def unseal(value: bytes) -> tuple[int, bytes]:
    """Version and payload of a record. Raises DamagedError, or StateError if a newer worker wrote it."""
    if not value:
        raise DamagedError("a state record is empty")
    if value[0] >= UNSEALED:
        return 1, value
    version, payload = value[0], value[SEAL_BYTES:]
    if version > STATE_VERSION:
        raise StateError(
            f"the state is of version {version}, which a newer truecount wrote; this one reads up to {STATE_VERSION}:"
            " run the newer one, or rebuild the state from the log"
        )
    seed = version if version >= SEEDED else 0
    if version < SEALED or xxhash.xxh32_digest(payload, seed) != value[1:SEAL_BYTES]:
        raise DamagedError("a state record does not match its checksum")
    return version, payload


def encode_watched(watched: Watched) -> bytes:
    """A key's state as a record."""
    return seal(encode(watched))


def decode_watched(value: bytes) -> Watched:
    """A record as a key's state, upgraded if it is of an older version. Raises StateError."""
    version, payload = unseal(value)
    try:
        if version == STATE_VERSION:
            return _watched.decode(payload)
        return msgspec.convert(_upgraded(version, payload), Watched, strict=False)
    except _GARBAGE as error:
        raise DamagedError(f"a state record cannot be read: {error}") from error


class _Window(msgspec.Struct):
    start: int = 0


class _Case(msgspec.Struct):
    close_at: int


class _Glance(msgspec.Struct):
    open: dict[str, _Window] = {}
    case: _Case | None = None
    explained: _Case | None = None
    unsaid: bool = False


_glance = msgspec.msgpack.Decoder(_Glance)


def agenda_of(value: bytes) -> Agenda:
    """What of a key's record is still to come, without decoding the rest. Raises StateError."""
    version, payload = unseal(value)
    if version != STATE_VERSION:
        return decode_watched(value).agenda()
    try:
        glance = _glance.decode(payload)
    except msgspec.MsgspecError as error:
        raise DamagedError(f"a state record cannot be read: {error}") from error
    starts = {name: window.start for name, window in glance.open.items()}
    due = glance.case or glance.explained
    return Agenda(starts, None if due is None else due.close_at, glance.unsaid)


def builtins_of(value: bytes) -> Any:
    version, payload = unseal(value)
    try:
        return _upgraded(version, payload)
    except _GARBAGE as error:
        raise DamagedError(f"a state record cannot be read: {error}") from error


def _upgraded(version: int, payload: bytes) -> Any:
    state = msgspec.msgpack.decode(payload, strict=False)
    for step in range(version, STATE_VERSION):
        state = UPGRADES[step](state)
    return state
