"""Who comes together with whom: rings are found, and what only looks like one is not."""

from __future__ import annotations

import random
from itertools import count

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.campaigns import pair_arrays
from detectors.campaigns.pairs import FORGET_AT, ActorPairs, Band
from detectors.campaigns.visits import CROWD_MAX, owner_bit, weight_of

MINUTES = 300_000
HOUR = 12 * MINUTES
RING = list(range(10**9, 10**9 + 10 * 2**26, 2**26 + 2))
EVERYBODY = [random.Random(7).getrandbits(62) & ~1 for _ in range(3000)]


WEIGHT = 0.9


class Town:
    """Three thousand people who come to small targets as they like, and whoever else a test sends there."""

    def __init__(self, seed: int = 1, *, partitions: int = 1) -> None:
        self.lockstep = ActorPairs(partitions)
        self.partitions = partitions
        self.rng = random.Random(seed)
        self.now = 0
        self._names = count()

    def let_pass(self, windows: int) -> None:
        for _ in range(windows):
            self.together()

    def together(self, *groups: tuple[list[int], int], weight: float = WEIGHT) -> None:
        """Five minutes in which each of ``groups`` (people, whose target) comes together."""
        for _ in range(15):
            self.lockstep.note(self.now, self.elsewhere(), 0.8, self.rng.sample(EVERYBODY, self.rng.randint(2, 6)))
        for people, bit in groups:
            self.lockstep.note(self.now, bit, weight, people)
        self.lockstep.learn()
        self.now += MINUTES

    def elsewhere(self) -> int:
        return owner_bit(-1, f"t{next(self._names)}")

    def band(self, people: list[int]) -> Band | None:
        """The band of a window that follows the others."""
        return self.lockstep.band(people, owner_bit(-1, "here"), self.now, WEIGHT)

    def strike(self, people: list[int], times: int, *, owner: int = -1) -> None:
        for _ in range(times):
            bit = self.elsewhere() if owner < 0 else owner_bit(owner, "")
            self.together((self.rng.sample(people, min(7, len(people))), bit))
            self.let_pass(12 * self.partitions - 1)

    def play(self, people: list[int], tracks: int) -> None:
        """A list that is played together, a track every five minutes, of which one in ``partitions`` is seen here."""
        for _ in range(tracks):
            here = self.rng.random() * self.partitions < 1.0
            self.together(*([(people, self.elsewhere())] if here else []))


def test_a_ring_is_found_once_it_has_come_together_often_enough() -> None:
    town = Town()
    town.strike(RING, 2)
    assert town.band(RING[:7]) is None
    town.strike(RING, 18)
    band = town.band([*RING[:7], *EVERYBODY[:3]])
    assert band is not None
    assert set(RING[:7]) >= set(band.members)
    assert len(band.members) >= 5
    assert band.occasions > 20 * band.expected
    assert band.score > 6.0


def test_strangers_and_one_couple_are_no_band() -> None:
    town = Town()
    town.strike(RING[:2], 25)
    assert town.band([*RING[:2], *EVERYBODY[:8]]) is None
    assert all(town.band(town.rng.sample(EVERYBODY, 40)) is None for _ in range(50))


def test_fans_of_one_owner_meet_once() -> None:
    town = Town()
    town.strike(RING, 25, owner=77)
    assert town.band(RING) is None


def test_a_sitting_over_many_targets_is_no_band_however_often_it_is_repeated() -> None:
    town = Town()
    for _ in range(8):
        for _ in range(12):
            town.together((RING, town.elsewhere()))
        town.let_pass(24)
    assert town.band(RING) is None


@pytest.mark.parametrize("partitions", [1, 2, 4, 8])
def test_listeners_of_a_daily_list_are_no_band_over_how_many_partitions_it_is_spread(partitions: int) -> None:
    town = Town(partitions=partitions)
    for _ in range(12):
        town.let_pass(42)
        town.play(RING, 24)
        assert town.band(RING) is None


@pytest.mark.parametrize("partitions", [1, 2, 4, 8])
def test_a_ring_is_found_over_how_many_partitions_its_targets_are_spread(partitions: int) -> None:
    town = Town(partitions=partitions)
    town.strike(RING, 20)
    band = town.band(RING[:7])
    assert band is not None
    assert band.score > 6.0


def test_a_list_that_seems_to_pause_needs_times_in_proportion_to_the_partitions() -> None:
    town = Town(partitions=8)
    town.lockstep = ActorPairs(partitions=1)
    for _ in range(12):
        town.let_pass(42)
        town.play(RING, 24)
    assert town.band(RING) is not None


