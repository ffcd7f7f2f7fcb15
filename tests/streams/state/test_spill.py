"""What a task notes on its own disk between checkpoints: nothing of it is lost, and nothing outlives a restart."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from detectors.events.key import VIEW, Key, key_of
from detectors.state.parts import TARGET_STATES
from detectors.state.target_states import CHANGED_AT_ONCE, MemoryTargetStates
from streams.state import keyed, spill
from streams.state.keyed import Budget, KeyedState
from streams.state.sealed import decode_target, encode_target
from streams.state.spill import Spill, WaitingKeys, changed_key
from streams.state.store import SCANNED_AT_ONCE, SCRATCH, Store

NAMES = [key_of(VIEW, target) for target in ("a", "b", "é", "zz", "\U0001f600", "￿")]
"""Their order as text is that of their bytes, which is not so in every encoding."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", "here")


def test_a_checkpoint_takes_what_was_spilled_and_the_next_what_came_since(store: Store) -> None:
    notes = Spill(store)
    notes.put([(b"w/0a", b"1"), (b"w/0b", b"1")])
    notes.cut()
    notes.put([(b"w/0b", b"2"), (b"w/0c", b"2")])
    assert list(notes.records()) == [(b"w/0a", b"1"), (b"w/0b", b"1")] == list(notes.records())
    assert [notes.get(key) for key in (b"w/0a", b"w/0b", b"w/0c", b"w/0d")] == [b"1", b"2", b"2", None]
    assert list(notes.promote()) == []
    assert (store.get(b"w/0a"), store.get(b"w/0b"), store.get(b"w/0c")) == (b"1", b"1", None)
    assert notes.get(b"w/0a") is None
    assert notes.get(b"w/0b") == b"2"
    notes.cut()
    assert list(notes.records()) == [(b"w/0b", b"2"), (b"w/0c", b"2")]


def test_a_restart_forgets_what_was_spilled_and_keeps_the_state(store: Store) -> None:
    notes = Spill(store)
    notes.put([(b"w/0a", b"1")])
    store.write([(b"w/0b", b"1")], born="x", next_offset=1)
    store.close()
    again = Store(store.path, "here")
    assert list(again.scan(b"w/")) == [(b"w/0b", b"1")]
    assert list(again.scan(b"~")) == []


@pytest.mark.parametrize("on_disk", [True, False])
def test_keys_wait_in_order_wherever_they_stand(store: Store, on_disk: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "WAITING_IN_MEMORY", 2)
    plain, waiting = MemoryTargetStates(), WaitingKeys(store if on_disk else None)
    for order, start in [(1, 300_000), (3, 0), (1, 600_000)]:
        for name in random.Random(start).sample(NAMES, len(NAMES)):
            assert waiting.add(order, start, name) == plain.wait(order, start, name)
    for order, start in [(1, 300_000), (1, 600_000), (3, 0)]:
        assert list(waiting.take(order, start)) == list(plain.take_waiting(order, start)) == sorted(NAMES)
    assert waiting.add(1, 300_000, key_of(VIEW, "a")), "what was taken has gone"
    assert list(waiting.take(1, 300_000)) == ["0a"]


def test_a_task_holds_a_bounded_number_of_keys_however_many_change_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed, "HOT_KEYS_MIN", 20)
    watches = KeyedState(Budget(1))
    watches.use_store(store)
    truth: dict[Key, int] = {}
    rng = random.Random(3)
    cut: list[tuple[bytes, bytes]] = []
    most = 0
    for number in range(3000):
        name = key_of(VIEW, str(rng.randrange(400)))
        watches.change(name).ledger.accept(1)
        truth[name] = truth.get(name, 0) + 1
        most = max(most, watches.hot_keys())
        if number == 1500:
            cut = [(changed_key(name), encode_target(watches[name])) for name in watches.take_changed()]
            sent = {
                key.removeprefix(TARGET_STATES.prefix).decode(): decode_target(value)
                for key, value in [*watches.spilled(), *cut]
            }
            assert {name: watched.ledger.raw for name, watched in sent.items()} == truth
        if number == 1700:  # the checkpoint takes its time
            list(watches.store_spilled())
            store.write(cut, born="x", next_offset=1)
            watches.stored()
    assert most <= 20
    assert {name: watches[name].ledger.raw for name in truth} == truth
    assert sum(row[0] for row in watches.totals()) == sum(truth.values())
    watches.forget()


