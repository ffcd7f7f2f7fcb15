"""The acts of one metric in a tick, in the two forms in which rules compare them: as columns, and as a list."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

UNDONE = -2
"""In place of a watch time: the actor undid an act, so its next act is no repetition."""

ACT_BYTES = 20
FEW_ACT_BYTES = 360
"""Bytes of an act as columns, and of one in a list, in a set of keys and by key (measured, CPython 3.11)."""

FEW_ACTS = 1024
"""Most acts of a tick whose keys are stored in a set too. Most pairs act once, and a set says so in a tenth of the time
that arrays take (measured)."""

Keys = NDArray[np.uint64]
Times = NDArray[np.int64]
Spans = NDArray[np.int32]


class Acts(NamedTuple):
    """Acts of one metric as columns: key of actor and target, time (epoch ms), watch time."""

    keys: Keys
    ts: Times
    spent: Spans
    """ms, -1 not given"""

    def at(self, places: Any) -> Acts:
        """The acts at some places."""
        return Acts(self.keys[places], self.ts[places], self.spent[places])


FewActs = list[tuple[int, int, int]]
"""A few acts: key, time and watch time of each, as in ``Acts``. A list of them costs less than columns."""

FewAct = tuple[int, int, int]
"""An act of a pair: its time, its watch time and its place in a list of acts."""


class TickActs:
    """The acts of one metric in a tick: as columns, as a list if they are few, or both."""

    __slots__ = ("_by_key", "_columns", "_few", "_keys", "last_ms")

    def __init__(self, columns: Acts | None = None, few: FewActs | None = None) -> None:
        """One of the two forms is given."""
        self._columns, self._few = columns, few
        self._keys: frozenset[int] | None = None
        self._by_key: dict[int, list[FewAct]] | None = None
        self.last_ms = -1
        """the time of the last act, -1 without any"""
        if few:
            self.last_ms = max([ts for _, ts, _ in few])
        elif columns is not None and len(columns.keys):
            self.last_ms = int(columns.ts.max())

    def __len__(self) -> int:
        return len(self._few) if self._few is not None else len(self.columns.keys)

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        return len(self) * (ACT_BYTES if self._few is None else FEW_ACT_BYTES)

    @property
    def columns(self) -> Acts:
        """The acts as columns."""
        if self._columns is None:
            keys, ts, spent = zip(*self._few, strict=True) if self._few else ((), (), ())
            self._columns = Acts(np.array(keys, np.uint64), np.array(ts, np.int64), np.array(spent, np.int32))
        return self._columns

    def keys_if_few(self) -> frozenset[int] | None:
        """The keys, None if there are many."""
        if self._keys is None and len(self) <= FEW_ACTS:
            self._keys = frozenset(
                self.columns.keys.tolist() if self._few is None else [key for key, _, _ in self._few]
            )
        return self._keys

    def listed(self) -> FewActs:
        """The acts as a list."""
        if self._few is None:
            self._few = list(zip(*(column.tolist() for column in self.columns), strict=True))
        return self._few

    def only_undone(self) -> bool:
        """Whether all of them are undos."""
        return all(spent == UNDONE for _, _, spent in self.listed())

    def by_key(self) -> dict[int, list[FewAct]]:
        """The acts of each pair, each with its place in the list, in order of time, watch time and place."""
        if self._by_key is None:
            by_key: dict[int, list[FewAct]] = {}
            for place, (key, ts, spent) in enumerate(self.listed()):
                if key in by_key:
                    by_key[key].append((ts, spent, place))
                else:
                    by_key[key] = [(ts, spent, place)]
            if len(by_key) < len(self):
                for acts in by_key.values():
                    acts.sort()
            self._by_key = by_key
        return self._by_key

    def since(self, ms: int) -> TickActs:
        """The acts from this time on. It may be this object."""
        if self._few is not None:
            late = [act for act in self._few if act[1] >= ms]
            return self if len(late) == len(self._few) else TickActs(few=late)
        here = self.columns.ts >= ms
        return self if here.all() else TickActs(self.columns.at(here))
