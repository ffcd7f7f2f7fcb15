"""A block of events, prepared before any state of the audit changes: a bad block fails without effect."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.events.block import FEW_EVENTS, Column, EventBlock
from detectors.events.key import VIEW
from detectors.failures import UNCONTAINED
from detectors.intake import history
from detectors.intake.heap import WHOLE, Moments, pack_moment
from detectors.intake.related import UNRELATED
from detectors.intake.rules.reasons import EXEMPT
from detectors.intake.ticks import MAX_SPENT_MS, TickPart, moments_of, rows_of
from detectors.windows.crowd import Packed, pack_row
from detectors.windows.sample import COLUMNS

Few = list[tuple[bytes, bytes]]
"""By event: packed row and packed moment."""
Many = tuple[NDArray[np.int64], Packed, Moments]
"""As columns: starts of the events' ticks, packed rows, moments."""


class BlockError(Exception):
    """A block of events that cannot be observed. None of its events was taken."""


class Prepared(NamedTuple):
    """A block of events, split into historic and live ones."""

    live: EventBlock | None
    """the block without its historic events; None if there are no others"""
    packed: Few | Many | None
    """the live events as ticks take them; None if they are only counted"""
    historic: list[int]
    """places of the historic events"""
    places: list[int] | None
    """places of the live events in the whole block; None if all are live"""


def parted(block: EventBlock) -> Prepared:
    """Split a block into historic and live events, without packing them."""
    if block.history is None:
        return Prepared(block, None, [], None)
    historic, live, places = history.parted(block, as_lists_below=FEW_EVENTS)
    return Prepared(live, None, historic, places)


def prepare(block: EventBlock, tick_ms: int) -> Prepared:
    """Split a block and pack its live events for ticks of this span. Raises BlockError."""
    try:
        prepared = parted(block)
        return prepared if prepared.live is None else prepared._replace(packed=_packed(prepared.live, tick_ms))
    except UNCONTAINED:
        raise
    except Exception as error:
        raise BlockError(repr(error)) from error


def _packed(block: EventBlock, tick_ms: int) -> Few | Many:
    if len(block.target) < FEW_EVENTS:
        return _few(block, tick_ms)
    ts = np.asarray(block.ts, np.int64)
    starts = ts - ts % tick_ms
    if len(ts) < FEW_EVENTS * (int(starts.max() - starts.min()) // tick_ms + 1):
        return _few(block, tick_ms)  # a few events for each of many ticks
    return starts, rows_of(block).view(WHOLE), moments_of(block, ts - starts)


def _few(block: EventBlock, tick_ms: int) -> Few:
    count = len(block.target)
    columns = [listed(block.actor, count), *(listed(getattr(block, name), count) for name in COLUMNS)]
    rows = map(pack_row, *columns)
    at = [ts % tick_ms for ts in listed(block.ts, count)]
    if block.rule is not None:
        at = [-1 if rule == EXEMPT else moment for rule, moment in zip(listed(block.rule, count), at, strict=True)]
    spent = [min(each, MAX_SPENT_MS) for each in listed(block.spent, count)]
    if block.unrelated is not None:
        marks = zip(block.unrelated, block.metric, strict=True)
        spent = [UNRELATED if mark and metric != VIEW else of for of, (mark, metric) in zip(spent, marks, strict=True)]
    return list(zip(rows, map(pack_moment, at, spent), strict=True))


def parts_by_tick(block: EventBlock, packed: Many, left: NDArray[np.bool_]) -> Iterator[TickPart]:
    """The events of a block for which ``left`` is true, by tick, in order of time. Within a tick they stay in order."""
    starts, rows, moments = packed
    metrics, targets = block.metric, block.target
    owners = None if block.owner is None else listed(block.owner, len(targets))
    if not left.all() or (starts[1:] < starts[:-1]).any():
        order = np.nonzero(left)[0]
        order = order[np.argsort(starts[order], kind="stable")]
        starts, rows, moments = starts[order], rows[order], moments[order]
        places = order.tolist()
        metrics, targets = [metrics[place] for place in places], [targets[place] for place in places]
        owners = None if owners is None else [owners[place] for place in places]
    if not len(starts):
        return
    begins = [0, *(np.nonzero(starts[1:] != starts[:-1])[0] + 1).tolist()]
    for begin, end in pairwise([*begins, len(starts)]):
        here = slice(begin, end)
        yield TickPart(
            int(starts[begin]),
            *(metrics[here], targets[here], rows[here], moments[here]),
            None if owners is None else owners[here],
        )


def listed(column: Column | None, count: int) -> list[int]:
    """A column as a list of ints; -1 for each of ``count`` events if it was not given."""
    if column is None:
        return [-1] * count
    return column if isinstance(column, list) else column.tolist()


def is_exempt(block: EventBlock, index: int) -> bool:
    """Whether no rule applies to an event."""
    return block.rule is not None and bool(block.rule[index] == EXEMPT)
