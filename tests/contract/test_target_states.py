"""The contract of every implementation of ``TargetStates``. A new one adds a line to IMPLEMENTATIONS."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.events.key import Key
from detectors.state.case import Case, Explained
from detectors.state.parts import TARGET_STATES
from detectors.state.removals import RuleBurst
from detectors.state.target_state import Agenda, TargetState
from detectors.state.target_states import MemoryTargetStates, TargetStates
from detectors.stored_parts import TargetStatePart
from detectors.windows.crowd import Crowd
from streams.state import keyed, spill
from streams.state.keyed import Budget, KeyedState
from streams.state.parts import dump_parts, load_parts
from streams.state.store import Store

KEYS = ["0a", "0b", "0é", "0zz", "0\U0001f600", "0￿", "1a", "2a", "1b", "2zz"]
"""Their order as text is that of their bytes, which is not so in every encoding."""

few_keys = st.sampled_from(KEYS)
some_keys = st.lists(few_keys, max_size=40)


class Savepoint:
    """An implementation with what a worker does around it: checkpoints, and a restart from the last one."""

    def __init__(self, make: Callable[[], TargetStates]) -> None:
        self._make = make
        self.target_states = make()
        self.saved: dict[bytes, bytes] = {}

    def checkpoint(self) -> dict[bytes, bytes]:
        """Write what has changed; answers it."""
        records = dict(dump_parts([TargetStatePart(self.target_states)]))
        self.saved |= records
        return records

    def restart(self) -> None:
        """Load the last checkpoint into a new one."""
        self.target_states = self._make()
        load_parts([TargetStatePart(self.target_states)], self.saved)


class KeptOnDisk(Savepoint):
    """As a worker does it with a store: spilled records go before the others, and the store has what is committed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store: Store | None = None
        super().__init__(self._opened)

    def _opened(self) -> KeyedState:
        if self._store is not None:
            self._store.close()
        self._store = Store(self._path, "here")
        target_states = KeyedState(Budget(1))
        target_states.use_store(self._store)
        return target_states

    def checkpoint(self) -> dict[bytes, bytes]:
        target_states, store = self.target_states, self._store
        assert isinstance(target_states, KeyedState)
        assert store is not None
        records = dump_parts([TargetStatePart(target_states)])
        written = dict([*target_states.spilled(), *records])
        list(target_states.store_spilled())
        store.write(records, born="x", next_offset=1)
        target_states.stored()
        self.saved |= written
        return written

    def restart(self) -> None:
        self.target_states = self._opened()

    def close(self) -> None:
        assert self._store is not None
        self._store.close()


def _diskless() -> KeyedState:
    target_states = KeyedState(Budget(1))
    target_states.use_store(None)
    return target_states


@contextmanager
def in_memory() -> Iterator[Savepoint]:
    yield Savepoint(MemoryTargetStates)


@contextmanager
def without_a_disk() -> Iterator[Savepoint]:
    yield Savepoint(_diskless)


@contextmanager
def with_room_for_all() -> Iterator[Savepoint]:
    with tempfile.TemporaryDirectory() as directory:
        stored = KeptOnDisk(Path(directory) / "store")
        yield stored
        stored.close()


