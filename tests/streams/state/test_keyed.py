"""How many keys a task keeps in memory, and what the gauges show of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from detectors.state.case import ARTIFICIAL, Case
from detectors.state.watched import Watched
from streams.metrics import REGISTRY
from streams.state import keyed
from streams.state.gauges import TalliedWatches, share_of
from streams.state.keyed import Budget, KeyedState
from streams.state.store import Store

RECORD_BYTES = 400
KEY_BYTES = 1_500 + 9 * RECORD_BYTES
"""Of a key in memory, before any record was seen."""


def shown(name: str, **labels: str) -> float:
    """A gauge as it is exposed."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def watches() -> Iterator[TalliedWatches]:
    """Keys of which the gauges show nothing afterwards."""
    made = TalliedWatches()
    yield made
    made.forget()


# ---------------------------------------------------------------- room


def test_seven_eighths_of_the_budget_are_for_keys_and_tasks_share_it() -> None:
    budget = Budget(80_000 * KEY_BYTES)
    first = KeyedState(budget)
    assert first.room() == 70_000
    second = KeyedState(budget)
    assert first.room() == second.room() == 35_000
    second.forget()
    assert first.room() == 70_000


def test_what_a_task_holds_besides_is_taken_from_its_share() -> None:
    state = KeyedState(Budget(8_000 * KEY_BYTES))
    state.beside_bytes = 2_000 * KEY_BYTES
    assert state.room() == 5_000


def test_however_small_the_budget_a_thousand_keys_stay_in_memory() -> None:
    assert KeyedState(Budget(1)).room() == 1_000


def test_the_size_of_keys_is_learned_from_about_the_last_thousand_records() -> None:
    state = KeyedState(Budget(8_000 * KEY_BYTES))
    state.weigh(0, 0)
    assert state.room() == 7_000
    state.weigh(100 * 1_400, 100)
    assert state.room() == int(7_000 * KEY_BYTES / (1_500 + 9 * 500))
    state.weigh(5_000 * 900, 5_000)
    assert state.room() == int(7_000 * KEY_BYTES / (1_500 + 9 * 900))


def test_a_checkpoint_is_due_when_more_keys_have_changed_than_one_should_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed, "CHANGED_MAX", 600)
    state = KeyedState(Budget(1))
    for number in range(601):
        state.change(f"0{number}")
    assert not state.crowded(), "without a disk there is nowhere else"
    state.stand_on(Store(tmp_path / "store", "here"))
    assert state.crowded()
    state.take_changed()
    for number in range(600):
        state.change(f"0{number}")
    assert not state.crowded()
    state.change("0more")
    assert state.crowded()
    state.take_changed()
    assert not state.crowded()
    state.forget()


def test_a_key_that_is_new_where_the_log_is_read_from_its_middle_is_incomplete() -> None:
    state = KeyedState(Budget(1))
    assert not state.change("0a").incomplete
    state.partial = True
    assert state.change("0b").incomplete
    assert not state.change("0a").incomplete
    with pytest.raises(KeyError):
        state["0c"]
    assert state.peek("0c") is None
    state.forget()


def test_the_keys_in_memory_are_shown_while_the_task_is_here() -> None:
    before = shown("truecount_hot_keys")
    state = KeyedState(Budget(1))
    for number in range(3):
        state.change(f"0{number}")
    state.settle()
    assert shown("truecount_hot_keys") == before + 3
    state.forget()
    assert shown("truecount_hot_keys") == before


# ---------------------------------------------------------------- gauges


def test_what_a_key_adds_is_its_counts_itself_and_its_open_case() -> None:
    watched = Watched()
    watched.ledger.accept(5)
    watched.ledger.reject("rate", 2)
    watched.ledger.reject("undone", 1)
    watched.ledger.move("valid", "quarantined", 1)
    assert share_of(None) == (0, 0, 0, 0, 0)
    assert share_of(watched) == (4, 3, 1, 1, 0)
    watched.case = Case("id", 0, 0, 0, ARTIFICIAL, "surge")
    assert share_of(watched) == (4, 3, 1, 1, 1)


def test_the_totals_are_those_of_all_keys_by_metric_however_often_they_change(watches: TalliedWatches) -> None:
    watches.change("0a").ledger.accept(5)
    watches.change("0a").ledger.accept(1)
    watches.change("1a").ledger.accept(7)
    assert watches.totals() == [[6, 0, 0, 1, 0], [7, 0, 0, 1, 0], [0, 0, 0, 0, 0]]
    watches.change("0a").ledger.move("valid", "quarantined", 4)
    watches["0a"].case = Case("id", 0, 0, 0, ARTIFICIAL, "surge")
    watches.change("0b").ledger.reject("rate", 2)
    assert watches.totals()[0] == [2, 2, 4, 2, 1]
    watches.change("0a").case = None
    assert watches.totals()[0] == [2, 2, 4, 2, 0]


def test_the_gauges_move_by_what_has_changed_and_back_when_the_keys_are_another_workers() -> None:
    names = ("truecount_targets", "truecount_open_cases")
    before = [shown(name) for name in names]
    parts = [
        shown("truecount_counted_events", metric="like", part=part) for part in ("valid", "invalid", "quarantined")
    ]
    watches = TalliedWatches()
    watches.restored([[0] * 5, [10, 3, 2, 4, 1], [0] * 5])
    watches.change("1a").ledger.accept(5)
    watches.settle()
    now = [shown("truecount_counted_events", metric="like", part=part) for part in ("valid", "invalid", "quarantined")]
    assert [n - b for n, b in zip(now, parts, strict=True)] == [15, 3, 2]
    assert [shown(name) - b for name, b in zip(names, before, strict=True)] == [5, 1]
    watches.forget()
    now = [shown("truecount_counted_events", metric="like", part=part) for part in ("valid", "invalid", "quarantined")]
    assert now == parts
    assert [shown(name) for name in names] == before


def test_totals_that_are_stored_do_not_change_with_the_watches(watches: TalliedWatches) -> None:
    watches.change("0a").ledger.accept(1)
    totals = watches.totals()
    watches.change("0a").ledger.accept(1)
    watches.settle()
    assert totals[0][0] == 1