def _met(times: int, partitions: int, pause: int) -> Town:
    """Four people who have met so many times, ``pause`` windows apart."""
    town = Town(partitions=partitions)
    for _ in range(times):
        town.together((RING[:4], town.elsewhere()))
        town.let_pass(8)
        town.now += (pause - 9) * MINUTES
    return town


@given(partitions=st.integers(4, 64), beyond=st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_session_ends_a_quarter_of_an_hour_after_the_last_meeting_for_each_partition(
    partitions: int, beyond: bool
) -> None:
    town = _met(8, partitions, 3 * partitions + beyond)
    assert (town.band(RING[:4]) is not None) == beyond


@given(partitions=st.integers(4, 64), beyond=st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_further_target_takes_an_occasion_back_within_ten_minutes_for_each_partition(
    partitions: int, beyond: bool
) -> None:
    town = _met(7, partitions, 3 * partitions + 1)
    at = town.now - (3 * partitions + 1) * MINUTES
    bit = owner_bit(-1, "here")
    near, in_session = (
        town.lockstep.band(RING[:4], bit, at + pause * MINUTES, WEIGHT)
        for pause in (2 * partitions + beyond, 3 * partitions)
    )
    assert in_session is not None
    assert (near == in_session) == beyond


def test_the_present_meeting_counts_and_one_that_continues_a_session_takes_an_occasion_back() -> None:
    town = _met(7, 4, 16)
    after, unweighted, at_once = (
        town.lockstep.band(RING[:4], owner_bit(-1, "here"), start, weight)
        for start, weight in ((town.now, WEIGHT), (town.now, 0.0), (town.now - 15 * MINUTES, WEIGHT))
    )
    assert after is not None
    assert unweighted is not None
    assert after.score > unweighted.score + 1.0
    assert at_once is None or at_once.score < unweighted.score - 1.0


def test_a_crowd_that_its_target_accounts_for_teaches_nothing() -> None:
    assert weight_of(40, 0.5, before=0.0) == 0.0
    assert weight_of(40, 40.0, before=9e9) == 0.0
    town = Town()
    for _ in range(20):
        town.together((RING, town.elsewhere()), weight=0.0)
        town.let_pass(6)
    assert town.band(RING) is None


def test_whom_everybody_meets_nobody_is_in_league_with() -> None:
    lockstep = ActorPairs()
    lockstep.note(0, 1, 1.0, range(0, 2 * (CROWD_MAX + 1), 2))
    lockstep.learn()
    assert lockstep.take_changed() == []


def test_what_travelled_in_parts_finds_and_learns_as_the_original() -> None:
    codec = msgspec.msgpack
    town, copy = Town(), Town()
    saved: dict[str, bytes] = {}
    for strikes in (8, 1, 6):
        town.strike(RING, strikes)
        saved |= {name: codec.encode(part) for name, part in town.lockstep.take_changed()}
    for name, part in saved.items():
        copy.lockstep.load(name, codec.decode(part))
    copy.now, copy.rng = town.now, random.Random()
    copy.rng.setstate(town.rng.getstate())
    assert copy.band(RING) == town.band(RING)
    assert copy.lockstep.take_changed() == []
    town._names, copy._names = count(9000), count(9000)
    for each in (town, copy):
        each.strike(RING, 3)
    assert copy.band(RING) == town.band(RING)
    assert copy.lockstep.take_changed() == town.lockstep.take_changed()


def test_half_is_forgotten_of_visits_and_of_meetings_alike() -> None:
    town = Town()
    town.strike(RING, 20)
    before = town.band(RING)
    assert before is not None
    town.lockstep._total = FORGET_AT
    town.together()
    after = town.band(RING)
    assert after is None or after.occasions < before.occasions
    assert max(len(msgspec.msgpack.encode(part)) for _, part in town.lockstep.take_changed()) < 900_000


def test_bits_are_counted_alike_whatever_numpy_has(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = np.random.default_rng(1).integers(0, 1 << 63, (100, 4)).astype(np.uint64) << np.uint64(1)
    known = [[int(number).bit_count() for number in row] for row in bits]
    assert pair_arrays.bits_set(bits).tolist() == known
    monkeypatch.setattr(pair_arrays, "BITWISE_COUNT", None)
    assert pair_arrays.bits_set(bits).tolist() == known


@pytest.mark.parametrize("size", [1, 1000, 1 << 16, (1 << 16) + 1])
def test_the_first_of_equal_pairs_is_found_in_few_and_in_many(size: int) -> None:
    keys = np.random.default_rng(size).integers(0, size, size).astype(np.uint64) << np.uint64(31)
    firsts = {key: place for place, key in reversed(list(enumerate(keys.tolist())))}
    found, places = pair_arrays.first_of_each(keys)
    assert dict(zip(found.tolist(), places.tolist(), strict=True)) == firsts
    assert (np.diff(found.astype(np.int64)) > 0).all()
