"""A packed sample has the people that dicts of all events would have, in whatever order and parts the events came."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.windows import crowd as windows
from detectors.windows import sample as samples
from detectors.windows.crowd import HASH_SPACE, PENDING_ROWS, Crowd, Row, pack_row
from detectors.windows.sample import ACTOR_SAMPLE, DIMENSIONS, FEW_PEOPLE, SAMPLE_BYTES, last_actor, merged

LEAST, MOST = -(1 << 31), (1 << 31) - 1
MARKS = st.sampled_from([(-1, -1, 0, 1), (LEAST, -1, 0, MOST), (-1, 0, 1, 40, 7_000, MOST)])
ACTORS = st.sampled_from([1, 3, FEW_PEOPLE, 200, ACTOR_SAMPLE - 1, ACTOR_SAMPLE, ACTOR_SAMPLE + 1, 700])
EVENTS = st.sampled_from([1, 2, 5, FEW_PEOPLE, FEW_PEOPLE + 1, 70, 300, PENDING_ROWS + 1, 1_500])


class DictModel:
    """All events of a window, and what its sample must be of them."""

    def __init__(self, rows: list[Row]) -> None:
        events: Counter[int] = Counter(row[0] for row in rows)
        marks: dict[int, tuple[int, ...]] = {}
        for actor, *these in rows:
            marks[actor] = min(marks.get(actor, (*these,)), (*these,))
        chosen = sorted(events)[:ACTOR_SAMPLE]
        self.people = [(actor, events[actor], *marks[actor]) for actor in chosen]
        self.sampled = len(events) > ACTOR_SAMPLE
        self.watch = Counter(row[-1] for row in rows if row[-1] != -1)
        self.distinct = float(len(events))
        if self.sampled:
            self.distinct = (ACTOR_SAMPLE - 1) * HASH_SPACE / (chosen[-1] + 1)


def drawn(rng: random.Random, hashes: list[int], marks: tuple[int, ...], events: int) -> list[Row]:
    return [
        (rng.choice(hashes), *(rng.choice(marks) for _ in DIMENSIONS), rng.choice((-1, 3, 9)))  # type: ignore[misc]  # five
        for _ in range(events)
    ]


def matches(crowd: Crowd, rows: list[Row]) -> None:
    """Everything that a crowd says of its people is what the dicts say."""
    model, wanted = DictModel(rows), sorted({row[0] for row in rows[:50]})
    assert crowd.n == len(rows)
    if not model.sampled:  # without folding
        assert crowd.sampled_people() == len(model.people)
        assert crowd.has_any([*wanted, 5]) == crowd.actor_hashes() & {*wanted, 5} == set(wanted)
        assert sorted(crowd.returning(2)) == [actor for actor, events, *_ in model.people if events > 1]
    crowd.settle()
    assert crowd.people.tolist() == model.people
    assert (crowd.sampled, crowd.watch, crowd.distinct_actors()) == (model.sampled, model.watch, model.distinct)
    assert crowd.events_by_actor() == {actor: events for actor, events, *_ in model.people}
    chosen = [person for person in model.people if person[0] in wanted]
    assert crowd.people_among([*wanted, 5]).tolist() == chosen
    assert crowd.has_any(wanted) == {person[0] for person in chosen}
    assert crowd.has_any(wanted[:2]) == {person[0] for person in chosen} & set(wanted[:2])
    for place, name in enumerate(DIMENSIONS, 2):
        assert crowd.histogram(name) == Counter(person[place] for person in model.people if person[place] != -1)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    actors=ACTORS,
    marks=MARKS,
    parts=st.lists(st.tuples(EVENTS, st.integers(0, 2), st.booleans()), min_size=1, max_size=8),
    joins=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=4),
)
def test_a_sample_has_the_people_that_dicts_of_all_events_have(
    seed: int,
    actors: int,
    marks: tuple[int, ...],
    parts: list[tuple[int, int, bool]],
    joins: list[tuple[int, int]],
) -> None:
    """``parts``: how many events, of which window, and whether it is folded then. ``joins``: which windows merge."""
    rng = random.Random(seed)
    hashes = [rng.randrange(HASH_SPACE) for _ in range(actors)]
    crowds: list[tuple[Crowd, list[Row]]] = [(Crowd(), []) for _ in range(3)]
    for events, place, folds in parts:
        crowd, rows = crowds[place]
        added = drawn(rng, hashes, marks, events)
        crowd.take(b"".join(pack_row(*row) for row in added))
        rows += added
        if folds:
            crowd.settle()
    for into, place in joins:
        if into != place:
            crowds[into][0].merge(crowds[place][0])
            crowds[into][1].extend(crowds[place][1])
            crowds[place] = Crowd(), []
    for crowd, rows in crowds:
        matches(crowd, rows)


@given(seed=st.integers(0, 1000), events=st.integers(1, 150), known=st.sampled_from([0, 3, 100, ACTOR_SAMPLE]))
def test_one_by_one_and_as_arrays_people_are_added_alike(seed: int, events: int, known: int) -> None:
    rng = random.Random(seed)
    hashes = [rng.randrange(HASH_SPACE) for _ in range(2 * known + 20)]
    first = [(actor, 1, 7, 7, 7, 7, 7, 7) for actor in sorted(hashes[:known])]
    rows = drawn(rng, hashes, (-1, 3, 9), events)
    before = samples.pack_people(first)
    packed = b"".join(pack_row(*row) for row in rows)
    assert samples.with_few_rows(before, rows) == samples.with_many_rows(before, packed)
    other, _ = samples.with_few_rows(b"", rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "FEW_PEOPLE", 0)
        as_arrays = merged(before, other), merged(other, before)
        patch.setattr(samples, "FEW_PEOPLE", 1_000)
        assert as_arrays == (merged(before, other), merged(other, before))


def test_a_full_sample_is_the_same_object_if_nobody_of_others_belongs_to_it() -> None:
    people = [(actor, 1, -1, -1, -1, -1, -1, -1) for actor in range(ACTOR_SAMPLE)]
    full = samples.pack_people(people)
    assert (len(full), last_actor(full)) == (SAMPLE_BYTES, ACTOR_SAMPLE - 1)
    beyond = samples.pack_people([(ACTOR_SAMPLE, 1, -1, -1, -1, -1, -1, -1)])
    joined, left_out = merged(full, beyond)
    assert joined is full
    assert left_out
    assert merged(full, b"") == (full, False)


@pytest.mark.parametrize("rows", [windows.ARRAY_FROM - 1, windows.ARRAY_FROM])
def test_a_window_takes_forty_bytes_for_a_person(rows: int) -> None:
    crowd = Crowd()
    crowd.fold_packed(b"".join(pack_row(actor, 1, 2, 3, 4, 5, 6) for actor in range(rows)))
    assert len(crowd.sample) == 40 * rows
