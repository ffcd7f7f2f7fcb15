"""The crowd of a window: what one window of one target accumulates.

All of it commutes: counts, hashed histograms, and a bottom-k sample of the actors by hash. So the order in which input
partitions interleave cannot change a closed window.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

ACTOR_SAMPLE = 256
"""k of the bottom-k (KMV) sample: distinct counts within 1/sqrt(k-2) = 6 %, shares within 3 points, in
at most 256 entries. It replaces a HyperLogLog because the same sample answers "how often did they
come" and "had we seen them before"; see docs/decisions/0004-one-sample-of-actors.md."""

HASH_SPACE = 1 << 63
"""Actor hashes are uniform in [0, HASH_SPACE)."""

PENDING_ROWS = 512
"""Rows above which a window longer than a tick folds them. Rows take less memory than what they are folded into, tables
of windows read them as they are, and so many are folded as arrays: actors beyond the sample never become objects."""

FEW_ACTORS = 3
"""Number of actors up to which they are looked for in packed rows one by one (measured)."""

COUNTER_FROM = 24
ARRAY_FROM = 400
"""Numbers of values from which a Counter is faster, and from which a sorted array is (measured)."""

Row = tuple[int, int, int, int, int, int, int]
"""actor, network, agent, referrer, country, account, watch: one event of a window (see EventBlock)."""

DIMENSIONS: tuple[str, ...] = ("network", "agent", "referrer", "country", "account")
"""Traits of a person. In a row they come after the actor and before the watch time."""

ActorTraits = tuple[int, int, int, int, int, int]
"""A person's buckets in the order of COLUMNS, -1 where not given."""
NOTHING_KNOWN: ActorTraits = (-1, -1, -1, -1, -1, -1)

COLUMNS: tuple[str, ...] = (*DIMENSIONS, "watch")
"""A row's numbers after the actor."""
REFERRER, ACCOUNT, WATCH = (COLUMNS.index(name) for name in ("referrer", "account", "watch"))
"""Their places in a person's marks."""

PACKED = np.dtype([("actor", "<i8"), *((name, "<i4") for name in COLUMNS)])
"""A row in memory and in stored state: 32 bytes, where a tuple of numbers takes 300."""
ROW_BYTES = PACKED.itemsize
Packed = NDArray[np.void]
_ROW = struct.Struct("<q" + "i" * len(COLUMNS))
pack_row = _ROW.pack
"""Packs a row's numbers."""


