"""Learns pairs of actors who come to target after target in the same minutes, more often than their activity explains.

When a window of five minutes closes, the actors of every small window are paired. A table stores on how many
*occasions* each pair has met. Occasions of a pair are on targets of different owners (on different targets, if owners
are not given), and at least CHAIN_MS after the pair was last seen together. A *session*, in which two people play the
same list or feed, is one occasion, however long it is. Each further target within PLAYED_MS takes an occasion back, so
people who play lists together do not become suspects, however often they do.

A partition has one of P targets, so it sees one of P tracks of a list, and the pauses between these are P times as
long. Both times are therefore multiplied by the number of partitions. A pair that is sent to single targets meets P
times less often in a partition, so as few of its meetings fall into a session as with one partition.

The weight of an occasion is the part that the target's own course cannot explain. It is 0 if most events of the day are
in these minutes (a release, a première), or if the count is usual for this hour. It is 1 if the pair meets in a window
that is usually empty.

The number of meetings by chance follows the bipartite configuration model (as in Pacheco et al. 2021, "Uncovering
coordinated networks"). Actors with W_a and W_b visits to small windows meet E = W_a·W_b·Σu·m² / (Σm)² times, over
windows of m people and weight u, times RHYTHM, since people of one country are awake together. For a sum of weights in
0 … 1, P(X ≥ x) ≤ e^-(x·ln(x/E) - x + E) (Chernoff; Hoeffding 1963). A band is three or more people, each of whom forms
such pairs with at least two others of them.

All memory is of fixed size. A pair that met once is evicted first. After FORGET_AT visits, half of the visits and half
of the meetings are dropped, so that both cover the same time.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.campaigns.pair_arrays import (
    CELLS,
    SLOTS,
    WAYS,
    Hashes,
    bits_set,
    cells_of,
    first_of_each,
    pair_keys,
    pairs_of_places,
    rows_at,
    slots_of,
)
from detectors.campaigns.visits import CROWD_MAX, WEIGHT_MIN, Visit, all_pairs, within_budget
from detectors.scoring.tails import poisson_score
from detectors.windows.scales import DAY_MS, MINUTE_MS, MINUTES_MS

PAGES = 16
"""Records in which the table is stored: a record of the state must be well below a megabyte."""
CHAIN_MS = 15 * MINUTE_MS
"""Longest pause within a session, with one partition: longer than a song, shorter than the time people wait for the
next one."""
PLAYED_MS = 10 * MINUTE_MS
"""Longest pause after which a further target was played after the last one, with one partition. After a longer pause
within a session, two strikes of a ring are as likely: such a meeting is no occasion, and takes none back."""
UNIT_MS = MINUTES_MS
STALE_UNITS = 7 * DAY_MS // UNIT_MS
"""Time after which a new pair may replace one with several occasions: a week."""
FORGET_AT = 1 << 20
"""Visits after which half of the visits and meetings are dropped."""

ONE = 256
"""Weight 1 in the table's units."""
SESSION_COST = ONE
"""Weight that each further target of a session subtracts: people who play a list together were not sent there. It is an
occasion, because of a session a partition may see two targets only."""
RHYTHM = 4.0
"""Factor by which people of one country meet more often than people who are active at all hours."""
LEAST = 1e-3
"""Least expected number of meetings: people share tastes."""

PAIR_SCORE = 3.0
"""Least -log10 p of a pair that may act together. A million pairs contain a thousand such by chance, but these are
seldom in the same window or linked to each other."""
PAIR_SCORE_MAX = 12.0
OCCASIONS_MIN = 3
"""Least number of different owners or targets, without the present one, on which a pair has met before."""
PARTNERS_MIN = 2
BAND_MIN = 3
"""Least members of a band: two may be a couple, or one person's two devices."""
SUSPECTS_MAX = 64
"""Most actors of a window whose pairs are looked up: those with the smallest hashes."""


