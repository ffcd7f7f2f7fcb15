"""Encodes and decodes records of stored state: msgpack with a version and a checksum, never pickle.

A record has a byte with the version, four bytes with a checksum (XXH32), then msgpack. Version 1 had neither. From
version 3 on, the version is the seed of the checksum, so that a flipped bit in the version is detected.

Parts (``detectors.state.parts``) are written when they change. What was open at a checkpoint (ticks, recent ids) is not
written: a restore computes it again from the last records of the log. The meta record has the position where those
begin.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
import xxhash

from detectors.failures import MachineError
from detectors.state.parts import TARGET_STATES, RecordKind
from detectors.state.target_state import STATE_VERSION, Agenda, TargetState
from streams.state.upgrades import UPGRADES

META_KEY = b"meta"
"""The key of the meta record. The keys of all others begin with the prefix of their kind."""

SEAL_BYTES = 5
SEALED, SEEDED = 2, 3
"""First version with a checksum, and first version that is the seed of its checksum."""
UNSEALED = 0x80
"""A first byte of at least this value begins a msgpack map or array: a record of version 1."""

_GARBAGE = (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, struct.error)
"""Exceptions when bytes that are no record are decoded."""
_VERSION = bytes((STATE_VERSION,))
encode = msgspec.msgpack.Encoder().encode


class StateError(MachineError):
    """State that this version cannot read."""


class MovedError(StateError):
    """The state was moved to topics with another prefix."""

    def __init__(self, where: str, to: str) -> None:
        super().__init__(f"{where} has moved: set log_prefix and state_prefix to {to!r}, and partitions to match")
        self.to = to


class DamagedError(StateError):
    """A record whose bytes are not those that were written."""


class Meta(msgspec.Struct):
    """The meta record, which is the last of every checkpoint: a task's state that is in no part, and its position."""

    version: int
    position: int
    audit: Any
    """state of the role, as builtins"""
    born: str = ""
    """random id of the changelog: one that is created again under the same name has another"""
    totals: list[list[int]] = []
    """see TargetGauges.totals"""
    configs: list[tuple[int, str]] = []
    """position of the log → the configuration from there on: the first and the last ones"""
    moved_to: str = ""
    """prefix of the topics where the state continues; empty if it is here"""
    unjudged: list[tuple[int, int]] = []
    """ranges (first, last) of positions of the log whose events were counted and not judged"""
    undone: list[int] = []
    """the last column of the totals. It came later; an older worker would not accept longer rows"""

    def with_totals(self, totals: list[list[int]]) -> Meta:
        """Set the totals, with all columns, and return this record."""
        self.totals, self.undone = [row[:-1] for row in totals], [row[-1] for row in totals]
        return self

    def all_totals(self) -> list[list[int]]:
        """The totals with all columns."""
        undone = self.undone or [0] * len(self.totals)
        return [[*row, last] for row, last in zip(self.totals, undone, strict=True)]


def encode_meta(meta: Meta) -> bytes:
    """Encode the meta record."""
    return seal(encode(meta))


def meta_of(value: bytes) -> Meta:
    """Decode the meta record. Raises StateError."""
    meta: Meta = decode(value, Meta)
    return meta


# ---------------------------------------------------------------- records


def seal(payload: bytes) -> bytes:
    """Prefix a payload with version and checksum."""
    return _VERSION + xxhash.xxh32_digest(payload, STATE_VERSION) + payload


def unseal(value: bytes) -> tuple[int, bytes]:
    """Split a record into version and payload. Raises DamagedError, or StateError if a newer worker wrote it."""
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
    """Decode a record as a struct, or as builtins if ``as_type`` is Any. An older version is upgraded.

    Raises StateError.
    """
    return _decoded(*unseal(value), as_type)


def decode_all(values: Iterable[bytes], as_type: Any) -> list[Any]:
    """Decode many records of one type, in less time for each. Raises StateError."""
    decoder, digest, found = _decoder(as_type).decode, xxhash.xxh32_digest, []
    for value in values:
        payload = value[SEAL_BYTES:]
        whole = value[:1] == _VERSION and digest(payload, STATE_VERSION) == value[1:SEAL_BYTES]
        try:
            found.append(decoder(payload) if whole else decode(value, as_type))
        except _GARBAGE as error:
            raise DamagedError(f"a state record cannot be read: {error}") from error
    return found


def outlook_of(value: bytes, kind: RecordKind) -> Any:
    """Decode only the outlook of a record; a record of an older version is decoded as a whole. Raises StateError.

    A kind without outlook is decoded as a whole, too.
    """
    version, payload = unseal(value)
    as_type = kind.type if kind.outlook is None or version != STATE_VERSION else kind.outlook
    return _decoded(version, payload, as_type)


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


def encode_target(state: TargetState) -> bytes:
    """Encode a key's state."""
    return seal(encode(state))


def decode_target(value: bytes) -> TargetState:
    """Decode a key's state. Raises StateError."""
    state: TargetState = decode(value, TargetState)
    return state


def agenda_of(value: bytes) -> Agenda:
    """Decode the agenda of a key: what is scheduled for it. Raises StateError."""
    agenda: Agenda = outlook_of(value, TARGET_STATES).agenda()
    return agenda
