"""Frames into blocks: the events of a frame in the form in which the detectors read them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.events.block import FEW_EVENTS, EventBlock
from detectors.events.buckets import MIX_BUCKETS, NETWORK_BUCKETS, account_buckets, country_offset
from detectors.events.watch_buckets import watch_buckets
from streams.log.frames import Frame, Numbers, numbers, offsets, part_of, times, wide
from streams.log.hashing import NameHasher

_owners = NameHasher(str)


def block_of(frame: Frame, seen_offset: int) -> EventBlock | None:
    """Make the block of a frame's events. Events below ``seen_offset`` of their source are left out."""
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
        unrelated=None if frame.relations else [True] * len(frame.target),
    )
    return _listed(block) if len(frame.target) < FEW_EVENTS else block


def countable(frame: Frame, seen_offset: int) -> EventBlock | None:
    """As ``block_of``, with only what counting needs. Nothing is computed in columns, which may be what failed."""
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
        unrelated=None if frame.relations else [True] * len(rows),
    )


def _given(frame: Frame, name: str) -> Numbers | None:
    return numbers(frame, name) if getattr(frame, name) else None


def _buckets(frame: Frame, name: str, size: int) -> NDArray[np.int32] | None:
    """Buckets of a column: the lowest bits of each hash, -1 stays -1. ``size`` is a power of two."""
    column = getattr(frame, name)
    if not column:
        return None
    hashed = numbers(frame, name).astype(np.int32, copy=False)
    buckets: NDArray[np.int32] = hashed & (size - 1) | hashed >> 31
    return buckets


def _listed(block: EventBlock) -> EventBlock:
    """Replace arrays by lists: few events are processed one by one."""
    for name in block.__struct_fields__:
        column = getattr(block, name)
        if isinstance(column, np.ndarray):
            setattr(block, name, column.tolist())
    return block
