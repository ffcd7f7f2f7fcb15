"""Decodes frames of this version and of versions 1 and 2, which retained logs may still contain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from detectors.events.event import METRICS
from detectors.intake.rules.reasons import TAGS
from streams.log.columns import HASHERS, event_columns
from streams.log.frames import FRAME_VERSION, NEEDED, NUMBERS, TEXTS, ActorFrame, Frame, numbers
from streams.log.hashing import NameHasher


class FrameError(ValueError):
    """A record of the log is no frame that this version can read."""


COLUMNAR = (2, FRAME_VERSION)
"""Versions that consist of columns. Version 2 lacks the last column, which is empty then."""

_decoder = msgspec.msgpack.Decoder(Frame)
_actor_decoder = msgspec.msgpack.Decoder(ActorFrame)


def decode(value: bytes | None) -> Frame:
    """Decode a frame of ``by-target``. Raises FrameError."""
    try:
        frame = _decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        older = _upgraded(value or b"")
        if older is None:
            raise FrameError(f"not a frame: {error}") from None
        return older
    _check(frame)
    return frame


def decode_actor_frame(value: bytes | None) -> ActorFrame:
    """Decode a frame of ``by-actor``. Raises FrameError."""
    try:
        frame = _actor_decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError(f"not a frame: {error}") from None
    _check(frame)
    if frame.name is not None and len(frame.name) != len(frame.target):
        raise FrameError(f"column name has {len(frame.name)} values for {len(frame.target)} events")
    return frame


def _check(frame: Frame) -> None:
    """Raise FrameError unless all columns of a frame fit together and have known values."""
    if frame.version not in COLUMNAR:
        raise FrameError(f"frame version {frame.version}; this worker reads 1 to {FRAME_VERSION}")
    size = len(frame.target)
    for name in NUMBERS:
        length = len(getattr(frame, name))
        if (length or name in NEEDED) and length not in (size, 2 * size, 4 * size, 8 * size):
            raise FrameError(f"column {name} has {length} bytes for {size} events")
    for name in TEXTS:
        column = getattr(frame, name)
        if column is not None and len(column) != size:
            raise FrameError(f"column {name} has {len(column)} values for {size} events")
    if size:
        metric = numbers(frame, "metric")
        if metric.min() < 0 or metric.max() >= len(METRICS):
            raise FrameError("a metric that this version does not know")
        if frame.rule:
            rule = numbers(frame, "rule")
            if rule.min() < 0 or rule.max() >= len(TAGS):
                raise FrameError("a rule that this version does not know")


class FrameOfTexts(msgspec.Struct, array_like=True, gc=False):
    """A frame of version 1: texts and lists. Networks and hosts are already derived; optional columns may be None."""

    version: Literal[1]
    source: str
    first: int
    next: int
    watermark: int
    idle: bool
    roster: dict[str, int]
    offset: list[int] = []
    target: list[str] = []
    metric: list[int] = []
    ts: list[int] = []
    actor: list[str] = []
    id: list[str | None] | None = None
    network: list[str | None] | None = None
    agent: list[str | None] | None = None
    referrer: list[str | None] | None = None
    country: list[str | None] | None = None
    created: list[int | None] | None = None
    watch_ms: list[int | None] | None = None
    duration_ms: list[int | None] | None = None
    session: list[str | None] | None = None
    owner: list[str | None] | None = None
    undo: list[bool] | None = None
    rule: list[int] | None = None


COLUMNS = FrameOfTexts.__struct_fields__[7:]
_HASHERS = {name: (name, NameHasher(lambda text: text)) for name in HASHERS}
_older_decoder = msgspec.msgpack.Decoder(FrameOfTexts)


def _upgraded(value: bytes) -> Frame | None:
    """Convert a frame of version 1 to this version; None if the bytes are no such frame."""
    try:
        older = _older_decoder.decode(value)
        offset, metric, ts = (np.array(column, np.int64) for column in (older.offset, older.metric, older.ts))
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError):
        return None
    frame = Frame(FRAME_VERSION, older.source, older.first, older.next, older.watermark, older.idle, older.roster)
    size = len(older.target)
    columns: dict[str, Sequence[Any] | None] = {name: getattr(older, name) for name in COLUMNS}
    if any(column is not None and len(column) != size for column in columns.values()):
        return None
    if size == 0:
        return frame
    if metric.min() < 0 or metric.max() >= len(METRICS) or not set(older.rule or ()).issubset(range(len(TAGS))):
        return None
    fields = {name: [None] * size if column is None else column for name, column in columns.items()}
    fields["actor_created_at"] = fields["created"]
    fields["undo"] = older.undo or [False] * size
    fields["history"] = [False] * size
    try:
        event_columns(
            fields,
            offset=offset + older.first,
            metric=metric.astype(np.int8),
            ts=ts,
            tags=older.rule,
            hashers=_HASHERS,
        ).fill(frame, 0, size)
    except OverflowError:  # a number of more than 8 bytes
        return None
    return frame
