"""How many keys a task keeps in memory, and what the gauges show of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from detectors.events.event import METRIC_INDEX
from detectors.events.key import VIEW, Key, key_of
from detectors.state.case import ARTIFICIAL, Case
from detectors.state.target_state import TargetState
from detectors.windows.crowd import Crowd
from detectors.windows.sample import NOTHING_KNOWN, PERSON_BYTES, pack_people
from detectors.windows.scales import HOUR
from streams.metrics import REGISTRY
from streams.state import keyed
from streams.state.gauges import contribution_of
from streams.state.keyed import HOT_BYTES_MIN, HOT_SHARE, Budget, KeyedState
from streams.state.sealed import encode_target
from streams.state.sizes import object_bytes
from streams.state.spill import changed_key
from streams.state.store import SCRATCH, Store

LIKE = METRIC_INDEX["like"]
KEY_BYTES = 5_100
"""Of a key in memory, before any was measured."""


def shown(name: str, **labels: str) -> float:
    """A gauge as it is exposed."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def states() -> Iterator[KeyedState]:
    """Keys of which the gauges show nothing afterwards."""
    made = KeyedState(Budget(1))
    yield made
    made.forget()


# ---------------------------------------------------------------- memory


def test_seven_eighths_of_the_budget_are_for_keys_and_tasks_share_it() -> None:
    budget = Budget(80_000 * KEY_BYTES)
    first = KeyedState(budget)
    assert first.hot_keys_max() == 70_000
    second = KeyedState(budget)
    assert first.hot_keys_max() == second.hot_keys_max() == 35_000
    second.forget()
    assert first.hot_keys_max() == 70_000


def test_what_a_task_holds_besides_is_taken_from_its_share() -> None:
    state = KeyedState(Budget(8_000 * KEY_BYTES))
    state.other_bytes = 2_000 * KEY_BYTES
    assert state.hot_keys_max() == 5_000


def test_however_small_the_budget_a_thousand_keys_stay_in_memory() -> None:
    assert KeyedState(Budget(1)).hot_keys_max() == 1_000


def popular(state: TargetState, actors: int = 256) -> None:
    """Give a target an open hour with so many sampled actors."""
    state.open[HOUR] = Crowd(n=actors, sample=pack_people((actor, 1, *NOTHING_KNOWN) for actor in range(actors)))


def bytes_in_memory(state: KeyedState, names: Iterable[Key]) -> int:
    """The estimated bytes of those keys that are in memory."""
    return sum(object_bytes(found) for found in map(state._hot, names) if found is not None)


def test_the_more_keys_take_the_fewer_stay_in_memory(tmp_path: Path) -> None:
    small, large = KeyedState(Budget(20_000_000)), KeyedState(Budget(20_000_000))
    names = [key_of(VIEW, str(number)) for number in range(2_000)]
    for state, actors in ((small, 0), (large, 256)):
        state.use_store(Store(tmp_path / str(actors), "here"))
        for _ in range(3):
            for name in names:
                popular(state.change(name), actors)
                assert bytes_in_memory(state, names) < 30_000_000 if name == names[-1] else True
            state.take_changed()
        assert bytes_in_memory(state, names) < HOT_SHARE * 20_000_000
    assert small.hot_keys() == 2_000
    assert large.hot_keys() < 1_600
    assert all(large[name].open[HOUR].sampled_people() == 256 for name in names), "wherever they are"
    small.forget()
    large.forget()


def test_keys_that_grow_in_memory_leave_it_though_no_other_key_comes(tmp_path: Path) -> None:
    state = KeyedState(Budget(8_000_000))
    state.use_store(Store(tmp_path / "store", "here"))
    names = [key_of(VIEW, str(number)) for number in range(1_000)]
    truth: dict[Key, int] = {}
    for round_number in range(16):
        for name in names:
            popular(state.change(name), 16 * (round_number + 1))
            truth[name] = 16 * (round_number + 1)
        cut = [(changed_key(name), encode_target(state[name])) for name in state.take_changed()]
        list(state.store_spilled())
        assert state.store is not None
        state.store.write(cut, born="x", next_offset=1)
        state.stored()
        assert {name: state[name].open[HOUR].sampled_people() for name in names} == truth
    assert bytes_in_memory(state, names) < HOT_SHARE * 8_000_000 < 1_000 * 16 * 16 * PERSON_BYTES
    state.forget()


def test_a_budget_that_is_too_small_for_large_keys_leaves_a_few_megabytes_of_them(tmp_path: Path) -> None:
    state = KeyedState(Budget(1))
    state.use_store(Store(tmp_path / "store", "here"))
    names = [key_of(VIEW, str(number)) for number in range(1_500)]
    for name in names:
        popular(state.change(name))
    assert state.hot_keys_max() < 500
    for name in names:
        state.change(name)
    assert bytes_in_memory(state, names) < 2 * HOT_BYTES_MIN
    state.forget()


