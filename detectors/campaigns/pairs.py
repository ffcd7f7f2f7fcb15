"""With whom: pairs of actors who come to target after target in the same minutes, beyond what their activity brings.

At the end of five minutes the actors of every target that few came to are put in pairs, and a table remembers of a pair
on how many *occasions* it has come together: each on another owner's target (another target, where owners are not
given), each a quarter of an hour after the last time it was seen together. A sitting in which two people walk through
the same list, a playlist or a feed is one occasion, however long it is, and counts less with every target.

An occasion weighs what the target's own course leaves unexplained: nothing where everybody of a day comes in these
minutes (a release, a première) or where as many always come at this hour, 1 where the pair are strangers in the night.

Chance is the bipartite configuration model (as in Pacheco et al. 2021, "Uncovering coordinated networks"): who has
come W_a times to small windows meets who has come W_b times E = W_a·W_b·Σu·m² / (Σm)² times, over windows of m people
and weight u; times RHYTHM, since people of one country are awake together. P(X ≥ x) ≤ e^-(x·ln(x/E) - x + E) for a sum
of weights in 0 … 1 (Chernoff; Hoeffding 1963). Three people of whom each has met two others so are a band.

Everything is of fixed size. A pair seen once is forgotten first; when FORGET_AT visits have been seen, half of all that
is known is dropped, so that visits and meetings stay of the same stretch of time.
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
from detectors.campaigns.visits import CROWD_MAX, WEIGHT_MIN, Visit, affordable, all_pairs
from detectors.windows.scales import DAY_MS, MINUTE_MS, MINUTES_MS

PAGES = 16
"""Parts in which the table is stored: a record of the state must stay well under a megabyte."""
CHAIN_MS = 15 * MINUTE_MS
"""A meeting so soon after the last one belongs to its sitting: longer than a song, shorter than people's patience."""
UNIT_MS = MINUTES_MS
STALE_UNITS = 7 * DAY_MS // UNIT_MS
"""A pair of several occasions is kept a week against new ones."""
FORGET_AT = 1 << 20
"""Visits at which half of what is known is dropped."""

ONE = 256
"""An occasion of weight 1, in the table's units."""
SITTING = ONE // 2
"""What each further target of a sitting takes back: who walks through a list together is not called together."""
RHYTHM = 4.0
"""How much likelier people of one country and its evening meet than people at all hours."""
LEAST = 1e-3
"""Least expectation: tastes are shared."""

PAIR_SCORE = 3.0
"""-log10 p of a pair that may act together. Among a million there are a thousand such by chance; those are not of one
window, nor tied to each other."""
PAIR_SCORE_MAX = 12.0
OCCASIONS_MIN = 3
"""Different owners or targets, the one at hand left out, on which a pair must have met."""
PARTNERS_MIN = 2
BAND_MIN = 3
"""A pair may be a couple, or one person's two devices."""
SUSPECTS_MAX = 64
"""Actors of a window whose pairs are looked up: those with the smallest hashes."""


class Band(NamedTuple):
    """Those of a window who act together: who, on how many other targets (median of their pairs), by what chance."""

    members: tuple[int, ...]
    occasions: int
    expected: float
    score: float
    """-log10 p"""


