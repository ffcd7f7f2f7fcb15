"""The events of an open tick with few, as lists.

Up to some hundred events, Python's lists and sets take less time than arrays: sixty calls of NumPy cost 0.3 ms,
whatever the size of the arrays. Most ticks of a day have so few. Events are stored in the order of arrival, those of
all metrics together.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from detectors.events.actor import WITHOUT_ACCOUNT
from detectors.events.event import METRICS
from detectors.events.key import VIEW, Key, key_of
from detectors.intake.heap import MOMENT, WHOLE, Moments
from detectors.intake.related import UNRELATED, RelatedAct
from detectors.intake.rules.acts import UNDONE, FewActs, TickActs
from detectors.intake.rules.daily_rate import pairs_of_few
from detectors.intake.rules.repeats import Repeats
from detectors.windows.crowd import PACKED, ROW_BYTES, Packed

EVENT_BYTES = 130
"""Bytes of an event: its row and moment, its places in the lists, a part of its target's id."""

_rows_in = struct.Struct(f"{ROW_BYTES}s").iter_unpack
_actors_in = struct.Struct(f"<q{ROW_BYTES - 8}x").iter_unpack
_moments_in = struct.Struct("<ii").iter_unpack


class FewEvents:
    """See the module. Rows and moments are packed, as those of ``Heap``."""

    __slots__ = ("_acts", "_metrics", "_moments", "_numbers", "_removed", "_rows", "_targets", "_undone")

    def __init__(self) -> None:
        self._metrics: list[int] = []
        self._targets: list[str] = []
        self._rows: list[bytes] = []
        self._moments: list[bytes] = []
        """of one or several events each"""
        self._undone: list[tuple[int, str, int, int]] = []
        self._acts: list[tuple[FewActs, list[int]]] | None = None
        """by metric, the acts that rules compare, and the places of those that are events"""
        self._numbers: tuple[list[int], list[tuple[int, int]]] | None = None
        self._removed: dict[int, str] = {}
        """places of the events that a rule caught → its reason"""

    def __len__(self) -> int:
        return len(self._targets)

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        return EVENT_BYTES * len(self._targets)

    def add(self, metrics: Sequence[int], targets: Sequence[str], rows: bytes, moments: bytes) -> None:
        """Add events. Rows and moments are packed one after another."""
        self._metrics += metrics
        self._targets += targets
        self._rows.append(rows)
        self._moments.append(moments)
        self._acts = self._numbers = None

    def note_undo(self, metric: int, target: str, actor: int, at: int) -> None:
        """See Heap."""
        self._undone.append((metric, target, actor, at))

    def undone(self) -> list[tuple[int, str, int, int]]:
        """The undone acts: metric, target, actor, time within the tick."""
        return self._undone

    def columns(self) -> tuple[list[int], list[str], Packed, Moments]:
        """All events as a heap takes them: metrics, targets, rows, moments."""
        rows, moments = (b"".join(parts) for parts in (self._rows, self._moments))
        return self._metrics, self._targets, np.frombuffer(rows, WHOLE), np.frombuffer(moments, MOMENT)

    def metrics(self) -> set[int]:
        """The metrics that have events or undone acts."""
        return {*self._metrics, *(metric for metric, _, _, _ in self._undone)}

    def sift(
        self, metric: int, repeats: Repeats, start: int, end: int, *, replayed: bool = False
    ) -> dict[tuple[str, str], int]:
        """As ``Heap.sift`` for the events of a metric."""
        if self._acts is None:
            self._acts = self._by_metric(start)
        few, ruled = self._acts[metric]
        if not few:
            return {}
        hits = repeats.judge(TickActs(few=few), lambda: self._rows_at(ruled), start, end, replayed=replayed)
        if not hits:
            return {}
        caught: dict[tuple[str, str], int] = {}
        for reason, places in hits.items():
            for place in places.tolist():
                of = self._targets[ruled[place]], reason
                caught[of] = caught.get(of, 0) + 1
        for reason, places in hits.items():
            self._removed.update(dict.fromkeys((ruled[place] for place in places.tolist()), reason))
        return caught

    def _unpacked(self) -> tuple[list[int], list[tuple[int, int]]]:
        """The actor, and time and watch time of each event."""
        if self._numbers is None:
            actors = [actor for (actor,) in _actors_in(b"".join(self._rows))]
            self._numbers = actors, list(_moments_in(b"".join(self._moments)))
        return self._numbers

    def _by_metric(self, start: int) -> list[tuple[FewActs, list[int]]]:
        """By metric, the acts that rules compare, undos last, and the places of those that are events."""
        found: list[tuple[FewActs, list[int]]] = [([], []) for _ in METRICS]
        actors, moments = self._unpacked()
        pairs = pairs_of_few(actors, self._targets)
        for place, (metric, pair, (at, spent)) in enumerate(zip(self._metrics, pairs, moments, strict=True)):
            if at >= 0:
                acts, ruled = found[metric]
                acts.append((pair, start + at, spent))
                ruled.append(place)
        for metric, target, actor, at in self._undone:
            found[metric][0].append((pairs_of_few([actor], [target])[0], start + at, UNDONE))
        return found

    def _rows_at(self, places: list[int]) -> Packed:
        rows = np.frombuffer(b"".join(self._rows), WHOLE)
        return rows.take(np.array(places, np.intp)).view(PACKED)

    def related(self) -> list[tuple[Key, list[RelatedAct]]]:
        """The acts that are states, by key, in order."""
        places = [place for place, metric in enumerate(self._metrics) if metric != VIEW]
        if not places:
            return []
        actors, moments = self._unpacked()
        by_key, removed, metrics, targets = dict[Key, list[RelatedAct]](), self._removed, self._metrics, self._targets
        for place in places:
            at, spent = moments[place]
            if at >= 0 and spent != UNRELATED:
                target = targets[place]
                act = RelatedAct(target, actors[place] & WITHOUT_ACCOUNT, at, place, place in removed)
                by_key.setdefault(key_of(metrics[place], target), []).append(act)
        for acts in by_key.values():
            if len(acts) > 1:
                acts.sort()
        return sorted(by_key.items())

    def row(self, place: int) -> bytes:
        """The packed row of an event."""
        return b"".join(self._rows)[place * ROW_BYTES : (place + 1) * ROW_BYTES]

    def of_actors(self, metric: int, actors: frozenset[int]) -> list[tuple[str, list[int]]]:
        """As ``Heap.of_actors`` for the events of a metric."""
        found: dict[str, list[int]] = {}
        for place, (of, actor, (at, _)) in enumerate(zip(self._metrics, *self._unpacked(), strict=True)):
            if of == metric and at >= 0 and actor in actors and place not in self._removed:
                found.setdefault(self._targets[place], []).append(place)
        return list(found.items())

    def drop(self, places: list[int], reason: str) -> list[str]:
        """Remove events. Returns the reasons of those that a rule had removed before."""
        before = [self._removed[place] for place in places if place in self._removed]
        self._removed.update(dict.fromkeys(places, reason))
        return before

    def by_key(self) -> dict[Key, bytes]:
        """The packed rows of each key, without what a rule caught."""
        removed, rows = self._removed, dict[Key, bytes]()
        events = zip(self._metrics, self._targets, _rows_in(b"".join(self._rows)), strict=True)
        for place, (metric, target, (row,)) in enumerate(events):
            if place not in removed:
                key: Key = f"{metric}{target}"  # type: ignore[assignment]  # key_of without its call, for each event
                rows[key] = rows[key] + row if key in rows else row
        return rows

    def counts(self) -> dict[Key, int]:
        """The number of events by key. It works even if the rows cannot be read."""
        counts: dict[Key, int] = {}
        for place, key in enumerate(map(key_of, self._metrics, self._targets)):
            if place not in self._removed:
                counts[key] = counts.get(key, 0) + 1
        return counts
