"""Records of stored state as bytes, and back: msgspec, with a version and a checksum, never pickle.

A record is sealed: a byte with the version, four bytes with a checksum (XXH32), then msgpack. Version 1 had neither.
From version 3 on the version is the seed of the checksum, so that a version with a flipped bit is not taken for another
one.

Parts (``detectors.state.parts``) are written as they change. What was open at a checkpoint (ticks, recent ids) is not
written: it is a function of the last stretch of the log, so a restore reads that stretch again. The meta record says
where the stretch begins.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

import msgspec
import xxhash

from detectors.failures import MachineError
from detectors.state.parts import TARGET_STATES, RecordKind
from detectors.state.target_state import STATE_VERSION, Agenda, TargetState
from streams.state.upgrades import UPGRADES

META_KEY = b"meta"
"""The key of the meta record. Those of all others begin as their kind says (``detectors.state.parts``)."""

SEAL_BYTES = 5
SEALED, SEEDED = 2, 3
"""Versions from which records have a seal, and from which the version is part of its checksum."""
UNSEALED = 0x80
"""First bytes from here on are those of a msgpack map or array: a record of version 1."""

_GARBAGE = (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, struct.error)
"""What reading something else than a record raises."""
_VERSION = bytes((STATE_VERSION,))
encode = msgspec.msgpack.Encoder().encode


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
    """What a task stores besides its parts, as of one position of its log. The last record of every checkpoint."""

    version: int
    position: int
    audit: Any
    """what the role itself stores, as builtins"""
    born: str = ""
    """names the changelog's life: one that was made anew under the same name has another"""
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
    meta: Meta = decode(value, Meta)
    return meta


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


def decode(value: bytes, as_type: Any) -> Any:
    """A record as a struct, or as builtins if ``as_type`` is Any; upgraded if it is of an older version.

    Raises StateError.
    """
    return _decoded(*unseal(value), as_type)


def outlook_of(value: bytes, kind: RecordKind) -> Any:
    """The outlook of a record, without decoding the rest; the whole of one of an older version. Raises StateError."""
    version, payload = unseal(value)
    return _decoded(version, payload, kind.outlook if version == STATE_VERSION else kind.type)


def _decoded(version: int, payload: bytes, as_type: Any) -> Any:
    try:
        if version == STATE_VERSION:
            return _decoder(as_type).decode(payload)
        state = _upgraded(version, payload)
        return state if as_type is Any else msgspec.convert(state, as_type, strict=False)
    except _GARBAGE as error:
        raise DamagedError(f"a state record cannot be read: {error}") from error


@cache
def _decoder(as_type: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(as_type, strict=False)


def _upgraded(version: int, payload: bytes) -> Any:
    state = msgspec.msgpack.decode(payload, strict=False)
    for step in range(version, STATE_VERSION):
        state = UPGRADES[step](state)
    return state


def encode_target(watched: TargetState) -> bytes:
    """A key's state as a record."""
    return seal(encode(watched))


def decode_target(value: bytes) -> TargetState:
    """A record as a key's state. Raises StateError."""
    watched: TargetState = decode(value, TargetState)
    return watched


def agenda_of(value: bytes) -> Agenda:
    """What of a key's record is still to come. Raises StateError."""
    agenda: Agenda = outlook_of(value, TARGET_STATES).agenda()
    return agenda
