"""Cuts columns of events into the frames of each partition of a log."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.events.event import NOBODY
from streams.log.columns import EventColumns
from streams.log.frames import ActorFrame, Frame, encode
from streams.log.hashing import actor_partitions

MAX_FRAME_BYTES = 600_000
"""Well under the 1 MB that brokers accept by default."""

ACTOR_COLUMNS = ("metric", "actor", "network", "created", "watch_ms", "duration_ms", "undo", "rule", "history")
"""The columns of numbers that ``by-actor`` has beside offset and time."""


def target_frames(
    columns: EventColumns | None, partitions: int, head: Frame, before: int, *, due: bool
) -> Iterator[tuple[int, bytes]]:
    """The frames of ``by-target``: of each partition with events, and of every partition if watermarks are ``due``.

    ``head`` is the frame without events. ``before`` is the watermark before this batch, see ``packed``.
    """
    if columns is None:
        yield from _placed(None, [0] * (partitions + 1), head, before, due=due)
        return
    places = (columns.hashes % np.uint64(partitions)).astype(np.intp)
    cuts = _cuts(places, partitions)
    yield from _placed(columns.take(np.argsort(places, kind="stable")), cuts, head, before, due=due)


def actor_frames(
    columns: EventColumns | None, partitions: int, head: Frame, before: int, *, due: bool, pseudonyms: bool
) -> Iterator[tuple[int, bytes]]:
    """As ``target_frames``, for ``by-actor``. Events without an actor are left out."""
    rows = None if columns is None else np.flatnonzero(columns.numbers["actor"] != NOBODY)
    if columns is None or rows is None or not len(rows):
        yield from _placed(None, [0] * (partitions + 1), head, before, due=due)
        return
    places = actor_partitions(columns.numbers["actor"][rows].astype(np.int64, copy=False), partitions)
    chosen = columns.of_actors(ACTOR_COLUMNS, names=not pseudonyms).take(rows[np.argsort(places, kind="stable")])
    frame = ActorFrame(*(getattr(head, name) for name in head.__struct_fields__))
    yield from _placed(chosen, _cuts(places, partitions), frame, before, due=due)


def _cuts(places: NDArray[np.intp], partitions: int) -> list[int]:
    """The row where each partition begins, and the end, if rows are sorted by partition."""
    return [0, *np.cumsum(np.bincount(places, minlength=partitions)).tolist()]


def _placed(
    columns: EventColumns | None, cuts: list[int], head: Frame, before: int, *, due: bool
) -> Iterator[tuple[int, bytes]]:
    empty = encode(head) if due else b""
    for place, (begin, end) in enumerate(pairwise(cuts)):
        if columns is not None and begin < end:
            for value in packed(columns, range(begin, end), head, before):
                yield place, value
        elif due:
            yield place, empty


def packed(columns: EventColumns, rows: range, head: Frame, before: int) -> list[bytes]:
    """Encode rows as one frame, or as several if one would be too large for the log.

    Events of one record stay in one frame: a reader that restarts between them would skip the later ones as already
    read. If they are too large for a frame, their sessions are dropped, which no detector reads. The rest always fits,
    because ids are bounded, and so is the number of events of a record.
    All frames but the last have the watermark ``before`` the batch: time moves when all events are written.
    """
    frame = replace(head)
    columns.fill(frame, rows.start, rows.stop)
    value = encode(frame)
    if len(value) <= MAX_FRAME_BYTES:
        return [value]
    middle = _middle(columns.offset, rows)
    if middle is None:
        return [encode(replace(frame, session=None))]
    cut = int(columns.offset[middle])
    earlier = replace(head, next=cut, watermark=before)
    first = packed(columns, range(rows.start, middle), earlier, before)
    return first + packed(columns, range(middle, rows.stop), replace(head, first=cut), before)


def _middle(offset: NDArray[np.int64], rows: range) -> int | None:
    """The row nearest to the middle that is the first row of its record; None if all rows are of one record."""
    here = offset[rows.start : rows.stop]
    half = len(here) // 2
    begins = (int(np.searchsorted(here, here[half], side)) for side in ("left", "right"))
    between = [begin for begin in begins if 0 < begin < len(here)]
    return rows.start + min(between, key=lambda begin: abs(begin - half)) if between else None
