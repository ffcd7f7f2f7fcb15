"""An open tick does not depend on the size of the blocks in which its events come."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.events.block import EventBlock
from detectors.events.key import VIEW, Key, target_of
from detectors.intake import heap as heaps
from detectors.intake.heap import Heap
from detectors.intake.ticks import rows_of
from detectors.records import Outcome
from detectors.state.target_state import TargetState
from detectors.windows.crowd import ROW_BYTES, Crowd, pack_row
from tests.states import states_of

TICK_MS = 10_000

act = st.tuples(
    st.sampled_from("abcdé"),  # target
    st.integers(0, 2),  # metric
    st.integers(0, 3 * TICK_MS),  # ts
    st.integers(0, 5),  # actor
    st.integers(-1, 9),  # ident: few, so that some come twice
    st.booleans(),  # undo
    st.integers(-1, 3),  # network
)
Act = tuple[str, int, int, int, int, bool, int]


def _block(acts: list[Act]) -> EventBlock:
    target, metric, ts, actor, ident, undo, network = map(list, zip(*acts, strict=True))
    return EventBlock(
        target=target, metric=metric, ts=ts, actor=actor, ident=[i * 2 if i >= 0 else -1 for i in ident],
        undo=undo, network=network,
    )  # fmt: skip


def _audited(acts: list[Act], sizes: list[int]) -> tuple[Outcome, dict[Key, TargetState]]:
    audit, outcome = Audit(AuditSettings(tick_seconds=10, dedupe_ids=1000)), Outcome()
    audit.advance(TICK_MS, outcome)  # the first tick is over: what comes for it is late
    at, size = 0, itertools.cycle(sizes)
    while at < len(acts):
        step = next(size)
        audit.observe(_block(acts[at : at + step]), 7, outcome)
        at += step
    audit.advance(600_000, outcome)
    for state in states_of(audit).values():
        for crowd in state.open.values():
            crowd.settle()
    return outcome, dict(states_of(audit))


@given(st.lists(act, min_size=1, max_size=120), st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_the_size_of_blocks_changes_nothing(acts: list[Act], sizes: list[int]) -> None:
    assert _audited(acts, sizes) == _audited(acts, [1])
    assert _audited(acts, [len(acts)]) == _audited(acts, [1])


def rows_by_target(heap: Heap) -> list[tuple[str, bytes, Crowd | None]]:
    return [(target_of(key), rows, folded) for key, rows, folded in heap.by_key(VIEW)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=200))
def test_every_target_gets_its_own_rows_in_their_order(events: list[tuple[str, int]]) -> None:
    heap = Heap()
    for target, actor in events[:5]:
        heap.add_one(target, pack_row(actor, *[-1] * 6))
    rest = events[5:]
    if rest:
        block = EventBlock(
            target=[t for t, _ in rest], metric=[0] * len(rest), ts=[0] * len(rest), actor=[a for _, a in rest]
        )
        heap.add(block.target, rows_of(block))
    found = {target: Crowd(rows=rows).columns()[0] for target, rows, _ in rows_by_target(heap)}
    for target in {t for t, _ in events}:
        mine = [a for t, a in events if t == target]
        assert sorted(found[target]) == sorted(mine)
    assert list(found) == sorted(found)


def test_hot_targets_are_folded_before_a_heap_grows_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heaps, "HEAP_ROWS", 500)
    monkeypatch.setattr(heaps, "FOLD_ROWS", 50)
    heap, whole = Heap(), Crowd()
    for number in range(300):
        targets = ["hot"] * 20 + [f"cold{number % 40}"]
        actors = [number * 20 + i for i in range(20)] + [number]
        block = EventBlock(target=targets, metric=[0] * 21, ts=[0] * 21, actor=actors)
        heap.add(targets, rows_of(block))
        whole.fold_packed(rows_of(block)[:20].tobytes())
    by_target = {target: (len(rows) // ROW_BYTES, folded) for target, rows, folded in rows_by_target(heap)}
    rows, folded = by_target["hot"]
    assert folded is not None
    assert rows < 1000
    assert rows + folded.n == 6000
    assert sum(count for target, (count, _) in by_target.items() if target != "hot") == 300
    hot = next(rows for target, rows, _ in rows_by_target(heap) if target == "hot")
    folded.fold_packed(hot)
    assert folded == whole


@pytest.mark.parametrize("in_blocks", [True, False])
def test_a_heap_that_nothing_can_be_folded_of_is_looked_at_when_it_has_doubled(
    monkeypatch: pytest.MonkeyPatch, *, in_blocks: bool
) -> None:
    """Rows of targets that are not hot stay, and to sort them all for each event would take for ever."""
    monkeypatch.setattr(heaps, "HEAP_ROWS", 100)
    looked: list[int] = []
    fold = Heap._fold  # how often it is called is the behaviour

    def noted(heap: Heap) -> None:
        looked.append(heap.memory_bytes())
        fold(heap)

    monkeypatch.setattr(Heap, "_fold", noted)
    heap = Heap()
    for number in range(1000):
        target = f"cold{number}"
        if in_blocks:
            heap.add([target], rows_of(EventBlock(target=[target], metric=[0], ts=[0], actor=[number])))
        else:
            heap.add_one(target, pack_row(number, *[-1] * 6))
    assert len(looked) == 4  # at 101, 203, 407 and 815 rows
    assert sum(heap.counts().values()) == 1000
