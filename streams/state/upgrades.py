"""Upgrades of stored state: one function for each older version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from detectors.reference.mixes import by_country
from detectors.windows.crowd import pack_row
from detectors.windows.sample import NOTHING_KNOWN, pack_people


def _pack_rows(state: Any) -> Any:
    """2 → 3: the rows of open windows, which were lists of numbers, are packed bytes."""
    windows = state.get("open", {}) if isinstance(state, dict) else {}
    for window in windows.values():
        window["rows"] = b"".join(pack_row(*row) for row in window.get("rows", ()))
    return state


def _add_people(state: Any) -> Any:
    """3 → 4: a window has traits of its actors (unknown for older windows), and a case's purity becomes a ratio."""
    if not isinstance(state, dict):
        return state
    for window in state.get("open", {}).values():
        window.setdefault("people", dict.fromkeys(window.get("actors", {}), NOTHING_KNOWN))
    case = state.get("case")
    if case and "purity" in case:
        case["judged"], case["found"] = 1.0, case.pop("purity")
    return state


def _sum_countries(state: Any) -> Any:
    """4 → 5: the mix of networks of a platform gets a total for each country."""
    if isinstance(state, dict) and "mixes" in state:
        mix = state["mixes"]["network"]
        if len(mix) == 2:
            mix.append(by_country(mix[0]))
    return state


def _add_watch_times(state: Any) -> Any:
    """6 → 7: the traits of a window's actors get a watch time, which is unknown (-1) for older windows."""
    windows = state.get("open", {}) if isinstance(state, dict) else {}
    for window in windows.values():
        people = window.get("people", {})
        window["people"] = {actor: (*marks, -1)[: len(NOTHING_KNOWN)] for actor, marks in people.items()}
    return state


def _without_relations(state: Any) -> Any:
    """8 → 9: of the events that are in a ledger, no relation is known. The people of a window are packed."""
    if not isinstance(state, dict):
        return state
    if isinstance(ledger := state.get("ledger"), dict):
        state["unknown_acts"] = ledger.get("valid", 0) + ledger.get("quarantined", 0)
    for window in state.get("open", {}).values():
        actors, people = window.pop("actors", {}), window.pop("people", {})
        if actors:
            window["sample"] = pack_people((actor, actors[actor], *people[actor]) for actor in sorted(actors))
    return state


UPGRADES: dict[int, Callable[[Any], Any]] = {
    1: lambda state: state,
    2: _pack_rows,
    3: _add_people,
    4: _sum_countries,
    5: lambda state: state,
    6: _add_watch_times,
    7: lambda state: state,
    8: _without_relations,
}
"""version → function from its builtins to those of the next version. 1 → 2 added only version and checksum. 5 → 6 added
records of the kind DAYS, and 7 → 8 those of RULINGS, which an older worker cannot read. 8 → 9 added RELATIONS."""