def test_a_checkpoint_is_due_when_more_keys_have_changed_than_one_should_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed, "CHANGED_MAX", 600)
    state = KeyedState(Budget(1))
    for number in range(601):
        state.change(key_of(VIEW, str(number)))
    assert not state.checkpoint_due(), "without a disk there is nowhere else"
    state.use_store(Store(tmp_path / "store", "here"))
    assert state.checkpoint_due()
    state.take_changed()
    for number in range(600):
        state.change(key_of(VIEW, str(number)))
    assert not state.checkpoint_due()
    state.change(key_of(VIEW, "more"))
    assert state.checkpoint_due()
    state.take_changed()
    assert not state.checkpoint_due()
    state.forget()


def test_a_key_that_is_new_where_the_log_is_read_from_its_middle_is_incomplete() -> None:
    state = KeyedState(Budget(1))
    assert not state.change(key_of(VIEW, "a")).incomplete
    state.partial = True
    assert state.change(key_of(VIEW, "b")).incomplete
    assert not state.change(key_of(VIEW, "a")).incomplete
    with pytest.raises(KeyError):
        state[key_of(VIEW, "c")]
    assert state.peek(key_of(VIEW, "c")) is None
    state.forget()


def test_the_keys_in_memory_are_shown_while_the_task_is_here() -> None:
    before = shown("truecount_hot_keys")
    state = KeyedState(Budget(1))
    for number in range(3):
        state.change(key_of(VIEW, str(number)))
    state.settle()
    assert shown("truecount_hot_keys") == before + 3
    state.forget()
    assert shown("truecount_hot_keys") == before


# ---------------------------------------------------------------- gauges


def test_what_a_key_adds_is_its_counts_itself_and_its_open_case() -> None:
    state = TargetState()
    state.ledger.accept(5)
    state.ledger.reject("rate", 2)
    state.ledger.reject("undone", 1)
    state.ledger.move("valid", "quarantined", 1)
    assert contribution_of(None) == (0, 0, 0, 0, 0, 0)
    assert contribution_of(state) == (4, 3, 1, 1, 0, 1)
    state.case = Case("id", 0, 0, 0, ARTIFICIAL, "surge")
    assert contribution_of(state) == (4, 3, 1, 1, 1, 1)


