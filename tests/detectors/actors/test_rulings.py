"""Rulings on actors: they count on other targets only, are bounded, and survive a restart."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detectors.actors.rulings import RULED_MAX, Rulings
from detectors.controls import SELLER, Ruled
from detectors.events.key import VIEW, Key, key_of, other_metric, target_of

ASKED = A, B, C, _ = [key_of(VIEW, target) for target in "abcd"]
NOTES = st.lists(
    st.tuples(st.sets(st.integers(0, 40), min_size=1), st.sampled_from([A, other_metric(A, 1), B, other_metric(C, 2)]))
)


def ruled(notes: list[tuple[set[int], Key]]) -> Rulings:
    rulings = Rulings()
    for actors, key in notes:
        rulings.note(sorted(actors), key)
    return rulings


@given(NOTES, st.integers(0, 40), st.sampled_from(ASKED))
def test_a_record_is_what_was_noted_of_the_actor_on_another_target(
    notes: list[tuple[set[int], Key]], actor: int, key: Key
) -> None:
    targets = {target_of(noted) for actors, noted in notes if any(one // 2 == actor // 2 for one in actors)}
    assert ruled(notes).share([actor], key) == (1.0 if targets - {target_of(key)} else 0.0)


def test_who_has_a_ruling_on_another_target_or_on_conduct() -> None:
    rulings = ruled([({2, 3}, A), ({4}, B)])
    rulings.conduct.note(Ruled(0, [6, 8], [SELLER, SELLER], [90, 40], [1000, 500]))
    assert rulings.with_ruling([3, 5, 7, 9, 11], B, 600) == {3, 7}
    assert rulings.with_ruling([3, 5, 7, 9, 11], A, 400) == {5, 7, 9}


@given(NOTES)
def test_it_outlives_a_restart(notes: list[tuple[set[int], Key]]) -> None:
    rulings, restored = ruled(notes), Rulings()
    restored.load(msgspec.msgpack.decode(msgspec.msgpack.encode(rulings.dump())))
    for key in ASKED:
        assert [restored.share([a], key) for a in range(41)] == [rulings.share([a], key) for a in range(41)]
    assert len(restored) == len(rulings)


def test_it_says_whether_there_is_anything_new_to_keep() -> None:
    rulings = ruled([({2, 4}, A)])
    assert rulings.take_changed()
    rulings.note([2, 4], A)
    assert not rulings.take_changed()
    rulings.note([2], B)
    assert rulings.take_changed()


def test_the_oldest_are_forgotten_and_who_comes_again_is_not() -> None:
    rulings = Rulings()
    rulings.note([2], A)
    for generation in range(4):
        rulings.note(range(100 + generation * 2 * RULED_MAX, 100 + (generation + 1) * 2 * RULED_MAX, 2), B)
        rulings.note([2], A)
    assert len(rulings) <= 2 * RULED_MAX + 2
    assert rulings.share([2], C) == 1.0
    assert rulings.share([100], C) == 0.0