class Crowd(msgspec.Struct, omit_defaults=True, gc=False):
    """The actors of one window of one target: mergeable, bounded, independent of order."""

    start: int = 0
    """start of the window in epoch ms"""
    n: int = 0
    """events, without duplicates and undos"""
    actors: dict[int, int] = {}
    """events per sampled actor: all actors until ACTOR_SAMPLE, then those with the smallest hashes"""
    people: dict[int, ActorTraits] = {}
    """marks of the same actors. If an actor's marks differ, the smallest tuple: arrival order does not matter"""
    rows: bytes = b""
    """packed events not folded into the summaries yet: most windows are small and never judged"""
    sampled: bool = False
    watch: dict[int, int] = {}
    """events by bucket of watch time (watch_bucket)"""
    met: int = 0
    unmet: int = 0
    """sampled actors who were known and unknown to the platform when their five minutes closed"""
    asked: int = 0
    newcomers: int = 0
    """the accounts among these actors, and how many of them were unknown"""
    squares: int = 0
    """sum of the squared counts of the merged shorter windows: a measure of evenness"""
    events_judged: int = msgspec.field(default=0, name="looked")
    """events when the open window was last judged"""
    quarantined: int = 0
    """events of this window that are in quarantine already"""
    cased: int = 0
    """events of this window that the open case already contains"""
    expected_cased: bool = msgspec.field(default=False, name="told")
    """whether that case already contains the expectation of this window"""
    owner: int = -1
    """hash of the target's owner, -1 if not given; only in windows of five minutes"""
    log_from: int = -1
    log_to: int = -1
    """first and last position of its events in the log, -1 if not known"""
    nobody: int = 0
    """events without an actor: they have no rows, and are counted in ``n`` and ``squares`` only"""
    unjudged: int = 0
    """events already counted in TargetState.unjudged"""

    @property
    def named(self) -> int:
        """Events that have an actor."""
        return self.n - self.nobody

    def take(self, rows: bytes, nobody: int = 0) -> None:
        """Add packed rows and ``nobody`` events without an actor.

        Rows are folded when there are many, or by ``settle``.
        """
        self.n += len(rows) // ROW_BYTES + nobody
        self.nobody += nobody
        self.rows += rows
        if len(self.rows) > PENDING_ROWS * ROW_BYTES:
            self.settle()

    def fold_packed(self, rows: bytes) -> None:
        """Add packed rows and fold them at once."""
        self.take(rows)
        self.settle()

    def columns(self) -> list[tuple[int, ...]]:
        """The rows that are not folded, as columns: actors, then each of COLUMNS. There must be at least one."""
        return list(zip(*_ROW.iter_unpack(self.rows), strict=True))

    def settle(self) -> None:
        """Fold pending rows into the summaries. O(number of rows)."""
        if not self.rows:
            return
        if len(self.rows) >= ARRAY_FROM * ROW_BYTES:
            table, self.rows = np.frombuffer(self.rows, PACKED), b""
            self._settle_many(table)
            return
        rows = list(_ROW.iter_unpack(self.rows))
        self.rows = b""
        self._meet(self._sampled(rows) if len(self.actors) >= ACTOR_SAMPLE else rows)
        if len(self.actors) > ACTOR_SAMPLE:
            self._trim()
        _count(self.watch, tuple(row[6] for row in rows))
        self.watch.pop(-1, None)

    def _sampled(self, rows: list[Row]) -> list[Row]:
        """The rows of actors who can be in the sample, which is full."""
        last = max(self.actors)
        rows_in_sample = [row for row in rows if row[0] <= last]
        self.sampled = self.sampled or len(rows_in_sample) < len(rows)
        return rows_in_sample

    def _meet(self, rows: Iterable[tuple[int, ...]]) -> None:
        actors, people = self.actors, self.people
        for actor, network, agent, referrer, country, account, watch in rows:
            marks = (network, agent, referrer, country, account, watch)
            known = people.get(actor)
            if known is None:
                actors[actor] = actors.get(actor, 0) + 1
                people[actor] = marks
            else:
                actors[actor] += 1
                if marks < known:
                    people[actor] = marks

    def _settle_many(self, table: Packed) -> None:
        """As ``settle``, with arrays: only rows of actors who can be in the sample become Python numbers."""
        watches = table["watch"]
        _add(self.watch, _counted(watches[watches != -1]))
        actors = np.unique(np.append(table["actor"], np.fromiter(self.actors, np.int64, len(self.actors))))
        if len(actors) > ACTOR_SAMPLE:
            table = table[table["actor"] <= actors[ACTOR_SAMPLE - 1]]
            self.sampled = True
        self._meet(table.tolist())
        self._trim()

    def merge(self, other: Crowd) -> None:
        """Merge another window into this one. The other must not be used afterwards."""
        self.n += other.n
        self.nobody += other.nobody
        self.quarantined += other.quarantined
        self.cased += other.cased
        self.rows += other.rows
        self.met += other.met
        self.unmet += other.unmet
        self.squares += other.squares
        self.asked += other.asked
        self.newcomers += other.newcomers
        self.unjudged += other.unjudged
        self.sampled = self.sampled or other.sampled
        if other.log_from >= 0:
            self.log_from = other.log_from if self.log_from < 0 else min(self.log_from, other.log_from)
            self.log_to = max(self.log_to, other.log_to)
        if len(self.rows) > PENDING_ROWS * ROW_BYTES:
            self.settle()
        if not other.actors:
            return
        other_actors, other_people = other.actors, other.people
        if len(self.actors) >= ACTOR_SAMPLE:  # actors beyond a full sample would be trimmed again
            last = max(self.actors)
            other_actors = {actor: count for actor, count in other_actors.items() if actor <= last}
            self.sampled = self.sampled or len(other_actors) < len(other.actors)
            other_people = {actor: other_people[actor] for actor in other_actors}
        _add(self.actors, other_actors)
        people = self.people
        for actor, marks in other_people.items():
            known = people.get(actor)
            if known is None or marks < known:
                people[actor] = marks
        if len(self.actors) > ACTOR_SAMPLE or self.sampled:
            self._trim()
        _add(self.watch, other.watch)

    def sampled_people(self) -> int:
        """The number of different actors, of all or of the sampled ones."""
        if len(self.rows) == ROW_BYTES and not self.actors:
            return 1
        return len(self.actor_hashes()) if self.rows else len(self.actors)

    def events_by_actor(self) -> dict[int, int]:
        """Events of each actor, of all or of the sampled ones."""
        if not self.rows:
            return self.actors
        if self.actors or self.sampled:
            self.settle()
            return self.actors
        if len(self.rows) == ROW_BYTES:  # most likes are alone in their window
            return {_ROW.unpack(self.rows)[0]: 1}
        counts: dict[int, int] = {}
        _count(counts, np.frombuffer(self.rows, PACKED)["actor"].tolist())
        return counts

    def actor_hashes(self) -> set[int]:
        """Hashes of all actors, or of the sampled ones."""
        if not self.rows:
            return set(self.actors)
        return set(np.frombuffer(self.rows, PACKED)["actor"].tolist()).union(self.actors)

    def has_any(self, actors: Sequence[int]) -> set[int]:
        """Those of the actors who are among all, or among the sampled ones."""
        known, rows = self.actors, self.rows
        found = {actor for actor in actors if actor in known}
        if rows and len(actors) <= FEW_ACTORS:
            found.update([actor for actor in actors if _has_row(rows, actor)])
        elif rows:
            found.update(set(np.frombuffer(rows, PACKED)["actor"].tolist()).intersection(actors))
        return found

    def returning(self, times: int) -> list[int]:
        """The actors (all, or the sampled ones) who came at least ``times`` times."""
        counts = Counter(self.actors)
        counts.update(row[0] for row in _ROW.iter_unpack(self.rows))
        return [actor for actor, count in counts.items() if count >= times]

    def histogram(self, name: str) -> dict[int, int]:
        """The number of sampled people by bucket of one of DIMENSIONS, without those who have none."""
        self.settle()
        index = DIMENSIONS.index(name)
        counts: dict[int, int] = {}
        _count(counts, [marks[index] for marks in self.people.values()])
        counts.pop(-1, None)
        return counts

    def distinct_actors(self) -> float:
        """Estimated number of different actors (exact until the sample overflows)."""
        self.settle()
        if not self.sampled or len(self.actors) < ACTOR_SAMPLE:
            return float(len(self.actors))
        kth = max(self.actors)
        return (ACTOR_SAMPLE - 1) * HASH_SPACE / (kth + 1)

    def _trim(self) -> None:
        if len(self.actors) > ACTOR_SAMPLE:
            smallest = sorted(self.actors)[:ACTOR_SAMPLE]
            self.actors = {key: self.actors[key] for key in smallest}
            self.people = {key: self.people[key] for key in smallest}
            self.sampled = True


def _has_row(rows: bytes, actor: int) -> bool:
    """Whether one of some packed rows is an actor's."""
    wanted = actor.to_bytes(8, "little", signed=True)
    at = rows.find(wanted)
    while at >= 0 and at % ROW_BYTES:
        at = rows.find(wanted, at + 1)
    return at >= 0


def _count(into: dict[int, int], values: Sequence[int]) -> None:
    if len(values) >= COUNTER_FROM:
        _add(into, Counter(values))
        return
    get = into.get
    for value in values:
        into[value] = get(value, 0) + 1


def _counted(values: NDArray[np.signedinteger]) -> dict[int, int]:
    different, counts = np.unique(values, return_counts=True)
    return dict(zip(different.tolist(), counts.tolist(), strict=True))


def _add(into: dict[int, int], counts: dict[int, int]) -> None:
    if not into:
        into.update(counts)
        return
    get = into.get
    for key, count in counts.items():
        into[key] = get(key, 0) + count
