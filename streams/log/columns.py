"""The events of a batch as columns of numbers, and frames cut out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.events.actor import with_account
from streams.log.frames import GIVEN, MARKS, TEXTS, Frame, Numbers, told
from streams.log.hashing import Hashes, Mix, Networks, actor_hashes, agent_of, hashes, identities, referrer_host

MIXES: dict[str, tuple[str, Mix | Networks]] = {
    "network": ("ip", Networks()),
    "agent": ("user_agent", Mix(agent_of)),
    "referrer": ("referrer", Mix(referrer_host)),
    "country": ("country", Mix(lambda country: country)),
}
"""Columns of names → the event's field, and what is made of it."""


@dataclass(slots=True)
class Columns:
    """See the module. -1 is "not given"; a column is None where nothing is given at all (see Frame)."""

    target: list[str]
    hashes: Hashes
    """of the targets"""
    offset: NDArray[np.int64]
    """of the input"""
    ts: NDArray[np.int64]
    """epoch ms"""
    numbers: dict[str, Numbers]
    """the others of frames.NUMBERS, as narrow as they may be"""
    texts: dict[str, Sequence[str | None]]
    sparse: frozenset[str]
    """those that may tell nothing where few of the events are taken"""

    def take(self, rows: NDArray[np.intp]) -> Columns:
        """The same with these rows in this order."""
        places = rows.tolist()
        return Columns(
            [self.target[place] for place in places],
            self.hashes[rows],
            self.offset[rows],
            self.ts[rows],
            {name: column[rows] for name, column in self.numbers.items()},
            {name: [column[place] for place in places] for name, column in self.texts.items()},
            self.sparse,
        )

    def fill(self, frame: Frame, begin: int, end: int) -> None:
        """Set a frame's columns from the rows ``begin`` … ``end`` - 1."""
        frame.target = self.target[begin:end]
        offset = self.offset[begin:end] - frame.first
        frame.offset = narrow(offset, int(offset[-1])).tobytes()
        times = self.ts[begin:end]
        frame.ts_from = int(times.min())
        times = times - frame.ts_from
        frame.ts = narrow(times, int(times.max())).tobytes()
        for name, column in self.numbers.items():
            part = column[begin:end]
            if name not in self.sparse or told(name, part):
                setattr(frame, name, part.tobytes())
        for name, texts in self.texts.items():
            cut = list(texts[begin:end])
            if any(text is not None for text in cut):
                setattr(frame, name, cut)


def columns_of(
    fields: dict[str, Sequence[Any]],
    *,
    offset: NDArray[np.int64],
    metric: NDArray[np.int8],
    ts: NDArray[np.int64],
    tags: Sequence[int] | None = None,
    mixes: Mapping[str, tuple[str, Mix | Networks]] = MIXES,
    plain_addresses: bool = False,
) -> Columns:
    """Columns from the fields of native events (name → one value an event).

    ``offset`` ascends; ``tags`` are the rules' (Frame.rule); ``plain_addresses`` says that all of ``ip`` is IPv4.
    """
    targets = hashes(fields["target"])
    numbers: dict[str, Numbers] = {"metric": metric}
    created = _optional(fields["actor_created_at"])
    actors = actor_hashes(fields["actor"])
    numbers["actor"] = actors if created is None else with_account(actors, created >= 0)
    ids = fields["id"]
    if not nothing(ids):
        numbers["ident"] = identities(ids, targets, metric)
    for name, (field, mix) in mixes.items():
        column = fields[field]
        if not nothing(column):
            plain = plain_addresses and isinstance(mix, Networks)
            numbers[name] = mix.plain_column(column) if plain else mix.column(column)  # type: ignore[union-attr]  # as above
    if created is not None:
        numbers["created"] = created
    for name in ("watch_ms", "duration_ms"):
        spans = _optional(fields[name])
        if spans is not None:
            numbers[name] = narrow(spans, int(spans.max()))
    for name in ("undo", "history"):
        marked = fields[name]
        if marked.count(False) < len(marked):  # a third of the time that ``True in marked`` takes
            numbers[name] = np.fromiter(marked, np.int8, len(marked))
    if tags is not None:
        numbers["rule"] = np.array(tags, np.int8)
    texts = {name: fields[name] for name in TEXTS if not nothing(fields[name])}
    sparse = {name for name in GIVEN if name in numbers and numbers[name].min() < 0}
    return Columns(list(fields["target"]), targets, offset, ts, numbers, texts, frozenset({*sparse, *MARKS}))


def joined(parts: Sequence[Columns]) -> Columns:
    """Columns of consecutive stretches of a batch as one. A column that only some have gets -1 in the others."""
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
    return Columns(
        [target for part in parts for target in part.target],
        np.concatenate([part.hashes for part in parts]),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.ts for part in parts]),
        numbers,
        texts,
        frozenset(sparse),
    )


def nothing(column: Sequence[Any]) -> bool:
    """Whether a column is None throughout."""
    return column[0] is None and column.count(None) == len(column)


def narrow(column: NDArray[np.int64], most: int) -> Numbers:
    """A column whose values are between -1 and ``most``, in the narrowest width of a frame that has room for them."""
    for width, dtype in ((7, "<i1"), (15, "<i2"), (31, "<i4")):
        if most < 1 << width:
            return column.astype(dtype)
    return column


def _optional(column: Sequence[int | None]) -> NDArray[np.int64] | None:
    """Numbers with -1 for None, or None if there are none."""
    if nothing(column):
        return None
    try:
        return np.fromiter(column, np.int64, len(column))
    except TypeError:
        return np.fromiter((-1 if value is None else value for value in column), np.int64, len(column))
