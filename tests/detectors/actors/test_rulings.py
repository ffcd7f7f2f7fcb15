"""What is held of actors: on other targets than the one it comes from, within bounds, and through a restart."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detectors.actors.rulings import RULED_MAX, Rulings

NOTES = st.lists(st.tuples(st.sets(st.integers(0, 40), min_size=1), st.sampled_from(["0a", "1a", "0b", "2c"])))


def told(notes: list[tuple[set[int], str]]) -> Rulings:
    rulings = Rulings()
    for actors, key in notes:
        rulings.note(sorted(actors), key)
    return rulings


@given(NOTES, st.integers(0, 40), st.sampled_from(["0a", "0b", "0c", "0d"]))
def test_a_record_is_what_was_noted_of_the_actor_on_another_target(
    notes: list[tuple[set[int], str]], actor: int, key: str
) -> None:
    elsewhere = {noted[1:] for actors, noted in notes for one in actors if one // 2 == actor // 2} - {key[1:]}
    assert told(notes).share([actor], key) == (1.0 if elsewhere else 0.0)


@given(NOTES)
def test_it_outlives_a_restart(notes: list[tuple[set[int], str]]) -> None:
    rulings, restored = told(notes), Rulings()
    restored.load(msgspec.msgpack.decode(msgspec.msgpack.encode(rulings.dump())))
    for key in ("0a", "0b", "0c", "0d"):
        assert [restored.share([a], key) for a in range(41)] == [rulings.share([a], key) for a in range(41)]
    assert len(restored) == len(rulings)


def test_it_says_whether_there_is_anything_new_to_keep() -> None:
    rulings = told([({2, 4}, "0a")])
    assert rulings.take_changed()
    rulings.note([2, 4], "0a")
    assert not rulings.take_changed()
    rulings.note([2], "0b")
    assert rulings.take_changed()


def test_the_oldest_are_forgotten_and_who_comes_again_is_not() -> None:
    rulings = Rulings()
    rulings.note([2], "0a")
    for generation in range(4):
        rulings.note(range(100 + generation * 2 * RULED_MAX, 100 + (generation + 1) * 2 * RULED_MAX, 2), "0b")
        rulings.note([2], "0a")
    assert len(rulings) <= 2 * RULED_MAX + 2
    assert rulings.share([2], "0c") == 1.0
    assert rulings.share([100], "0c") == 0.0
