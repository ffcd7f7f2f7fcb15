"""Historic events, of a snapshot or a backfill: they are counted when they are read, and never judged.

A snapshot has thousands of events at one moment, and a backfill has the events of many days: neither is a burst. So a
historic event is in no window, and no level, rate or mix is learned from it. Only its actor is added to the known ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from detectors.events.block import EventBlock
from detectors.events.event import NOBODY
from detectors.events.key import Key, key_of
from detectors.intake.related import related
from detectors.records import Hit, Outcome
from detectors.state.ledger import DUPLICATE_ID

VALID = ""
"""In place of a reason: no rule has caught the event."""


class HistoricCounts(Protocol):
    """Counts events that are in no open tick. The audit implements it."""

    def enter_at_once(
        self, events: Hit, *, undo: bool, outcome: Outcome, related: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Count events that are in no open tick. Their reason is why they are invalid, or VALID.

        ``related`` are those of them that are states (actor and time), in the order of the log.
        """
        ...

    def learn_historic_actors(self, metric: int, actors: list[int]) -> None:
        """Add the actors of historic events to the known ones."""
        ...


class Parted(NamedTuple):
    """Places of a block's historic events, and a block of the live ones (None if there are none)."""

    historic: list[int]
    live: EventBlock | None
    places: list[int]
    """of the live events in the whole block"""


def parted(block: EventBlock, *, as_lists_below: int) -> Parted:
    """Split a block. Fewer live events than ``as_lists_below`` get lists as columns."""
    historic = np.asarray(block.history, bool)
    left = np.nonzero(~historic)[0].tolist()
    live = _part(block, left, as_lists=len(left) < as_lists_below) if left else None
    return Parted(np.nonzero(historic)[0].tolist(), live, left)


def _part(block: EventBlock, places: list[int], *, as_lists: bool) -> EventBlock:
    columns: dict[str, Any] = {}
    for name in block.__struct_fields__:
        column = getattr(block, name)
        if isinstance(column, np.ndarray):
            column = column[places]
            columns[name] = column.tolist() if as_lists else column
        elif column is not None:
            columns[name] = [column[place] for place in places]
    columns["history"] = None
    return EventBlock(**columns)


def enter(
    block: EventBlock, places: list[int], hits: Mapping[int, str], counts: HistoricCounts, outcome: Outcome
) -> None:
    """Count the historic events of a block, at ``places``, in their order."""
    waiting: dict[tuple[Key, str], tuple[list[int], list[tuple[int, int]]]] = {}
    actors: dict[int, list[int]] = {}
    for place in places:
        metric, reason, ts = block.metric[place], hits.get(place, VALID), int(block.ts[place])
        key = key_of(metric, block.target[place])
        outcome.historic += 1
        outcome.duplicates += reason == DUPLICATE_ID
        if block.undo is not None and block.undo[place]:
            if reason == DUPLICATE_ID:
                continue
            _flush(waiting, (key, reason), counts, outcome)  # it undoes only earlier events
            who = related(block, place) if reason == VALID else ()
            counts.enter_at_once(Hit(key, reason, ts, ts + 1, 1), undo=True, outcome=outcome, related=who)
            continue
        span, who_acted = waiting.setdefault((key, reason), ([0, ts, ts], []))
        span[0] += 1
        span[1], span[2] = min(span[1], ts), max(span[2], ts)
        actor = int(block.actor[place])
        if reason == VALID:
            who_acted += related(block, place)
        if reason == VALID and actor != NOBODY:
            actors.setdefault(metric, []).append(actor)
    for group in list(waiting):
        _flush(waiting, group, counts, outcome)
    for metric, came in actors.items():
        counts.learn_historic_actors(metric, came)


def _flush(
    waiting: dict[tuple[Key, str], tuple[list[int], list[tuple[int, int]]]],
    group: tuple[Key, str],
    counts: HistoricCounts,
    outcome: Outcome,
) -> None:
    found = waiting.pop(group, None)
    if found is not None:
        (count, first, last), who = found
        counts.enter_at_once(Hit(*group, first, last + 1, count), undo=False, outcome=outcome, related=who)
