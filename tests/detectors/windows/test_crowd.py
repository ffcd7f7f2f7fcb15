"""A window is the same whatever the order and the grouping of its events."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.windows.crowd import FEW_ACTORS, HASH_SPACE, PENDING_ROWS, Crowd, Row, pack_row
from detectors.windows.sample import ACTOR_SAMPLE
from tests.crowds import fold

small = st.integers(-1, 5)
rows = st.tuples(st.integers(0, 40), small, small, small, small, st.integers(-1, 1), small)


def _rows(seed: int, actors: int, events: int) -> list[Row]:
    rng = random.Random(seed)
    hashes = [rng.randrange(HASH_SPACE) for _ in range(actors)]
    return [
        (hashes[rng.randrange(actors)], rng.randrange(90), rng.randrange(-1, 9), -1, rng.randrange(5), 0, -1)
        for _ in range(events)
    ]


def _grouped(rows: list[Row], seed: int) -> Crowd:
    """The rows in some order, folded into some windows, merged in some order."""
    rng = random.Random(seed)
    rows = rng.sample(rows, len(rows))
    crowds = [Crowd() for _ in range(rng.randint(1, 6))]
    at = 0
    while at < len(rows):
        step = rng.randint(1, max(1, len(rows) // 3))
        fold(rng.choice(crowds), rows[at : at + step])
        at += step
    rng.shuffle(crowds)
    while len(crowds) > 1:
        crowds[rng.randrange(len(crowds) - 1)].merge(crowds.pop())
    return crowds[0]


@given(st.lists(rows, max_size=80), st.integers(0, 1000))
def test_any_order_and_grouping_of_events_gives_the_same_crowd(events: list[Row], seed: int) -> None:
    whole = Crowd()
    fold(whole, events)
    assert _grouped(events, seed) == whole


@given(st.integers(0, 10_000))
def test_so_it_does_when_there_are_more_actors_than_the_sample_holds(seed: int) -> None:
    events = _rows(seed % 7, 700, 1500)
    whole = Crowd()
    fold(whole, events)
    assert whole.sampled
    assert whole.sampled_people() == ACTOR_SAMPLE
    assert _grouped(events, seed) == whole


@given(st.lists(st.integers(0, 30), max_size=40), st.lists(st.integers(0, 40), unique=True, max_size=2 * FEW_ACTORS))
def test_actors_are_found_in_rows_and_in_what_is_folded_however_many_are_looked_for(
    came: list[int], wanted: list[int]
) -> None:
    """The bytes of one actor are also in the rows of others, across two of their numbers."""
    crowd, folded = Crowd(), Crowd()
    for actor in came:
        crowd.take(pack_row(actor, -1, actor << 24, actor, 0, -1, actor))
    fold(folded, [(actor, -1, actor << 24, actor, 0, -1, actor) for actor in came])
    assert crowd.rows or not came
    assert crowd.has_any(wanted) == folded.has_any(wanted) == set(came) & set(wanted)


def test_a_sampled_actor_is_counted_in_full() -> None:
    events = _rows(5, 600, 3000)
    crowd = _grouped(events, 5)
    for actor, count in crowd.events_by_actor().items():
        assert count == sum(1 for row in events if row[0] == actor)


@pytest.mark.parametrize("actors", [1, 200, 256, 257, 3000, 40_000])
def test_the_number_of_different_actors_is_estimated_within_its_error(actors: int) -> None:
    rng = random.Random(actors)
    crowd = Crowd()
    fold(crowd, [(rng.randrange(HASH_SPACE), -1, -1, -1, -1, -1, -1) for _ in range(actors)])
    assert crowd.distinct_actors() == pytest.approx(actors, rel=0.2 if actors > ACTOR_SAMPLE else 0)


@given(st.integers(0, 1000))
def test_a_window_that_folds_its_rows_when_they_are_many_is_the_same_crowd(seed: int) -> None:
    events = _rows(seed, 400, 2 * PENDING_ROWS)
    whole, window = Crowd(), Crowd()
    fold(whole, events)
    for event in events:
        window.take(pack_row(*event))
    assert len(window.rows) < len(events) * len(pack_row(*events[0]))
    window.settle()
    assert window == whole


def test_what_was_not_given_is_counted_nowhere() -> None:
    crowd = Crowd()
    fold(crowd, [(1, -1, 3, -1, -1, -1, -1)])
    assert (crowd.n, crowd.histogram("network"), crowd.histogram("agent"), crowd.watch) == (1, {}, {3: 1}, {})


def test_a_crowd_that_was_saved_and_read_merges_as_the_original() -> None:
    first, second = _rows(1, 400, 500), _rows(2, 400, 500)
    crowd, other = Crowd(start=7), Crowd()
    fold(crowd, first)
    fold(other, second)
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(crowd), type=Crowd)
    crowd.merge(other)
    copy.merge(msgspec.msgpack.decode(msgspec.msgpack.encode(other), type=Crowd))
    assert copy == crowd
