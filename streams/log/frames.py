"""Frames: the records of ``by-target`` and ``by-actor``. A frame has events of one source for one partition.

The events are columns. A frame names the input offsets that it was made from (``first`` ≤ offset < ``next``). A reader
that has read a source up to an offset skips what comes twice. A frame also has the watermark of its source, so that
partitions without events close their windows too. Ids of targets travel as text, all other names as hashes: each event
has its input offset, and the record at that offset has the texts.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

FRAME_VERSION = 3
"""Version 3 is version 2 with a column ``history``; ``actor`` is -1 where an event has no actor."""


class Frame(msgspec.Struct, array_like=True, gc=False):
    """One record of ``by-target``.

    A column of numbers has little-endian signed integers of 1, 2, 4 or 8 bytes; its length divided by the number of
    events gives the width. -1 means "not given". A column without any value is empty; every other column has as many
    values as ``target``.
    """

    version: int
    source: str
    first: int
    next: int
    watermark: int
    idle: bool
    roster: dict[str, int]
    ts_from: int = 0
    """epoch ms that is added to each value of ``ts``"""
    target: list[str] = []
    offset: bytes = b""
    """input offsets, minus ``first``"""
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
    """network, agent, referrer and country are hashes of hashing.NameHasher"""
    created: bytes = b""
    watch_ms: bytes = b""
    duration_ms: bytes = b""
    undo: bytes = b""
    """1 if the event is an undo, else 0"""
    rule: bytes = b""
    """the tag that ingest gave for the rules (detectors.intake.rules.reasons.TAGS); 0 is none"""
    session: list[str | None] | None = None
    owner: list[str | None] | None = None
    history: bytes = b""
    """1 if the event is historic, else 0"""
    written_ms: int = 0
    """wall time at which the frame was made, 0 if not known (frames of 0.2): see EventClock"""
    relations: bool = True
    """whether likes and follows of this source are states (``relations`` of its input)"""


class ActorFrame(Frame, array_like=True, gc=False):
    """One record of ``by-actor``. It lacks the columns that say nothing of an actor's conduct.

    A frame without events is the same in both logs.
    """

    name: list[str] | None = None
    """the actors as texts; None if the log has pseudonyms only"""


NEEDED = ("offset", "metric", "ts", "actor")
GIVEN = ("ident", "network", "agent", "referrer", "country", "created", "watch_ms", "duration_ms")
"""Columns of numbers that may be empty; -1 means "not given"."""
MARKS = ("undo", "rule", "history")
"""Columns of numbers that may be empty; 0 is the usual value."""
NUMBERS = (*NEEDED, *GIVEN, *MARKS)
TEXTS = ("session", "owner")

AnyFrame = TypeVar("AnyFrame", bound=Frame)

_WIDTHS: dict[int, Any] = {1: np.dtype("<i1"), 2: np.dtype("<i2"), 4: np.dtype("<i4"), 8: np.dtype("<i8")}
Numbers = NDArray[np.signedinteger[Any]]


_encoder = msgspec.msgpack.Encoder()


def encode(frame: Frame) -> bytes:
    """Encode a frame."""
    return _encoder.encode(frame)


def numbers(frame: Frame, name: str) -> Numbers:
    """Read a column of numbers that is not empty."""
    column: bytes = getattr(frame, name)
    values: Numbers = np.frombuffer(column, _WIDTHS[len(column) // len(frame.target)])
    return values


def wide(frame: Frame, name: str) -> NDArray[np.int64]:
    """Read a column of numbers that is not empty, in 8 bytes each: arithmetic overflows narrower ones."""
    return numbers(frame, name).astype(np.int64, copy=False)


def times(frame: Frame) -> NDArray[np.int64]:
    """Times of a frame's events, in epoch ms. The frame must have events."""
    return wide(frame, "ts") + np.int64(frame.ts_from)


def offsets(frame: Frame) -> NDArray[np.int64]:
    """Input offsets of a frame's events."""
    if not frame.target:
        return np.empty(0, np.int64)
    return wide(frame, "offset") + np.int64(frame.first)


def part_of(frame: AnyFrame, rows: NDArray[np.intp]) -> AnyFrame:
    """Select rows of a frame. Without any row, the frame still has its source's watermark."""
    places = rows.tolist()
    columns: dict[str, Any] = {"target": [frame.target[place] for place in places]}
    for name in NUMBERS:
        if getattr(frame, name):
            columns[name] = numbers(frame, name)[rows].tobytes()
    for name in TEXTS:
        column = getattr(frame, name)
        columns[name] = None if column is None else [column[place] for place in places]
    if isinstance(frame, ActorFrame) and frame.name is not None:
        columns["name"] = [frame.name[place] for place in places]
    return msgspec.structs.replace(frame, **columns)


def lean(frame: Frame) -> Frame:
    """Drop the columns without any value."""
    dropped: dict[str, Any] = {
        name: b"" for name in NUMBERS if getattr(frame, name) and not has_values(name, numbers(frame, name))
    }
    dropped |= {name: None for name in TEXTS if not any(text is not None for text in getattr(frame, name) or ())}
    return msgspec.structs.replace(frame, **dropped)


def has_values(name: str, part: Numbers) -> bool:
    """Whether a column has a value in any row: not -1 (0 in MARKS)."""
    if name in MARKS:
        return bool(part.any())
    return name in NEEDED or bool((part >= 0).any())
