"""Frames: what travels in ``by-target``. Events of one source for one partition, packed in columns, and a watermark.

A frame tells from which input offsets it was made (``first`` ≤ offset < ``next``), so a reader that has seen a
source up to an offset skips what comes again; and how far its source's time has come, so quiet partitions still close.
Names other than targets' travel as hashes: each event has its input offset, and the record there has the texts.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.events.block import FEW_EVENTS, EventBlock
from detectors.events.buckets import MIX_BUCKETS, NETWORK_BUCKETS, account_buckets, country_offset
from detectors.events.watch_buckets import watch_buckets
from streams.log.hashing import Mix

FRAME_VERSION = 3
"""Version 3 is version 2 with a column ``history``; ``actor`` is -1 where an event has no actor."""


class Frame(msgspec.Struct, array_like=True, gc=False):
    """See the module.

    Columns of numbers are little-endian signed integers, 1, 2, 4 or 8 bytes each: their length tells which. -1 is
    "not given", and a column in which nothing is given is empty. All others are as long as ``target``.
    """

    version: int
    source: str
    first: int
    next: int
    watermark: int
    idle: bool
    roster: dict[str, int]
    ts_from: int = 0
    """epoch ms from which ``ts`` counts"""
    target: list[str] = []
    offset: bytes = b""
    """from ``first``"""
    metric: bytes = b""
    ts: bytes = b""
    actor: bytes = b""
    """hashing.actor_hashes, -1 where an event has no actor"""
    ident: bytes = b""
    """hashing.identities"""
    network: bytes = b""
    agent: bytes = b""
    referrer: bytes = b""
    country: bytes = b""
    """names.Mix"""
    created: bytes = b""
    watch_ms: bytes = b""
    duration_ms: bytes = b""
    undo: bytes = b""
    """1 where it undoes, else 0"""
    rule: bytes = b""
    """what ingest found out for the rules (detectors.intake.rules.reasons.TAGS), 0 is nothing"""
    session: list[str | None] | None = None
    owner: list[str | None] | None = None
    history: bytes = b""
    """1 where the event is historic, else 0"""


NEEDED = ("offset", "metric", "ts", "actor")
GIVEN = ("ident", "network", "agent", "referrer", "country", "created", "watch_ms", "duration_ms")
"""Columns of numbers that may be empty, and hold -1 where nothing is given."""
MARKS = ("undo", "rule", "history")
"""Columns of numbers that may be empty, and hold 0 where there is nothing to tell."""
NUMBERS = (*NEEDED, *GIVEN, *MARKS)
TEXTS = ("session", "owner")

_owners = Mix(str)

_WIDTHS: dict[int, Any] = {1: np.dtype("<i1"), 2: np.dtype("<i2"), 4: np.dtype("<i4"), 8: np.dtype("<i8")}
Numbers = NDArray[np.signedinteger[Any]]


_encoder = msgspec.msgpack.Encoder()


def encode(frame: Frame) -> bytes:
    """Frame to bytes."""
    return _encoder.encode(frame)


def numbers(frame: Frame, name: str) -> Numbers:
    """A column of numbers that is not empty."""
    column: bytes = getattr(frame, name)
    values: Numbers = np.frombuffer(column, _WIDTHS[len(column) // len(frame.target)])
    return values


def wide(frame: Frame, name: str) -> NDArray[np.int64]:
    """A column of numbers that is not empty, 8 bytes each: narrow ones overflow as soon as something is computed."""
    return numbers(frame, name).astype(np.int64, copy=False)


def times(frame: Frame) -> NDArray[np.int64]:
    """When the events of a frame that has some were, in epoch ms."""
    return wide(frame, "ts") + np.int64(frame.ts_from)


def offsets(frame: Frame) -> NDArray[np.int64]:
    """The input offsets of the events of a frame."""
    if not frame.target:
        return np.empty(0, np.int64)
    return wide(frame, "offset") + np.int64(frame.first)


def part_of(frame: Frame, rows: NDArray[np.intp]) -> Frame:
    """A frame with these rows of another and the same columns; without any it still tells its source's time."""
    places = rows.tolist()
    columns: dict[str, Any] = {"target": [frame.target[place] for place in places]}
    for name in NUMBERS:
        if getattr(frame, name):
            columns[name] = numbers(frame, name)[rows].tobytes()
    for name in TEXTS:
        column = getattr(frame, name)
        columns[name] = None if column is None else [column[place] for place in places]
    return msgspec.structs.replace(frame, **columns)