class Band(NamedTuple):
    """Actors of a window who act together. ``occasions`` and ``expected`` are of the pair with the median occasions."""

    members: tuple[int, ...]
    occasions: int
    expected: float
    score: float
    """-log10 p"""


class ActorPairs:
    """The pairs of one task, over all its metrics and targets. See the module."""

    def __init__(self, partitions: int = 1) -> None:
        """``partitions`` is the number of partitions over which the targets are spread."""
        self._chain_units = CHAIN_MS * partitions // UNIT_MS
        self._played_units = PLAYED_MS * partitions // UNIT_MS
        self._prints = np.zeros(SLOTS * WAYS, np.uint32)
        self._bits = np.zeros(SLOTS * WAYS, np.uint64)
        self._weights = np.zeros(SLOTS * WAYS, np.uint16)
        self._last = np.zeros(SLOTS * WAYS, np.int32)
        self._where = np.zeros(SLOTS * WAYS, np.uint8)
        self._visits = np.zeros((2, CELLS), np.uint32)
        self._suspects = bytearray(CELLS)
        self._total = self._mass = self._tried = self._forgotten = 0
        self._pending: list[Visit] = []
        self._pages: set[int] = set()
        self._changed = False

    # ---------------------------------------------------------------- learning

    def note(self, start_ms: int, bit: int, weight: float, actors: Iterable[int]) -> None:
        """Store a closed window's actors until ``learn``. ``bit`` identifies the target's owner, see ``owner_bit``."""
        ordered = tuple(sorted(actors))
        if weight >= WEIGHT_MIN and 2 <= len(ordered) <= CROWD_MAX:
            self._pending.append(Visit(start_ms // UNIT_MS, bit, round(ONE * weight), ordered))
            self._changed = True

    def learn(self) -> None:
        """Learn the pairs of the windows noted since the last call. All must be of the same five minutes."""
        visits, self._pending = within_budget(self._pending), []
        if not visits:
            return
        everyone = np.fromiter(chain.from_iterable(visit.actors for visit in visits), np.int64)
        left, right, window = all_pairs(visits)
        keys, first = first_of_each(pair_keys(left, right))
        where = np.array([visit.bit for visit in visits], np.uint8)[window[first]]
        weights = np.array([visit.weight for visit in visits], np.uint16)[window[first]]
        mass = sum(visit.weight * len(visit.actors) ** 2 for visit in visits)
        for row, cells in zip(self._visits, cells_of(everyone), strict=True):
            np.add.at(row, cells, 1)
        self._total += len(everyone)
        self._mass += mass
        self._meet(keys, where, weights, visits[0].unit, (left[first], right[first]))
        self._changed = True
        if self._total > FORGET_AT:
            self._forget()

    def _meet(self, keys: Hashes, where: NDArray[np.uint8], weights: NDArray[np.uint16], unit: int, who: Any) -> None:
        slots, prints = slots_of(keys)
        bits = np.uint64(1) << where.astype(np.uint64)
        here = rows_at(self._prints, slots) == prints[:, None]
        found = here.view(np.uint32)[:, 0] != 0  # the four flags of a row as one number
        at = slots[found] * WAYS + here[found].argmax(axis=1)
        new_occasion, further_target = self._session(at, where[found], unit)
        new_occasion &= self._bits[at] & bits[found] == 0
        self._last[at], self._where[at] = unit, where[found]
        self._weights[at[further_target]] = np.maximum(self._weights[at[further_target]], SESSION_COST) - SESSION_COST
        at, new = at[new_occasion], np.nonzero(found)[0][new_occasion]
        self._bits[at] |= bits[new]
        self._weights[at] = np.minimum(self._weights[at].astype(np.int64) + weights[new], 65535).astype(np.uint16)
        often = new[bits_set(self._bits[at]) >= OCCASIONS_MIN]
        for actors in who:
            for cell in cells_of(actors[often])[0].tolist():
                self._suspects[cell] = 1
        # New pairs: at most one per slot and call. It replaces the pair with the fewest occasions, the oldest first.
        fresh = np.nonzero(~found)[0]
        firsts = np.full(SLOTS, len(keys), np.int64)
        np.minimum.at(firsts, slots[fresh], fresh)
        fresh = firsts[firsts < len(keys)]
        places = slots[fresh]
        met = bits_set(rows_at(self._bits, places))
        ranks = np.where(rows_at(self._prints, places) == 0, -1, met * (1 << 32) + rows_at(self._last, places))
        rows, ways = np.arange(len(fresh)), np.zeros(len(fresh), np.int64)
        for way in range(1, WAYS):  # NumPy's argmin takes five times as long for rows of four
            ways[ranks[:, way] < ranks[rows, ways]] = way
        places, met = places * WAYS + ways, met[rows, ways]
        replaceable = (met < 2) | (self._last[places] < unit - STALE_UNITS)
        places, fresh = places[replaceable], fresh[replaceable]
        self._tried += len(fresh)
        self._prints[places], self._bits[places], self._weights[places] = prints[fresh], bits[fresh], weights[fresh]
        self._last[places], self._where[places] = unit, where[fresh]
        pages = np.concatenate([places // WAYS, slots[found]]) // (SLOTS // PAGES)
        self._pages.update(np.nonzero(np.bincount(pages, minlength=PAGES))[0].tolist())

    def _session(self, at: NDArray[np.int64], where: Any, unit: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether meetings of known pairs begin a session, and whether they are on a further target of one."""
        pause = unit - self._last[at]
        return pause > self._chain_units, (pause <= self._played_units) & (self._where[at] != where)

    def _forget(self) -> None:
        """Halve the visits, and drop every second bit of each pair's occasions (odd and even bits alternately)."""
        remaining = np.uint64(0x5555555555555555 << self._forgotten % 2 & (1 << 64) - 1)
        before = np.maximum(bits_set(self._bits), 1)
        self._bits &= remaining
        self._weights = (self._weights.astype(np.int64) * bits_set(self._bits) // before).astype(np.uint16)
        self._prints[self._bits == 0] = 0
        self._visits >>= 1
        self._total, self._mass, self._tried = self._total // 2, self._mass // 2, self._tried // 2
        self._forgotten += 1
        self._pages.update(range(PAGES))

    def broken_off(self) -> None:
        """Accept the present state after ``learn`` has failed half way, and mark all of it as changed."""
        self._pending = []
        self._pages.update(range(PAGES))
        self._changed = True

    # ---------------------------------------------------------------- lookup

    def suspects(self, actors: Iterable[int]) -> list[int]:
        """The actors who may be part of a band, without false negatives; empty if too few for a band."""
        marked = self._suspects
        found = [actor for actor in actors if marked[actor >> 1 & CELLS - 1]]
        return found if len(found) >= BAND_MIN else []

    def are_suspects(self, actors: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each actor may be part of a band, without false negatives."""
        return np.frombuffer(self._suspects, np.bool_)[cells_of(actors)[0]]

    def band(self, actors: Iterable[int], bit: int, start_ms: int, weight: float) -> Band | None:
        """The band among a window's actors, by meetings on other owners' targets than ``bit``'s; None without one.

        The window, which starts at ``start_ms`` and has this weight, is a meeting of each pair too.
        """
        actors = list(actors)
        suspects = self.suspects(actors)
        if not suspects:
            return None
        people = np.array(sorted(suspects)[:SUSPECTS_MAX], np.int64)
        i, j = pairs_of_places(len(people))
        slots, prints = slots_of(pair_keys(people[i], people[j]))
        here = rows_at(self._prints, slots) == prints[:, None]
        at = slots * WAYS + here.argmax(axis=1)
        bits, mark = self._bits[at], np.uint64(1 << bit)
        met = np.where(here.any(axis=1), bits_set(bits & ~mark), 0)
        begins, further_target = self._session(at, bit, start_ms // UNIT_MS)
        here_weight = np.where(begins, round(ONE * weight), 0) - np.where(further_target, SESSION_COST, 0)
        weights = self._weights[at].astype(np.int64) + np.where(bits & mark != 0, -ONE, here_weight)
        counted = [row[cells] for row, cells in zip(self._visits, cells_of(people), strict=True)]
        visits = np.minimum(*counted).astype(np.float64)
        scale = RHYTHM * self._mass / ONE / max(1, self._total) ** 2
        expected = np.maximum(visits[i] * visits[j] * scale, LEAST)
        edges: dict[tuple[int, int], tuple[float, int, float]] = {}
        for edge in np.nonzero(met >= OCCASIONS_MIN)[0].tolist():
            score = poisson_score(max(0, int(weights[edge])) / ONE, float(expected[edge]))
            if score >= PAIR_SCORE:
                pair = int(people[i[edge]]), int(people[j[edge]])
                edges[pair] = min(score, PAIR_SCORE_MAX), int(met[edge]), float(expected[edge])
        members = _core(set(edges))
        if len(members) < BAND_MIN:
            return None
        within = sorted(edge for pair, edge in edges.items() if members.issuperset(pair))
        # A spanning tree of the band has independent pairs; each scores at least the weakest pair. Corrected for all
        # pairs that were tried and for all groups of this size in the window (Bonferroni).
        choices = max(1, self._tried) * math.comb(len(actors), len(members))
        score = (len(members) - 1) * within[0][0] - math.log10(choices)
        middle = sorted(within, key=lambda edge: edge[1])[len(within) // 2]
        return Band(tuple(sorted(members)), middle[1], middle[2], score) if score > 0.0 else None

    # ---------------------------------------------------------------- state

    def take_changed(self) -> list[tuple[str, Any]]:
        """The parts of the state that changed since the last call, by name, as msgspec-encodable builtins."""
        if not self._changed:
            return []
        pages, self._pages, self._changed = sorted(self._pages), set(), False
        head = {
            "sums": [self._total, self._mass, self._tried, self._forgotten],
            "visits": _squeezed(self._visits),
            "suspects": _squeezed(self._suspects),
            "pending": [list(visit) for visit in self._pending],
        }
        table = ((str(page), {"columns": [_squeezed(part[_of(page)]) for part in self._parts()]}) for page in pages)
        return [("head", head), *table]

    def load(self, name: str, state: Any) -> None:
        """Restore a part returned by ``take_changed``."""
        if name == "head":
            self._total, self._mass, self._tried, self._forgotten = state["sums"]
            self._visits = np.frombuffer(zlib.decompress(state["visits"]), np.uint32).reshape(2, CELLS).copy()
            self._suspects = bytearray(zlib.decompress(state["suspects"]))
            pending = state["pending"]
            self._pending = [Visit(unit, bit, weight, tuple(actors)) for unit, bit, weight, actors in pending]
            return
        for part, packed in zip(self._parts(), state["columns"], strict=True):
            part[_of(int(name))] = np.frombuffer(zlib.decompress(packed), part.dtype)

    def _parts(self) -> tuple[NDArray[Any], ...]:
        return self._prints, self._bits, self._weights, self._last, self._where


def _core(pairs: set[tuple[int, int]]) -> set[int]:
    """The largest set of actors in which each has at least PARTNERS_MIN partners (the k-core)."""
    while True:
        partners: dict[int, int] = {}
        for pair in pairs:
            for actor in pair:
                partners[actor] = partners.get(actor, 0) + 1
        left = {pair for pair in pairs if min(partners[pair[0]], partners[pair[1]]) >= PARTNERS_MIN}
        if left == pairs:
            return set(partners)
        pairs = left


def _of(page: int) -> slice:
    size = SLOTS * WAYS // PAGES
    return slice(page * size, (page + 1) * size)


def _squeezed(part: Any) -> bytes:
    return zlib.compress(bytes(part.tobytes() if isinstance(part, np.ndarray) else part), 1)
