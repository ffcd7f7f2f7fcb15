"""Upgrades of stored state, one for each older version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from detectors.reference.mixes import by_country
from detectors.windows.crowd import NOTHING_KNOWN, pack_row


def _pack_rows(state: Any) -> Any:
    """2 → 3: the rows of open windows, which were lists of numbers, are packed bytes."""
    windows = state.get("open", {}) if isinstance(state, dict) else {}
    for window in windows.values():
        window["rows"] = b"".join(pack_row(*row) for row in window.get("rows", ()))
    return state


def _know_people(state: Any) -> Any:
    """3 → 4: a window knows its people. Of those of an older one nothing is known; a case's purity is a ratio."""
    if not isinstance(state, dict):
        return state
    for window in state.get("open", {}).values():
        window.setdefault("people", dict.fromkeys(window.get("actors", {}), NOTHING_KNOWN))
    case = state.get("case")
    if case and "purity" in case:
        case["judged"], case["found"] = 1.0, case.pop("purity")
    return state


def _sum_countries(state: Any) -> Any:
    """4 → 5: a platform's mix of networks has a total for each country."""
    if isinstance(state, dict) and "mixes" in state:
        mix = state["mixes"]["network"]
        if len(mix) == 2:
            mix.append(by_country(mix[0]))
    return state


def _know_watches(state: Any) -> Any:
    """6 → 7: of a window's people it is known how long they watched. Of those of an older one it is not."""
    windows = state.get("open", {}) if isinstance(state, dict) else {}
    for window in windows.values():
        people = window.get("people", {})
        window["people"] = {actor: (*marks, -1)[: len(NOTHING_KNOWN)] for actor, marks in people.items()}
    return state


UPGRADES: dict[int, Callable[[Any], Any]] = {
    1: lambda state: state,
    2: _pack_rows,
    3: _know_people,
    4: _sum_countries,
    5: lambda state: state,
    6: _know_watches,
    7: lambda state: state,
}
"""version → what makes the next version's builtins of its own. 1 → 2 only sealed the records; 5 → 6 added those of
the kind DAYS and 7 → 8 that of RULINGS, which an older worker cannot read."""