def test_the_totals_are_those_of_all_keys_by_metric_however_often_they_change(states: KeyedState) -> None:
    states.change(key_of(VIEW, "a")).ledger.accept(5)
    states.change(key_of(VIEW, "a")).ledger.accept(1)
    states.change(key_of(LIKE, "a")).ledger.accept(7)
    assert states.totals() == [[6, 0, 0, 1, 0, 0], [7, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
    states.change(key_of(VIEW, "a")).ledger.move("valid", "quarantined", 4)
    states[key_of(VIEW, "a")].case = Case("id", 0, 0, 0, ARTIFICIAL, "surge")
    states.change(key_of(VIEW, "b")).ledger.reject("rate", 2)
    assert states.totals()[0] == [2, 2, 4, 2, 1, 0]
    states.change(key_of(VIEW, "a")).case = None
    assert states.totals()[0] == [2, 2, 4, 2, 0, 0]


def test_the_gauges_begin_with_the_stored_sums_and_disappear_with_the_task() -> None:
    states = KeyedState(Budget(1), partition=7)
    states.restored([[0] * 6, [10, 3, 2, 4, 1, 2], [0] * 6])
    assert parts_shown("like") == {"valid": 10, "invalid": 1, "quarantined": 2, "undone": 2}
    states.change(key_of(LIKE, "a")).ledger.accept(5)
    states.change(key_of(LIKE, "a")).ledger.undo(1)
    states.settle()
    assert parts_shown("like") == {"valid": 14, "invalid": 1, "quarantined": 2, "undone": 3}
    assert set(parts_shown("view").values()) == {0.0}, "a part that is empty is shown as 0"
    assert [REGISTRY.get_sample_value(name, {"partition": "7"}) for name in GAUGES] == [5, 1]
    states.forget()
    assert set(parts_shown("like").values()) == {None}, "the next owner shows them, so a sum does not count them twice"
    assert [REGISTRY.get_sample_value(name, {"partition": "7"}) for name in GAUGES] == [None, None]


GAUGES = ("truecount_targets", "truecount_open_cases")


def parts_shown(metric: str) -> dict[str, float | None]:
    """The parts of the count of partition 7 as they are exposed."""
    return {
        part: REGISTRY.get_sample_value("truecount_counted_events", {"partition": "7", "metric": metric, "part": part})
        for part in ("valid", "invalid", "quarantined", "undone")
    }


def test_totals_that_are_stored_do_not_change_with_the_states(states: KeyedState) -> None:
    states.change(key_of(VIEW, "a")).ledger.accept(1)
    totals = states.totals()
    states.change(key_of(VIEW, "a")).ledger.accept(1)
    states.settle()
    assert totals[0][0] == 1


# ---------------------------------------------------------------- which keys are in memory


def in_store(directory: Path, monkeypatch: pytest.MonkeyPatch, *, hot: int) -> KeyedState:
    """Keys with a store, of which so many are in memory."""
    monkeypatch.setattr(keyed, "HOT_KEYS_MIN", hot)
    state = KeyedState(Budget(1))
    state.use_store(Store(directory / "store", "here"))
    return state


def test_keys_that_are_in_use_stay_in_memory_and_the_others_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shown("truecount_cooled_keys_total")
    state = in_store(tmp_path, monkeypatch, hot=8)
    used, left = state.change(key_of(VIEW, "used")), state.change(key_of(VIEW, "left"))
    for number in range(20):
        state.change(key_of(VIEW, str(number))).ledger.accept(1)
        assert state.change(key_of(VIEW, "used")) is used
        assert state.hot_keys() <= 8
    assert state.peek(key_of(VIEW, "left")) is not left
    assert state.peek(key_of(VIEW, "left")) == left
    assert shown("truecount_cooled_keys_total") - before == 22 - state.hot_keys()
    state.forget()


def test_what_is_stored_is_not_spilled_again_and_what_is_not_stored_yet_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = in_store(tmp_path, monkeypatch, hot=4)
    monkeypatch.setattr(keyed, "CHANGED_MAX", 0)
    names = [key_of(VIEW, str(number)) for number in range(4)]
    assert state.store is not None
    for name in names[:2]:
        state.change(name).ledger.accept(1)
    assert state.take_changed() == set(names[:2])
    for name in names[2:]:
        state.change(name)
    assert list(state.spilled()) == []
    state.change(key_of(VIEW, "4"))  # the first two go, and their checkpoint is not stored
    assert [state[name].ledger.raw for name in names[:2]] == [1, 1]
    state.store.write([(changed_key(name), encode_target(state[name])) for name in names[:2]], born="x", next_offset=1)
    state.stored()
    state.take_changed()
    assert [key for key, _ in state.spilled()] == [changed_key(name) for name in names[:2]]
    list(state.store_spilled())
    state.stored()
    for number in range(5, 9):
        state.peek(key_of(VIEW, "0"))
        state.change(key_of(VIEW, str(number)))
    state.take_changed()
    assert not {changed_key(name) for name in names[2:]} & {key for key, _ in state.spilled()}
    state.forget()


def test_the_agenda_of_all_keys_is_read_from_the_store_if_there_is_one(tmp_path: Path) -> None:
    one, other = TargetState(), TargetState()
    one.ledger.accept(3)
    in_memory = KeyedState(Budget(1))
    in_memory[key_of(VIEW, "a")], in_memory[key_of(LIKE, "b")] = one, other
    store = Store(tmp_path / "store", "here")
    store.write(
        [(changed_key(key_of(VIEW, "a")), encode_target(one)), (changed_key(key_of(LIKE, "b")), encode_target(other))],
        born="x",
        next_offset=1,
    )
    on_disk = KeyedState(Budget(1))
    on_disk.use_store(store)
    assert dict(on_disk.agenda()) == dict(in_memory.agenda())
    assert dict(on_disk.agenda()).keys() == {key_of(VIEW, "a"), key_of(LIKE, "b")}
    assert on_disk[key_of(VIEW, "a")] == one
    in_memory.forget()
    on_disk.forget()


def test_keys_that_left_memory_count_for_a_checkpoint_and_are_in_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed, "CHANGED_MAX", 10)
    state = in_store(tmp_path, monkeypatch, hot=4)
    names = [key_of(VIEW, f"{number:02}") for number in range(14)]
    for name in names[:10]:
        state.change(name)
    assert not state.checkpoint_due()
    for name in names[10:]:
        state.change(name)
    assert state.checkpoint_due()
    changed = {changed_key(name) for name in state.take_changed()}
    spilled = [key for key, _ in state.spilled()]
    assert sorted([*changed, *spilled]) == [changed_key(name) for name in names]
    state.forget()


@pytest.mark.parametrize("on_disk", [True, False])
def test_keys_that_wait_are_on_the_disk_if_there_is_one(tmp_path: Path, on_disk: bool) -> None:
    state, store = KeyedState(Budget(1)), Store(tmp_path / "store", "here")
    state.use_store(store if on_disk else None)
    names = [key_of(VIEW, f"{number:05}") for number in range(3_000)]
    for name in names:
        state.wait(1, 0, name)
    assert bool(list(store.scan(SCRATCH))) is on_disk
    assert list(state.take_waiting(1, 0)) == names
    assert list(state.spilled()) == list(state.store_spilled()) == []
    state.forget()
