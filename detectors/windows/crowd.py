"""The crowd of a window: what one window of one target accumulates.

All of it commutes: counts, hashed histograms, and a bottom-k sample of the actors by hash. So the order in which input
partitions interleave cannot change a closed window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.windows.sample import (
    ACTOR_SAMPLE,
    COLUMNS,
    PERSON_BYTES,
    ROW,
    SAMPLE_BYTES,
    People,
    found_in,
    last_actor,
    merged,
    people_in,
    with_few_rows,
    with_many_rows,
)

HASH_SPACE = 1 << 63
"""Actor hashes are uniform in [0, HASH_SPACE)."""

PENDING_ROWS = 512
"""Rows above which a window longer than a tick folds them. Rows take no more memory than what they are folded into, and
tables of windows read them as they are."""

PENDING_ROWS_MERGED = 64
"""The same after a merge into a window whose sample is full: the rows would stay for minutes or hours, and take more
memory than the few of their actors who can be in the sample."""

FEW_ACTORS = 3
"""Number of actors up to which they are looked for in packed rows one by one (measured)."""

COUNTER_FROM = 24
ARRAY_FROM = 64
"""Number of values from which a Counter is faster, and of rows from which arrays are (measured)."""

Row = tuple[int, int, int, int, int, int, int]
"""actor, network, agent, referrer, country, account, watch: one event of a window (see EventBlock)."""

PACKED = np.dtype([("actor", "<i8"), *((name, "<i4") for name in COLUMNS)])
"""A row in memory and in stored state: 32 bytes, where a tuple of numbers takes 300."""
ROW_BYTES = PACKED.itemsize
Packed = NDArray[np.void]
pack_row = ROW.pack
"""Packs a row's numbers."""


class Crowd(msgspec.Struct, omit_defaults=True, gc=False):
    """The actors of one window of one target: mergeable, bounded, independent of order."""

    start: int = 0
    """start of the window in epoch ms"""
    n: int = 0
    """events, without duplicates and undos"""
    sample: bytes = b""
    """packed people (``windows.sample``): all actors until ACTOR_SAMPLE, then those with the smallest hashes"""
    rows: bytes = b""
    """packed events not folded into the summaries yet: most windows are small and never judged"""
    sampled: bool = False
    """whether actors were left out of the sample"""
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
    judge_from: int = msgspec.field(default=0, name="looked")
    """events from which the open window is judged again (``measurement.early_windows``)"""
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
        return list(zip(*ROW.iter_unpack(self.rows), strict=True))

    def settle(self) -> None:
        """Fold pending rows into the summaries. O(number of rows)."""
        rows, self.rows = self.rows, b""
        if not rows:
            return
        if len(rows) >= ARRAY_FROM * ROW_BYTES:
            self._keep(*with_many_rows(self.sample, rows))
            watches = np.frombuffer(rows, PACKED)["watch"]
            _add(self.watch, _counted(watches[watches != -1]))
            return
        events = list(ROW.iter_unpack(rows))
        self._keep(*with_few_rows(self.sample, events))
        _count(self.watch, [event[-1] for event in events])
        self.watch.pop(-1, None)

    def _keep(self, sample: bytes, left_out: bool) -> None:  # as the functions of a sample return it
        self.sample = sample
        self.sampled = self.sampled or left_out

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
        if other.sample:
            self._keep(*merged(self.sample, other.sample))
            _add(self.watch, other.watch)
        pending = PENDING_ROWS if len(self.sample) < SAMPLE_BYTES else PENDING_ROWS_MERGED
        if len(self.rows) > pending * ROW_BYTES:
            self.settle()

    @property
    def people(self) -> People:
        """The people of the sample as an array of PERSON, sorted by actor. Those of pending rows are not in it."""
        return people_in(self.sample)

    def people_among(self, actors: Collection[int]) -> People:
        """As ``people``, those who are among these actors."""
        people = self.people
        return people[np.isin(people["actor"], list(actors))]

    def last_sampled(self) -> int | None:
        """The largest hash of the sample, None if it is empty."""
        return last_actor(self.sample) if self.sample else None

    def sampled_people(self) -> int:
        """The number of different actors, of all or of the sampled ones."""
        if len(self.rows) == ROW_BYTES and not self.sample:
            return 1
        return len(self.actor_hashes()) if self.rows else len(self.sample) // PERSON_BYTES

    def events_by_actor(self) -> dict[int, int]:
        """Events of each actor, of all or of the sampled ones."""
        if len(self.rows) == ROW_BYTES and not self.sample:  # most likes are alone in their window
            return {ROW.unpack(self.rows)[0]: 1}
        if self.sample:
            self.settle()
            return self._sampled_events()
        counts: dict[int, int] = {}
        _count(counts, np.frombuffer(self.rows, PACKED)["actor"].tolist())
        return counts

    def _sampled_events(self) -> dict[int, int]:
        people = self.people
        return dict(zip(people["actor"].tolist(), people["events"].tolist(), strict=True))

    def actor_hashes(self) -> set[int]:
        """Hashes of all actors, or of the sampled ones."""
        hashes = set(self.people["actor"].tolist()) if self.sample else set[int]()
        if self.rows:
            hashes.update(np.frombuffer(self.rows, PACKED)["actor"].tolist())
        return hashes

    def has_any(self, actors: Sequence[int]) -> set[int]:
        """Those of the actors who are among all, or among the sampled ones."""
        rows = self.rows
        found = set(found_in(self.sample, actors)) if self.sample else set[int]()
        if rows and len(actors) <= FEW_ACTORS:
            found.update([actor for actor in actors if _has_row(rows, actor)])
        elif rows:
            found.update(set(np.frombuffer(rows, PACKED)["actor"].tolist()).intersection(actors))
        return found

    def returning(self, times: int) -> list[int]:
        """The actors (all, or the sampled ones) who came at least ``times`` times."""
        counts = Counter(self._sampled_events())
        counts.update(row[0] for row in ROW.iter_unpack(self.rows))
        return [actor for actor, count in counts.items() if count >= times]

    def histogram(self, name: str) -> dict[int, int]:
        """The number of sampled people by bucket of one of DIMENSIONS, without those who have none."""
        self.settle()
        counts: dict[int, int] = {}
        _count(counts, self.people[name].tolist())
        counts.pop(-1, None)
        return counts

    def distinct_actors(self) -> float:
        """Estimated number of different actors (exact until the sample overflows)."""
        self.settle()
        if not self.sampled or len(self.sample) < SAMPLE_BYTES:
            return float(len(self.sample) // PERSON_BYTES)
        return (ACTOR_SAMPLE - 1) * HASH_SPACE / (last_actor(self.sample) + 1)


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
