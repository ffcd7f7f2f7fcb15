"""Duplicates are known within a bound, and a replay of the log knows the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detectors.intake.recent_ids import RecentIds

blocks = st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=6), min_size=1, max_size=30)


def _take(ids: RecentIds, block: list[int]) -> list[bool]:
    return [ids.add(ident) for ident in block]


@given(blocks, st.integers(1, 8))
def test_as_many_different_ids_as_promised_are_known(log: list[list[int]], size: int) -> None:
    ids, met = RecentIds(size), list[int]()
    for position, block in enumerate(log):
        ids.turn(position, position)
        for ident, fresh in zip(block, _take(ids, block), strict=True):
            last = list(dict.fromkeys(reversed(met)))[:size]
            assert not (fresh and ident in last)
            assert fresh or ident in met
            met.append(ident)


@given(blocks, st.integers(1, 8), st.data())
def test_a_replay_from_where_it_says_judges_what_is_open_as_it_was_judged(
    log: list[list[int]], size: int, data: st.DataObject
) -> None:
    position = data.draw(st.integers(1, len(log)))
    oldest_open = data.draw(st.integers(max(0, position - 6), position))
    ids = RecentIds(size)
    judged = []
    for at in range(position):
        ids.turn(at, min(at, oldest_open))
        judged.append(_take(ids, log[at]))
    start = ids.replay_start(oldest_open)
    assert start is not None
    again = RecentIds(size)
    again.starts = list(ids.starts)
    for at in range(min(start, oldest_open), position):
        if at in ids.starts:
            again.roll()
        answers = _take(again, log[at])
        if at >= oldest_open:
            assert answers == judged[at]
    for at in range(position, len(log)):
        ids.turn(at, at)
        again.turn(at, at)
        assert _take(again, log[at]) == _take(ids, log[at])


def test_memory_is_bounded() -> None:
    ids = RecentIds(100)
    for position in range(2000):
        ids.turn(position, position)
        _take(ids, [position * 10 + n for n in range(10)])
    assert len(ids._newer) + len(ids._older) <= 2 * (100 + 10)
    assert len(ids.starts) <= 3


@given(st.lists(st.lists(st.integers(-1, 9), max_size=6), min_size=1, max_size=20), st.integers(1, 8))
def test_ids_of_a_block_are_remembered_as_one_after_another(log: list[list[int]], size: int) -> None:
    together, one_by_one = RecentIds(size), RecentIds(size)
    for position, block in enumerate(log):
        for ids in (together, one_by_one):
            ids.turn(position, position)
        known = {place for place, ident in enumerate(block) if ident >= 0 and not one_by_one.add(ident)}
        assert together.add_all(block) == known
        assert len(together) == len(one_by_one)


def test_a_generation_ends_when_it_is_full() -> None:
    ids = RecentIds(3)
    for position, block in enumerate([[1, 2], [3], [4], [5, 6, 7], [8]]):
        ids.turn(position, position)
        ids.add_all(block)
    assert ids.starts == [2, 4]
    assert len(ids) == 5
    assert [ids.add(ident) for ident in (3, 4, 8, 9)] == [True, False, False, True]


def test_without_ids_nothing_is_read_again() -> None:
    assert RecentIds(3).replay_start(5) is None
