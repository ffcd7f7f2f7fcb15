"""Features of many crowds as columns: as of each crowd by itself, and as of its folded people."""

from __future__ import annotations

import dataclasses
import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.events.buckets import NETWORK_BUCKETS
from detectors.features import names as f
from detectors.features.columns import columns_of, joined, rows_of
from detectors.features.crowd import crowd_columns, newcomers_of
from detectors.features.people import People, people_of, together
from detectors.reference.known_actors import KnownActors
from detectors.reference.mixes import Mix, platform_mixes
from detectors.windows.crowd import Crowd, Row, pack_row
from detectors.windows.sample import COLUMNS, DIMENSIONS
from tests.features import crowd_features
from tests.mixes import learn


def row(rng: random.Random, actors: int) -> Row:
    network = rng.choice([-1, rng.randrange(NETWORK_BUCKETS), NETWORK_BUCKETS * rng.randrange(1, 4) + rng.randrange(9)])
    others = [rng.randrange(-1, most) for most in (5, 7, 4, 60, 32)]
    return rng.randrange(actors) * 2 + rng.randrange(2), network, *others  # type: ignore[return-value]  # seven


def crowd_of(rng: random.Random) -> Crowd:
    """A crowd of any size, folded, pending or both."""
    crowd, actors = Crowd(), rng.choice([3, 12, 400, 1 << 61])
    for _ in range(rng.choice([0, 1, 4, 7, 8, 20, 70, 400])):
        crowd.take(pack_row(*row(rng, actors)))
        if rng.random() < 0.02:
            crowd.settle()
    crowd.take(b"", rng.choice([0, 0, 3]))
    return crowd


def copy(crowd: Crowd) -> Crowd:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(crowd), type=Crowd, strict=False)


def reference(rng: random.Random) -> tuple[dict[str, Mix], KnownActors]:
    """A platform's mixes and known actors."""
    mixes, known = platform_mixes(), KnownActors()
    for _ in range(60):
        crowd = Crowd()
        crowd.take(b"".join(pack_row(*row(rng, 400)) for _ in range(20)))
        for name in DIMENSIONS:
            if counts := crowd.histogram(name):
                learn(mixes[name], counts)
        learn(mixes["watch"], crowd.watch)
        known.add_all(crowd.people["actor"].tolist()[:5])
    return mixes, known


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_a_crowd_has_the_same_features_among_others_and_alone(seed: int) -> None:
    rng = random.Random(seed)
    mixes, known = reference(rng)
    crowds = [crowd_of(rng) for _ in range(rng.randrange(1, 9))]
    alone = [crowd_features(copy(crowd), mixes, [known]) for crowd in crowds]
    people = people_of(crowds)
    columns = crowd_columns(crowds, people, mixes, newcomers_of(crowds, people, [known]))
    assert rows_of(columns, range(len(crowds))) == alone


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_people_are_those_of_the_folded_crowd(seed: int) -> None:
    rng = random.Random(seed)
    crowds = [crowd_of(rng) for _ in range(rng.randrange(1, 6))]
    people = people_of([copy(crowd) for crowd in crowds])
    for place, crowd in enumerate(crowds):
        crowd.settle()
        here = people.window == place
        assert people.actor[here].tolist() == crowd.people["actor"].tolist()
        assert people.events[here].tolist() == crowd.people["events"].tolist()
        assert [tuple(marks) for marks in people.traits[here].tolist()] == crowd.people[list(COLUMNS)].tolist()
        watched: dict[int, int] = {}
        there = people.watch_window == place
        for bucket, events in zip(
            people.watch_bucket[there].tolist(), people.watch_events[there].tolist(), strict=True
        ):
            watched[bucket] = watched.get(bucket, 0) + events
        assert watched == crowd.watch


@given(st.integers(0, 1000))
def test_people_of_windows_with_one_event_each_are_those_of_the_folded_crowds(seed: int) -> None:
    rng = random.Random(seed)
    crowds = [Crowd() for _ in range(rng.randrange(1, 9))]
    for crowd in crowds:
        if rng.random() < 0.8:
            crowd.take(pack_row(*row(rng, 5)))
    folded = [copy(crowd) for crowd in crowds]
    for crowd in folded:
        crowd.settle()
    for field in dataclasses.fields(People):
        ours, theirs = (getattr(people_of(some), field.name) for some in (crowds, folded))
        np.testing.assert_array_equal(ours, theirs)


@given(st.integers(0, 1000))
def test_selected_and_joined_people_are_the_same_people(seed: int) -> None:
    rng = random.Random(seed)
    crowds = [crowd_of(rng) for _ in range(5)]
    whole, places = people_of(crowds), np.array([0, 2, 3])
    parts = [people_of([crowds[place]]) for place in places]
    assert same(whole.selected(places), together(parts))


def same(one: People, other: People) -> bool:
    return one.windows == other.windows and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("window", "actor", "events", "traits", "watch_window", "watch_bucket", "watch_events")
    )


def test_a_mark_is_the_same_whether_a_column_is_one_of_persons_or_of_events() -> None:
    assert COLUMNS[: len(DIMENSIONS)] == DIMENSIONS


def test_columns_of_groups_are_joined_with_gaps_where_a_feature_is_absent() -> None:
    one, other = columns_of([{f.COUNT: 1.0}]), columns_of([{f.COUNT: 2.0, f.FRESH: 0.5}, {f.FRESH: 0.1}])
    columns = joined([(1, one), (2, other)])
    assert rows_of(columns, range(3)) == [{f.COUNT: 1.0}, {f.COUNT: 2.0, f.FRESH: 0.5}, {f.FRESH: 0.1}]
    assert columns[f.FRESH].tolist() == pytest.approx([float("nan"), 0.5, 0.1], nan_ok=True)