class ActorPairs:
    """The pairs of one task, over all its metrics and targets."""

    def __init__(self) -> None:
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
        """Keep a closed window's actors until ``learn``. ``bit`` stands for whose target it is, see ``owner_bit``."""
        ordered = tuple(sorted(actors))
        if weight >= WEIGHT_MIN and 2 <= len(ordered) <= CROWD_MAX:
            self._pending.append(Visit(start_ms // UNIT_MS, bit, round(ONE * weight), ordered))
            self._changed = True

    def learn(self) -> None:
        """Let the windows that were noted since the last time, all of the same five minutes, teach."""
        visits, self._pending = affordable(self._pending), []
        if not visits:
            return
        everyone = np.fromiter(chain.from_iterable(visit.actors for visit in visits), np.int64)
        left, right, of = all_pairs(visits)
        keys, first = first_of_each(pair_keys(left, right))
        where = np.array([visit.bit for visit in visits], np.uint8)[of[first]]
        weights = np.array([visit.weight for visit in visits], np.uint16)[of[first]]
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
        found = here.view(np.uint32)[:, 0] != 0  # the four of a row at once
        at = slots[found] * WAYS + here[found].argmax(axis=1)
        sitting = (unit - self._last[at]) * UNIT_MS <= CHAIN_MS
        walked = at[sitting & (self._where[at] != where[found])]
        news = (self._bits[at] & bits[found] == 0) & ~sitting
        self._last[at], self._where[at] = unit, where[found]
        self._weights[walked] = np.maximum(self._weights[walked], SITTING) - SITTING
        at, mine = at[news], np.nonzero(found)[0][news]
        self._bits[at] |= bits[mine]
        self._weights[at] = np.minimum(self._weights[at].astype(np.int64) + weights[mine], 65535).astype(np.uint16)
        often = mine[bits_set(self._bits[at]) >= OCCASIONS_MIN]
        for actors in who:
            for cell in cells_of(actors[often])[0].tolist():
                self._suspects[cell] = 1
        # New pairs: one for a slot at a time, over the pair that has met least and longest ago.
        fresh = np.nonzero(~found)[0]
        firsts = np.full(SLOTS, len(keys), np.int64)
        np.minimum.at(firsts, slots[fresh], fresh)
        fresh = firsts[firsts < len(keys)]
        rooms = slots[fresh]
        met = bits_set(rows_at(self._bits, rooms))
        ranks = np.where(rows_at(self._prints, rooms) == 0, -1, met * (1 << 32) + rows_at(self._last, rooms))
        rows, ways = np.arange(len(fresh)), np.zeros(len(fresh), np.int64)
        for way in range(1, WAYS):  # numpy's argmin takes five times as long for rows of four
            ways[ranks[:, way] < ranks[rows, ways]] = way
        rooms, met = rooms * WAYS + ways, met[rows, ways]
        taken = (met < 2) | (self._last[rooms] < unit - STALE_UNITS)
        rooms, fresh = rooms[taken], fresh[taken]
        self._tried += len(fresh)
        self._prints[rooms], self._bits[rooms], self._weights[rooms] = prints[fresh], bits[fresh], weights[fresh]
        self._last[rooms], self._where[rooms] = unit, where[fresh]
        pages = np.concatenate([rooms // WAYS, slots[found]]) // (SLOTS // PAGES)
        self._pages.update(np.nonzero(np.bincount(pages, minlength=PAGES))[0].tolist())

    def _forget(self) -> None:
        """Halve visits, and of every pair the half of its occasions that has not been halved last time."""
        kept = np.uint64(0x5555555555555555 << self._forgotten % 2 & (1 << 64) - 1)
        before = np.maximum(bits_set(self._bits), 1)
        self._bits &= kept
        self._weights = (self._weights.astype(np.int64) * bits_set(self._bits) // before).astype(np.uint16)
        self._prints[self._bits == 0] = 0
        self._visits >>= 1
        self._total, self._mass, self._tried = self._total // 2, self._mass // 2, self._tried // 2
        self._forgotten += 1
        self._pages.update(range(PAGES))

    def broken_off(self) -> None:
        """Learning has failed half way: what is in memory now is the state, whatever of it has changed."""
        self._pending = []
        self._pages.update(range(PAGES))
        self._changed = True

    # ---------------------------------------------------------------- asking

    def suspects(self, actors: Iterable[int]) -> list[int]:
        """Those of a window's actors who may be in lockstep with anybody; nobody if they are too few for a band."""
        marked = self._suspects
        found = [actor for actor in actors if marked[actor >> 1 & CELLS - 1]]
        return found if len(found) >= BAND_MIN else []

    def band(self, actors: Iterable[int], bit: int) -> Band | None:
        """Those of a window's actors who are in lockstep, by what was learned on other targets than ``bit``'s."""
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
        weights = self._weights[at].astype(np.int64) - np.where(bits & mark != 0, ONE, 0)
        counted = [row[cells] for row, cells in zip(self._visits, cells_of(people), strict=True)]
        visits = np.minimum(*counted).astype(np.float64)
        scale = RHYTHM * self._mass / ONE / max(1, self._total) ** 2
        expected = np.maximum(visits[i] * visits[j] * scale, LEAST)
        edges: dict[tuple[int, int], tuple[float, int, float]] = {}
        for edge in np.nonzero(met >= OCCASIONS_MIN)[0].tolist():
            score = _score(max(0, int(weights[edge])) / ONE, float(expected[edge]))
            if score >= PAIR_SCORE:
                pair = int(people[i[edge]]), int(people[j[edge]])
                edges[pair] = min(score, PAIR_SCORE_MAX), int(met[edge]), float(expected[edge])
        members = _core(set(edges))
        if len(members) < BAND_MIN:
            return None
        kept = sorted(edge for pair, edge in edges.items() if members.issuperset(pair))
        # As many pairs as it takes to tie the band together are independent of each other. The first was found among
        # all that were tried, the band among all of its size that the window has.
        choices = max(1, self._tried) * math.comb(len(actors), len(members))
        score = (len(members) - 1) * kept[0][0] - math.log10(choices)
        middle = sorted(kept, key=lambda edge: edge[1])[len(kept) // 2]
        return Band(tuple(sorted(members)), middle[1], middle[2], score) if score > 0.0 else None

    # ---------------------------------------------------------------- state

    def take_changed(self) -> list[tuple[str, Any]]:
        """What has changed since the last call, by name, as msgspec-encodable builtins."""
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
        """Take a part that ``take_changed`` gave."""
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


def _score(x: float, expected: float) -> float:
    """-log10 of the bound on P(X ≥ x).

    >>> _score(2.0, 3.0), round(_score(10.0, 0.1), 1)
    (0.0, 15.7)
    """
    return (x * math.log(x / expected) - x + expected) / math.log(10.0) if x > expected else 0.0


def _core(pairs: set[tuple[int, int]]) -> set[int]:
    """Those who have PARTNERS_MIN partners among those who have."""
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
