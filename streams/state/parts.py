"""Converts the parts of a task's stored state (``detectors.state.parts``) to changelog records and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from detectors.state.parts import Part, RecordKind
from streams.state.sealed import decode, encode, seal


def dump_parts(parts: Iterable[Part]) -> list[tuple[bytes, bytes]]:
    """The records that have changed since the last call, part by part.

    The meta record is not included. It must be the last record of a checkpoint: a restore ignores records without it.
    """
    records: list[tuple[bytes, bytes]] = []
    for part in parts:
        prefix = part.kind.prefix
        records += [(prefix + suffix.encode(), seal(encode(state))) for suffix, state in part.take_changed()]
    return records


def dump_or_delete(parts: Iterable[Part]) -> list[tuple[bytes, bytes | None]]:
    """As ``dump_parts``, for parts that delete records: the value of a deleted one is None, also in the result."""
    records: list[tuple[bytes, bytes | None]] = []
    for part in parts:
        prefix = part.kind.prefix
        for suffix, state in part.take_changed():
            records.append((prefix + suffix.encode(), None if state is None else seal(encode(state))))
    return records


def load_parts(parts: Iterable[Part], saved: Mapping[bytes, bytes]) -> None:
    """Load the newest records by key, part by part. Records of no part are skipped. Raises StateError."""
    parts = list(parts)
    kinds = [part.kind for part in parts]
    of_kind: dict[bytes, list[bytes]] = {kind.prefix: [] for kind in kinds}
    for key in saved:
        kind = kind_of(key, kinds)
        if kind is not None:
            of_kind[kind.prefix].append(key)
    for part in parts:
        prefix, type_ = part.kind.prefix, part.kind.type
        for key in of_kind[prefix]:
            part.load(key[len(prefix) :].decode(), decode(saved[key], type_))


def kind_of(key: bytes, kinds: Iterable[RecordKind]) -> RecordKind | None:
    """The kind of a record: the one with the longest prefix that matches its key; None if none matches.

    >>> from detectors.state.parts import AUDIT_KINDS
    >>> [kind_of(key, AUDIT_KINDS).prefix for key in (b"w/0v1", b"platform/0", b"platform/days/0", b"platform/rulings")]
    [b'w/', b'platform/', b'platform/days/', b'platform/rulings']
    >>> kind_of(b"meta", AUDIT_KINDS) is None
    True
    """
    return max((kind for kind in kinds if key.startswith(kind.prefix)), key=lambda kind: len(kind.prefix), default=None)