@contextmanager
def mostly_on_disk() -> Iterator[Savepoint]:
    """Two keys are hot in each generation, and two wait in memory: most calls read the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyed, "HOT_KEYS_MIN", 4)
        patch.setattr(spill, "WAITING_IN_MEMORY", 2)
        patch.setattr(spill, "PROMOTED_AT_ONCE", 2)
        with with_room_for_all() as stored:
            yield stored


IMPLEMENTATIONS: dict[str, Callable[[], Any]] = {
    "in memory": in_memory,
    "without a disk": without_a_disk,
    "with room for all": with_room_for_all,
    "mostly on disk": mostly_on_disk,
}
every_implementation = pytest.mark.parametrize("make", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())
few_examples = settings(max_examples=12, deadline=None)
Make = Callable[[], Any]


def state_of(target_states: TargetStates) -> dict[str, Any]:
    """What can be read of every key, as builtins."""
    found = {key: target_states.peek(Key(key)) for key in KEYS}
    return {key: msgspec.to_builtins(state) for key, state in found.items() if state is not None}


def decoded(records: dict[bytes, bytes]) -> dict[Key, TargetState]:
    """Records of keys as states."""
    read = MemoryTargetStates()
    load_parts([TargetStatePart(read)], records)
    return read.states


@every_implementation
def test_a_key_that_nobody_has_changed_has_no_state(make: Make) -> None:
    with make() as stored:
        assert stored.target_states.peek("0a") is None
        with pytest.raises(KeyError):
            stored.target_states["0a"]
        assert stored.target_states.take_changed() == set()
        assert list(stored.target_states.agenda()) == []


@every_implementation
@few_examples
@given(changes=some_keys)
def test_what_is_changed_is_read_back_however_many_other_keys_are_changed(make: Make, changes: list[str]) -> None:
    with make() as stored:
        for key in changes:
            stored.target_states.change(key).ledger.accept(1)
        for key in KEYS:
            state = stored.target_states.peek(key)
            assert (0 if state is None else state.ledger.raw) == changes.count(key)
            if state is not None:
                assert stored.target_states[key] == state


@every_implementation
@few_examples
@given(rounds=st.lists(st.tuples(some_keys, st.lists(few_keys, unique=True), st.booleans()), max_size=6))
def test_keys_changed_together_are_as_changed_one_by_one(
    make: Make, rounds: list[tuple[list[str], list[str], bool]]
) -> None:
    """Each round changes keys one by one, then several together, and may end with a checkpoint."""
    with make() as together, make() as alone:
        for before, keys, checkpoint in rounds:
            for key in before:
                for each in (together, alone):
                    each.target_states.change(key).ledger.accept(1)
            for key, state in zip(keys, together.target_states.change_many(keys), strict=True):
                for other in KEYS:
                    together.target_states.peek(other)
                state.ledger.accept(2)
                alone.target_states.change(key).ledger.accept(2)
                assert together.target_states.change(key) is state, "it may be changed meanwhile"
            assert state_of(together.target_states) == state_of(alone.target_states)
            if checkpoint:
                assert together.checkpoint() == alone.checkpoint()
        assert together.checkpoint() == alone.checkpoint()
        together.restart()
        assert state_of(together.target_states) == state_of(alone.target_states)


@every_implementation
@few_examples
@given(changes=some_keys, more=some_keys)
def test_keys_read_together_are_as_read_one_by_one(make: Make, changes: list[str], more: list[str]) -> None:
    with make() as stored:
        for key in changes:
            stored.target_states.change(key).ledger.accept(1)
        stored.checkpoint()
        for key in more:
            stored.target_states.change(key).ledger.accept(1)
        changed = stored.checkpoint()
        assert stored.target_states.peek_many(KEYS) == [stored.target_states.peek(key) for key in KEYS]
        assert stored.target_states.peek_many([]) == stored.target_states.change_many([]) == []
        assert set(changed) == {TARGET_STATES.prefix + key.encode() for key in more}
        assert stored.checkpoint() == {}, "reading changes nothing"


@every_implementation
@few_examples
@given(changes=some_keys, peeks=some_keys)
def test_to_read_a_key_makes_no_state_and_marks_nothing_as_changed(
    make: Make, changes: list[str], peeks: list[str]
) -> None:
    with make() as stored:
        for key in changes:
            stored.target_states.change(key).ledger.accept(1)
        stored.checkpoint()
        before = state_of(stored.target_states)
        for key in peeks:
            stored.target_states.peek(key)
        assert stored.checkpoint() == {}
        assert state_of(stored.target_states) == before


@every_implementation
@few_examples
@given(rounds=st.lists(some_keys, max_size=4))
def test_a_checkpoint_has_the_keys_that_changed_since_the_last_one_and_their_newest_state(
    make: Make, rounds: list[list[str]]
) -> None:
    with make() as stored:
        counts: dict[str, int] = {}
        for changes in rounds:
            for key in changes:
                stored.target_states.change(key).ledger.accept(1)
                counts[key] = counts.get(key, 0) + 1
            records = stored.checkpoint()
            assert set(records) == {TARGET_STATES.prefix + key.encode() for key in changes}
            assert {key: state.ledger.raw for key, state in decoded(records).items()} == {
                key: counts[key] for key in changes
            }


@every_implementation
@few_examples
@given(changes=st.sets(few_keys), seed=st.integers(0, 99))
def test_records_do_not_depend_on_the_order_in_which_keys_were_changed(
    make: Make, changes: set[str], seed: int
) -> None:
    written = []
    for ordered in (sorted(changes), random.Random(seed).sample(sorted(changes), len(changes))):
        with make() as stored:
            for key in ordered:
                stored.target_states.change(key).ledger.accept(len(key))
            written.append(stored.checkpoint())
    assert written[0] == written[1]


@every_implementation
@few_examples
@given(before=some_keys, lost=some_keys, after=some_keys)
def test_a_restored_one_has_the_state_of_its_last_checkpoint_and_goes_on_as_the_original(
    make: Make, before: list[str], lost: list[str], after: list[str]
) -> None:
    with make() as stored, make() as original:
        for key in before:
            for each in (stored, original):
                each.target_states.change(key).ledger.accept(1)
        stored.checkpoint()
        original.checkpoint()
        for key in lost:  # changed after the checkpoint, and so forgotten
            stored.target_states.change(key).ledger.accept(1)
        stored.restart()
        assert dict(stored.target_states.agenda()).keys() == set(before)
        assert state_of(stored.target_states) == state_of(original.target_states)
        assert stored.checkpoint() == {}, "what was loaded has not changed"
        for key in after:
            for each in (stored, original):
                each.target_states.change(key).ledger.accept(1)
        assert state_of(stored.target_states) == state_of(original.target_states)
        assert stored.checkpoint() == original.checkpoint()


@every_implementation
def test_a_restored_one_knows_what_is_still_to_come_for_each_key(make: Make) -> None:
    with make() as stored:
        stored.target_states.change("0a").open["hour"] = Crowd(start=3_600_000)
        stored.target_states.change("0b").case = Case("f", 1, 2, 77, "surge", "")
        both = stored.target_states.change("0c")
        both.explained = Explained("f", 1, 2, 77)
        both.rule_burst = RuleBurst("r", 1, 2, 99, ["declared_robot"])
        stored.target_states.change("0zz").count_pending = True
        stored.target_states.change("1a")
        stored.checkpoint()
        stored.restart()
        assert dict(stored.target_states.agenda()) == {
            "0a": Agenda({"hour": 3_600_000}, (), False),
            "0b": Agenda({}, (77,), False),
            "0c": Agenda({}, (77, 99), False),
            "0zz": Agenda({}, (), True),
            "1a": Agenda({}, (), False),
        }


@every_implementation
@few_examples
@given(waits=st.lists(st.tuples(st.sampled_from([(1, 0), (1, 300_000), (2, 0)]), few_keys), max_size=40))
def test_keys_wait_once_and_in_order_and_only_the_first_of_a_window_is_told_so(
    make: Make, waits: list[tuple[tuple[int, int], str]]
) -> None:
    with make() as stored:
        waiting: dict[tuple[int, int], set[str]] = {}
        for window, key in waits:
            assert stored.target_states.wait(*window, key) == (window not in waiting)
            waiting.setdefault(window, set()).add(key)
        for window, keys in waiting.items():
            assert list(stored.target_states.take_waiting(*window)) == sorted(keys)
            assert stored.target_states.wait(*window, "0a"), "what was taken has gone"


@every_implementation
def test_keys_may_change_and_wait_while_those_of_a_window_are_read(make: Make) -> None:
    with make() as stored:
        for key in KEYS:
            stored.target_states.wait(1, 0, key)
        seen = []
        for key in stored.target_states.take_waiting(1, 0):
            stored.target_states.change(key).ledger.accept(1)
            stored.target_states.wait(2, 0, key)
            seen.append(key)
        assert seen == sorted(KEYS) == list(stored.target_states.take_waiting(2, 0))
        assert set(decoded(stored.checkpoint())) == set(KEYS)


def test_a_key_that_was_changed_and_spilled_is_in_the_records_of_the_disk_and_not_among_the_changed() -> None:
    with mostly_on_disk() as stored:
        for key in ("0a", "0b", "1a", "1b", "2a"):
            stored.target_states.change(Key(key)).ledger.accept(1)
        target_states = stored.target_states
        assert isinstance(target_states, KeyedState)
        assert target_states.take_changed() == {"1a", "1b", "2a"}
        assert [key for key, _ in target_states.spilled()] == [b"w/0a", b"w/0b"]
