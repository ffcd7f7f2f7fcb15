"""State that an older version stored becomes that of this one, a version at a time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detectors.state.target_state import STATE_VERSION
from detectors.windows.crowd import Crowd, pack_row
from streams.state.upgrades import UPGRADES

ROWS = [[7, 1, 2, 3, 4, 5, 6], [8, 1, 2, 3, 4, 5, 6]]


def test_there_is_a_step_from_every_older_version() -> None:
    assert sorted(UPGRADES) == list(range(1, STATE_VERSION))


@pytest.mark.parametrize("version", [1, 5, 7])
def test_where_only_records_were_added_state_stays_as_it_is(version: int) -> None:
    assert UPGRADES[version]({"open": {"hour": {"n": 1}}}) == {"open": {"hour": {"n": 1}}}


@pytest.mark.parametrize("version", sorted(UPGRADES))
@pytest.mark.parametrize("other", [[1, 2], {}, {"open": {}}, {"mixes": {"network": [{1: 2}, 2, {}]}}])
def test_state_of_anything_else_is_left_alone(version: int, other: Any) -> None:
    assert UPGRADES[version](other) == other


def test_rows_of_open_windows_are_packed() -> None:
    state = UPGRADES[2]({"open": {"hour": {"n": 2, "rows": ROWS}, "day": {"n": 0}}})
    assert state["open"]["hour"]["rows"] == b"".join(pack_row(*row) for row in ROWS)
    assert state["open"]["day"]["rows"] == b""


def test_of_the_people_of_an_older_window_nothing_is_known() -> None:
    state = UPGRADES[3]({"open": {"hour": {"actors": {7: 3}}, "day": {"people": {9: (1,)}}, "tick": {}}})
    assert state["open"]["hour"]["people"] == {7: (-1, -1, -1, -1, -1, -1)}
    assert state["open"]["day"]["people"] == {9: (1,)}
    assert state["open"]["tick"]["people"] == {}


def test_the_purity_of_a_case_becomes_the_ratio_that_it_is() -> None:
    assert UPGRADES[3]({"case": {"purity": 0.25}})["case"] == {"judged": 1.0, "found": 0.25}
    assert UPGRADES[3]({"case": {"judged": 9.0}})["case"] == {"judged": 9.0}
    assert UPGRADES[3]({"case": None})["case"] is None


def test_of_events_that_were_counted_before_no_relation_is_known() -> None:
    state = UPGRADES[8]({"ledger": {"valid": 7, "quarantined": 2, "invalid": {"rate": 3}}, "levels": {}})
    assert (state["unknown_acts"], state["ledger"]["valid"]) == (9, 7)
    assert UPGRADES[8]({"ledger": {}})["unknown_acts"] == 0


def test_the_people_of_open_windows_are_packed_in_the_order_of_their_hashes() -> None:
    actors, people = {1 << 62: 3, 7: 1}, {7: (1, 2, 3, 4, 5, 6), 1 << 62: (6, 5, 4, 3, 2, -1)}
    state = UPGRADES[8]({"open": {"hour": {"n": 4, "actors": actors, "people": people}, "day": {"people": {}}}})
    crowd = msgspec.convert(state["open"]["hour"], Crowd)
    assert crowd.people.tolist() == [(7, 1, 1, 2, 3, 4, 5, 6), (1 << 62, 3, 6, 5, 4, 3, 2, -1)]
    assert state["open"] == {"hour": {"n": 4, "sample": crowd.sample}, "day": {}}


def test_people_get_a_watch_time_that_is_not_known() -> None:
    state = UPGRADES[6]({"open": {"hour": {"people": {7: (1, 2, 3, 4, 5), 8: (1, 2, 3, 4, 5, 6)}}, "day": {}}})
    assert state["open"]["hour"]["people"] == {7: (1, 2, 3, 4, 5, -1), 8: (1, 2, 3, 4, 5, 6)}
    assert state["open"]["day"]["people"] == {}