def test_keys_changed_together_are_as_changed_one_by_one_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cold keys are read from both areas of the disk and from the state; some are new, and some are hot."""
    monkeypatch.setattr(keyed, "HOT_KEYS_MIN", 600)
    together, alone = (_with_store(tmp_path, partition) for partition in range(2))
    rng = random.Random(5)
    cuts: list[list[tuple[bytes, bytes]]] = []
    saved: list[dict[bytes, bytes]] = [{}, {}]
    for number in range(40):
        names = [key_of(rng.randrange(2), str(each)) for each in rng.sample(range(1500), CHANGED_AT_ONCE)]
        for name, state in zip(names, together.change_many(names), strict=True):
            other = alone.change(name)
            assert state == other
            events = rng.randrange(1, 4)
            state.ledger.accept(events)
            other.ledger.accept(events)
        assert together.hot_keys() <= 600
        if number % 7 == 3:  # a checkpoint that is stored some rounds later
            cuts = [_cut(states) for states in (together, alone)]
            for all_records, states, cut in zip(saved, (together, alone), cuts, strict=True):
                all_records |= dict([*states.spilled(), *cut])
            assert saved[0] == saved[1]
        if number % 7 == 5:
            for states, cut in zip((together, alone), cuts, strict=True):
                _store(states, cut)
        if number % 5 == 0:
            assert together.totals() == alone.totals()
    assert together.totals() == alone.totals()
    assert together.totals()[0][3] > 1000, "there are more targets than may be hot"
    for states in (together, alone):
        states.forget()


def _with_store(directory: Path, partition: int) -> KeyedState:
    states = KeyedState(Budget(1), partition=partition)
    states.use_store(Store(directory / str(partition), "here"))
    return states


def _cut(states: KeyedState) -> list[tuple[bytes, bytes]]:
    return [(changed_key(name), encode_target(states[name])) for name in states.take_changed()]


def _store(states: KeyedState, cut: list[tuple[bytes, bytes]]) -> None:
    list(states.store_spilled())
    assert states.store is not None
    states.store.write(cut, born="x", next_offset=1)
    states.stored()


def test_a_look_up_reads_little_however_many_keys_there_are(store: Store) -> None:
    """A filter that no shard of the cache can hold would be read again for every key."""
    count = 600_000
    for at in range(0, count, 20_000):
        store.write_scratch((changed_key(key_of(VIEW, f"{number:06}")), b"") for number in range(at, at + 20_000))
    store._db.flush()
    store._db.compact_range(None, None)
    looked_up = range(0, count, count // 200)
    before = _read_bytes()
    assert all(store.get(changed_key(key_of(VIEW, f"{number:06}"))) == b"" for number in looked_up)
    assert _read_bytes() - before < 100_000 * len(looked_up)


def _read_bytes() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.parametrize("count", [0, 1, 999, 1_000, 1_001, 2_500])
def test_a_scan_in_pieces_finds_all_keys_once_and_in_order(store: Store, count: int) -> None:
    assert SCANNED_AT_ONCE == 1_000
    names = [b"~w%06d" % number for number in range(count)]
    store.write_scratch((name, b"") for name in [*names, b"~v", b"~x"])
    found = []
    for name, _ in store.scan(b"~w"):
        found.append(name)
        store.write_scratch([(b"~1" + name, b"")])  # a window's keys are spilled while they are read
    assert found == names


def test_a_window_that_is_taken_leaves_nothing_on_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "WAITING_IN_MEMORY", 2)
    waiting = WaitingKeys(store)
    for names in (NAMES[:4], NAMES[3:]):
        assert [waiting.add(1, 0, name) for name in names] == [True, *[False] * (len(names) - 1)]
        waiting.add(1, 60_000, NAMES[0])
        assert list(waiting.take(1, 0)) == sorted(names)
        assert list(waiting.take(1, 60_000)) == NAMES[:1]
    assert list(store.scan(SCRATCH)) == []


def test_of_many_keys_that_wait_few_are_in_memory(store: Store) -> None:
    waiting = WaitingKeys(store)
    names = [key_of(VIEW, f"{number:05}") for number in range(3_500)]
    for name in names:
        waiting.add(1, 0, name)
    assert len(list(store.scan(SCRATCH))) >= 1_500, "the others are on the disk"
    assert list(waiting.take(1, 0)) == names


def test_many_spilled_records_become_state_in_steps(store: Store) -> None:
    notes = Spill(store)
    records = [(b"w/0%05d" % number, b"1") for number in range(4_500)]
    notes.put(records)
    assert len(notes) == 4_500
    notes.cut()
    assert len(notes) == 0
    steps = [len(list(store.scan(b"w/"))) for _ in notes.promote()]
    assert steps
    assert steps[0] <= 3_000
    assert list(store.scan(b"w/")) == records
    assert list(store.scan(SCRATCH)) == []
    assert list(notes.promote()) == []


def test_nothing_is_looked_up_or_read_where_nothing_was_spilled(store: Store) -> None:
    notes = Spill(store)
    store.write_scratch([(SCRATCH + b"0w/0a", b"of nobody"), (SCRATCH + b"1w/0a", b"of nobody")])
    assert notes.get(b"w/0a") is None
    assert list(notes.records()) == []
    assert list(notes.promote()) == []
    assert store.get(b"w/0a") is None