def lean(frame: Frame) -> Frame:
    """The same frame without columns that tell nothing."""
    dropped: dict[str, Any] = {
        name: b"" for name in NUMBERS if getattr(frame, name) and not told(name, numbers(frame, name))
    }
    dropped |= {name: None for name in TEXTS if not any(text is not None for text in getattr(frame, name) or ())}
    return msgspec.structs.replace(frame, **dropped)


def told(name: str, part: Numbers) -> bool:
    """Whether a column tells anything."""
    if name in MARKS:
        return bool(part.any())
    return name in NEEDED or bool((part >= 0).any())


def block_of(frame: Frame, seen_offset: int) -> EventBlock | None:
    """The frame's events as the detectors read them, less those below ``seen_offset`` of their source."""
    if not frame.target:
        return None
    if frame.first < seen_offset:
        frame = part_of(frame, np.nonzero(offsets(frame) >= seen_offset)[0])
        if not frame.target:
            return None
    ts = times(frame)
    created, watch_ms, duration_ms = (
        wide(frame, name) if getattr(frame, name) else None for name in ("created", "watch_ms", "duration_ms")
    )
    country = _buckets(frame, "country", MIX_BUCKETS)
    network = _buckets(frame, "network", NETWORK_BUCKETS)
    if network is not None and country is not None:
        network = np.where(network < 0, network, network + country_offset(country))
    block = EventBlock(
        target=frame.target,
        metric=numbers(frame, "metric").tolist(),
        ts=ts,
        actor=numbers(frame, "actor"),
        ident=_given(frame, "ident"),
        network=network,
        agent=_buckets(frame, "agent", MIX_BUCKETS),
        referrer=_buckets(frame, "referrer", MIX_BUCKETS),
        country=country,
        account=None if created is None else account_buckets(created, ts),
        watch=None if watch_ms is None or duration_ms is None else watch_buckets(watch_ms, duration_ms),
        undo=numbers(frame, "undo").astype(bool).tolist() if frame.undo else None,
        spent=watch_ms,
        rule=_given(frame, "rule"),
        owner=None if frame.owner is None else _owners.column(frame.owner),
        history=numbers(frame, "history").astype(bool).tolist() if frame.history else None,
    )
    return _listed(block) if len(frame.target) < FEW_EVENTS else block


def countable(frame: Frame, seen_offset: int) -> EventBlock | None:
    """As ``block_of``, with no more than it takes to count the events, and nothing computed in columns."""
    if not frame.target:
        return None
    first, begin = frame.first, frame.ts_from
    rows = [row for row, offset in enumerate(numbers(frame, "offset").tolist()) if first + offset >= seen_offset]
    if not rows:
        return None

    def column(name: str) -> list[int] | None:
        values = numbers(frame, name).tolist() if getattr(frame, name) else None
        return None if values is None else [values[row] for row in rows]

    undo, history = column("undo"), column("history")
    return EventBlock(
        target=[frame.target[row] for row in rows],
        metric=column("metric") or [],
        ts=[begin + ts for ts in column("ts") or []],
        actor=column("actor") or [],
        ident=column("ident"),
        undo=None if undo is None else [bool(value) for value in undo],
        rule=column("rule"),
        history=None if history is None else [bool(value) for value in history],
    )


def _given(frame: Frame, name: str) -> Numbers | None:
    return numbers(frame, name) if getattr(frame, name) else None


def _buckets(frame: Frame, name: str, size: int) -> NDArray[np.int32] | None:
    """The lowest bits of a column's hashes, -1 where it has -1. ``size`` is a power of two."""
    column = getattr(frame, name)
    if not column:
        return None
    hashed = numbers(frame, name).astype(np.int32, copy=False)
    buckets: NDArray[np.int32] = hashed & (size - 1) | hashed >> 31
    return buckets


def _listed(block: EventBlock) -> EventBlock:
    """The same with lists for arrays: what takes few events takes them one by one."""
    for name in block.__struct_fields__:
        column = getattr(block, name)
        if isinstance(column, np.ndarray):
            setattr(block, name, column.tolist())
    return block
