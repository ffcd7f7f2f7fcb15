"""Events of a batch as columns of numbers, from which frames are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.events.actor import with_account
from streams.log.frames import GIVEN, MARKS, TEXTS, Frame, Numbers, has_values
from streams.log.hashing import (
    Hashes,
    NameHasher,
    NetworkHasher,
    actor_hashes,
    agent_of,
    hashes,
    identities,
    referrer_host,
)

HASHERS: dict[str, tuple[str, NameHasher | NetworkHasher]] = {
    "network": ("ip", NetworkHasher()),
    "agent": ("user_agent", NameHasher(agent_of)),
    "referrer": ("referrer", NameHasher(referrer_host)),
    "country": ("country", NameHasher(lambda country: country)),
}
"""Column of a frame → the field of the event, and the hasher of its values."""


@dataclass(slots=True)
class EventColumns:
    """The events of a batch, one column for each field.

    In a column of numbers, -1 means "not given". A column in which no event has a value is missing (see Frame).
    """

    target: list[str]
    hashes: Hashes
    """of the targets"""
    offset: NDArray[np.int64]
    """offsets in the input, ascending"""
    ts: NDArray[np.int64]
    """epoch ms"""
    numbers: dict[str, Numbers]
    """the other columns of frames.NUMBERS, each in the narrowest width that fits"""
    texts: dict[str, Sequence[str | None]]
    sparse: frozenset[str]
    """columns that may be without any value in a part of the events"""
    names: Sequence[str | None] | None = None
    """the actors as texts, for ``of_actors``; None if they are not needed. ``take`` drops them"""

    def take(self, rows: NDArray[np.intp]) -> EventColumns:
        """Select rows, in the given order."""
        places = rows.tolist()
        return EventColumns(
            [self.target[place] for place in places],
            self.hashes[rows],
            self.offset[rows],
            self.ts[rows],
            {name: column[rows] for name, column in self.numbers.items()},
            {name: [column[place] for place in places] for name, column in self.texts.items()},
            self.sparse,
        )

    def of_actors(self, columns: Sequence[str], *, names: bool) -> EventColumns:
        """The part of these columns that ``by-actor`` has. ``names``: with the actors as texts."""
        texts = {name: texts for name, texts in self.texts.items() if name == "owner"}
        if names:
            assert self.names is not None
            texts["name"] = self.names
        return EventColumns(
            self.target,
            self.hashes,
            self.offset,
            self.ts,
            {name: self.numbers[name] for name in columns if name in self.numbers},
            texts,
            self.sparse,
        )

    def fill(self, frame: Frame, begin: int, end: int) -> None:
        """Set a frame's columns from the rows ``begin`` to ``end`` - 1."""
        frame.target = self.target[begin:end]
        offset = self.offset[begin:end] - frame.first
        frame.offset = narrow(offset, int(offset[-1])).tobytes()
        times = self.ts[begin:end]
        frame.ts_from = int(times.min())
        times = times - frame.ts_from
        frame.ts = narrow(times, int(times.max())).tobytes()
        for name, column in self.numbers.items():
            part = column[begin:end]
            if name not in self.sparse or has_values(name, part):
                setattr(frame, name, part.tobytes())
        for name, texts in self.texts.items():
            cut = list(texts[begin:end])
            if any(text is not None for text in cut):
                setattr(frame, name, cut)


def event_columns(
    fields: dict[str, Sequence[Any]],
    *,
    offset: NDArray[np.int64],
    metric: NDArray[np.int8],
    ts: NDArray[np.int64],
    tags: Sequence[int] | None = None,
    hashers: Mapping[str, tuple[str, NameHasher | NetworkHasher]] = HASHERS,
    plain_addresses: bool = False,
) -> EventColumns:
    """Make columns from the fields of native events (name → one value for each event).

    ``offset`` must ascend. ``tags`` are the tags of the rules (Frame.rule). ``plain_addresses`` is true if every value
    of ``ip`` is known to be IPv4.
    """
    targets = hashes(fields["target"])
    numbers: dict[str, Numbers] = {"metric": metric}
    created = _optional(fields["actor_created_at"])
    actors = actor_hashes(fields["actor"])
    numbers["actor"] = actors if created is None else with_account(actors, created >= 0)
    ids = fields["id"]
    if not is_empty(ids):
        numbers["ident"] = identities(ids, targets, metric)
    for name, (field, hasher) in hashers.items():
        column = fields[field]
        if not is_empty(column):
            plain = plain_addresses and isinstance(hasher, NetworkHasher)
            numbers[name] = hasher.plain_column(column) if plain else hasher.column(column)  # type: ignore[union-attr]  # as above
    if created is not None:
        numbers["created"] = created
    for name in ("watch_ms", "duration_ms"):
        spans = _optional(fields[name])
        if spans is not None:
            numbers[name] = narrow(spans, int(spans.max()))
    for name in ("undo", "history"):
        marked = fields[name]
        if marked.count(False) < len(marked):  # takes a third of the time of ``True in marked``
            numbers[name] = np.fromiter(marked, np.int8, len(marked))
    if tags is not None:
        numbers["rule"] = np.array(tags, np.int8)
    texts = {name: fields[name] for name in TEXTS if not is_empty(fields[name])}
    sparse = {name for name in GIVEN if name in numbers and numbers[name].min() < 0}
    return EventColumns(list(fields["target"]), targets, offset, ts, numbers, texts, frozenset({*sparse, *MARKS}))


def joined(parts: Sequence[EventColumns]) -> EventColumns:
    """Join consecutive parts of a batch. A column that some parts lack gets -1 there (0 in MARKS)."""
    if len(parts) == 1:
        return parts[0]
    numbers: dict[str, Numbers] = {}
    for name in {name for part in parts for name in part.numbers}:
        lacking = 0 if name in MARKS else -1
        pieces = [part.numbers.get(name, np.full(len(part.ts), lacking, np.int8)) for part in parts]
        numbers[name] = np.concatenate(pieces)
    texts: dict[str, Sequence[str | None]] = {}
    for name in {name for part in parts for name in part.texts}:
        texts[name] = [text for part in parts for text in part.texts.get(name, [None] * len(part.ts))]
    sparse = {name for part in parts for name in part.sparse}
    sparse |= {name for part in parts for name in GIVEN if name in numbers and name not in part.numbers}
    return EventColumns(
        [target for part in parts for target in part.target],
        np.concatenate([part.hashes for part in parts]),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.ts for part in parts]),
        numbers,
        texts,
        frozenset(sparse),
        None if parts[0].names is None else [name for part in parts for name in part.names or ()],
    )


def is_empty(column: Sequence[Any]) -> bool:
    """Whether every value of a column is None."""
    return column[0] is None and column.count(None) == len(column)


def narrow(column: NDArray[np.int64], most: int) -> Numbers:
    """Convert a column of values from -1 to ``most`` to the narrowest width of a frame that fits."""
    for width, dtype in ((7, "<i1"), (15, "<i2"), (31, "<i4")):
        if most < 1 << width:
            return column.astype(dtype)
    return column


def _optional(column: Sequence[int | None]) -> NDArray[np.int64] | None:
    """Numbers with -1 for None; None if no value is given."""
    if is_empty(column):
        return None
    try:
        return np.fromiter(column, np.int64, len(column))
    except TypeError:
        return np.fromiter((-1 if value is None else value for value in column), np.int64, len(column))
