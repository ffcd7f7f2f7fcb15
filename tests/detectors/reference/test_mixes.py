"""The platform's crowd, and who was there before."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.buckets import NETWORK_BUCKETS, network_bucket
from detectors.events.watch_buckets import WATCH_BINS
from detectors.features.crowd import newcomers_of
from detectors.features.names import NETWORK
from detectors.features.people import people_of
from detectors.reference.known_actors import KNOWN_FILL, KnownActors, are_unknown, unknown_to_all
from detectors.reference.mixes import (
    FORGET_AT,
    MIX_MIN,
    WEIGHT_CAP,
    Mix,
    NetworkMix,
    WatchMix,
    by_country,
    platform_mixes,
)
from detectors.windows.crowd import HASH_SPACE, Crowd
from tests.crowds import fold
from tests.features import crowd_features
from tests.mixes import learn

histograms = st.dictionaries(st.integers(0, 63), st.integers(1, 500), min_size=1, max_size=30)


@given(histograms)
def test_no_window_weighs_more_than_its_cap(counts: dict[int, int]) -> None:
    mix = Mix(64)
    learn(mix, counts)
    assert mix.total <= WEIGHT_CAP + 1e-6
    assert abs(sum(mix.counts.values()) - mix.total) < 1e-6


@given(histograms)
def test_an_unknown_mix_finds_no_crowd_strange(counts: dict[int, int]) -> None:
    mix = Mix(64)
    learn(mix, {0: int(MIX_MIN) - 1})
    assert mix.excess(counts) == 0.0


@pytest.mark.parametrize("country", [-1, 7])
def test_networks_speak_only_of_people_whose_country_was_given(country: int) -> None:
    rng, mixes = random.Random(2), platform_mixes()
    for _ in range(300):
        learn(mixes["network"], _histogram([network_bucket(rng.randrange(1000), country) for _ in range(20)]))
    crowd = Crowd()
    rows = [(rng.getrandbits(62), network_bucket(rng.randrange(5), country), 1, 1, country, -1, -1) for _ in range(99)]
    fold(crowd, rows)
    assert (crowd_features(crowd, mixes, []).get(NETWORK, 0.0) > 0.5) == (country >= 0)
    assert (NETWORK in crowd_features(crowd, mixes, [])) == (country >= 0)
    assert bool(mixes["network"].over(crowd.histogram("network"))) == (country >= 0)


@given(st.lists(st.integers(0, 40), min_size=64, max_size=64), st.integers(1, 20))
def test_a_crowd_of_the_mix_itself_has_no_excess(shares: list[int], times: int) -> None:
    counts = {bucket: (share + 1) * times for bucket, share in enumerate(shares)}
    mix = Mix(64)
    for _ in range(200):
        learn(mix, counts)
    assert mix.excess(counts) == 0.0


@given(st.integers(0, 500))
def test_a_random_crowd_of_the_mix_has_little_excess_and_a_foreign_one_nearly_all(seed: int) -> None:
    rng = random.Random(seed)
    mix = Mix(256)
    for _ in range(60):
        learn(mix, _histogram([rng.randrange(100) for _ in range(20)]))
    assert mix.excess(_histogram([rng.randrange(100) for _ in range(300)])) < 0.15
    assert mix.excess(_histogram([200 + rng.randrange(3) for _ in range(300)])) > 0.9


@given(histograms, st.randoms(use_true_random=False))
def test_the_order_in_which_a_crowd_came_together_does_not_change_its_excess(
    counts: dict[int, int], rng: random.Random
) -> None:
    mix = Mix(64)
    for bucket in range(30):
        learn(mix, {bucket: 20, 31: bucket + 1})
    shuffled = list(counts.items())
    rng.shuffle(shuffled)
    assert mix.excess(dict(shuffled)) == mix.excess(counts)


def test_the_mix_forgets_and_stays_bounded() -> None:
    mix = Mix(64)
    for number in range(round(3 * FORGET_AT / WEIGHT_CAP)):
        learn(mix, {number % 64: 100})
    assert mix.total <= FORGET_AT
    assert len(mix.counts) <= 64


def test_almost_to_the_end_is_odd_only_as_far_as_the_end_is_missed() -> None:
    mix = WatchMix(4 * WATCH_BINS)
    for _ in range(100):
        learn(mix, {0: 15, 2: 25, 6: 10, 7: 50})
    fans = {6: 50, 7: 50}
    assert mix.over(fans) == {}
    leavers = {6: 90, 7: 10}
    assert set(mix.over(leavers)) == {6}
    assert mix.over(leavers)[6] == pytest.approx(40, rel=0.02)
    assert set(mix.over({2: 90, 7: 10})) == {2}
    assert mix.over({7: 100}) == {}


@given(st.lists(st.dictionaries(st.integers(0, 4 * NETWORK_BUCKETS), st.integers(1, 90), min_size=1), max_size=40))
def test_a_country_weighs_what_its_networks_do(windows: list[dict[int, int]]) -> None:
    mix = NetworkMix(NETWORK_BUCKETS)
    for number, counts in enumerate(windows):
        learn(mix, counts)
        if number == 20:
            mix.total += FORGET_AT  # it is halved with the next
    expected = by_country(mix.counts)
    assert mix.countries == pytest.approx({country: expected.get(country, 0.0) for country in mix.countries})
    assert expected.keys() <= mix.countries.keys()


@given(st.lists(st.integers(0, HASH_SPACE - 1), max_size=50))
def test_who_was_met_is_known(actors: list[int]) -> None:
    known = KnownActors()
    known.add_all(actors)
    assert known.unmet(actors) == []


@given(st.lists(st.integers(0, HASH_SPACE - 1), max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_many_actors_asked_at_once_are_as_unknown_as_one_by_one(actors: list[int], first: int, second: int) -> None:
    older, other = KnownActors(), KnownActors()
    older.add_all(actors[:first])
    older.older, older.newer = older.newer, older.older
    other.add_all(actors[second:])
    for known in ((older,), (older, other), (other, other)):
        unknown = are_unknown(np.array(actors, np.int64), known)
        assert [actor for actor, new in zip(actors, unknown, strict=True) if new] == unknown_to_all(actors, known)


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=10))
def test_somebody_who_comes_again_fills_no_more(visits: list[list[int]]) -> None:
    rng = random.Random(7)
    hashes = [rng.randrange(HASH_SPACE) for _ in range(41)]
    known = KnownActors()
    for actors in visits:
        known.add_all([hashes[actor] for actor in actors])
    assert known.filled == len({actor for actors in visits for actor in actors})


def test_strangers_are_rarely_taken_for_known_and_the_long_gone_are_forgotten() -> None:
    rng = random.Random(3)
    known = KnownActors()
    first = [rng.randrange(HASH_SPACE) for _ in range(1000)]
    known.add_all(first)
    known.add_all([rng.randrange(HASH_SPACE) for _ in range(KNOWN_FILL)])
    assert known.unmet(first) == []
    for _ in range(40):
        known.add_all([rng.randrange(HASH_SPACE) for _ in range(KNOWN_FILL // 20)])
    assert len(first) - len(known.unmet(first)) < 300


def test_strangers_are_counted_among_the_different_actors() -> None:
    known = KnownActors()
    known.add_all([1 << 40])
    crowd = Crowd()
    fold(crowd, [(1 << 40, -1, -1, -1, -1, -1, -1)] * 9 + [(3 << 50, -1, -1, -1, -1, -1, -1)])
    found = newcomers_of([crowd], people_of([crowd]), [known])
    assert (found.checked.tolist(), found.unknown.tolist()) == ([2], [1])


def _histogram(values: list[int]) -> dict[int, int]:
    return {value: values.count(value) for value in set(values)}
