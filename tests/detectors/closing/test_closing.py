"""Windows that close together: results do not depend on the size of a table, and the platform learns afterwards."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from detectors.audit import Audit, AuditSettings
from detectors.closing import closing
from detectors.closing.closing import WindowClosing
from detectors.closing.table import Closing, ClosingTable, Row
from detectors.events.event import Event
from detectors.features.people import People
from detectors.lab.traffic.blocks import Packer
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.state.target_states import CHANGED_AT_ONCE
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, bought, by_tick, in_order, ordinary
from tests.states import states_of

HISTORY_MINUTES = 70
BURST_MS = START_MS + HISTORY_MINUTES * MINUTE_MS


@cache
def traffic() -> tuple[Event, ...]:
    """Views and likes of twelve targets, of which one buys both."""
    views = ordinary(1, minutes=HISTORY_MINUTES + 25, targets=12)
    burst = bought(2, "v3", begin=BURST_MS, minutes=5, per_minute=60)
    likes = [msgspec.structs.replace(view, metric="like", ts=view.ts + 700) for view in (*views[::5], *burst[::2])]
    return tuple(in_order(views, burst, likes))


def audited() -> tuple[Audit, Outcome]:
    audit, outcome, packer = Audit(AuditSettings()), Outcome(), Packer(1)
    for position, (end, rows) in enumerate(by_tick(traffic())):
        for _, block in packer.pack(rows):
            audit.observe(block, position, outcome)
        audit.advance(end - 10_000, outcome)
    audit.advance(START_MS + 2 * DAY_MS, outcome)
    return audit, outcome


def everything(audit: Audit, outcome: Outcome) -> bytes:
    """All state and all outputs as bytes."""
    encode = msgspec.msgpack.Encoder().encode
    stored = {key: encode(state) for key, state in sorted(states_of(audit).items())}
    return encode([stored, [platform.dump() for platform in audit.platforms], audit.rulings.dump(), repr(outcome)])


@cache
def undivided() -> bytes:
    return everything(*audited())


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_the_size_of_a_table_changes_nothing(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    whole = undivided()
    assert rows < CHANGED_AT_ONCE
    monkeypatch.setattr(closing, "CHANGED_AT_ONCE", rows)
    assert everything(*audited()) == whole


def test_the_burst_is_found() -> None:
    _, outcome = audited()
    assert {flag.target for flag in outcome.flags if flag.verdict == "artificial"} == {"v3"}


def test_all_windows_of_a_closing_are_scored_before_any_of_them_is_learned_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each closing: tables are measured, then the platforms learn."""
    order: list[str] = []
    tabulate, learn_people = WindowClosing._tabulate, Platform.learn_people

    def tabulated(self: WindowClosing, rows: list[Row], of: Closing) -> ClosingTable:
        order.append("m")
        return tabulate(self, rows, of)

    def learned(self: Platform, people: People, named: list[int], accounts: list[tuple[int, int]]) -> None:
        order.append("l")
        learn_people(self, people, named, accounts)

    monkeypatch.setattr(WindowClosing, "_tabulate", tabulated)
    monkeypatch.setattr(Platform, "learn_people", learned)
    monkeypatch.setattr(closing, "CHANGED_AT_ONCE", 3)
    audited()
    text = "".join(order)
    assert max(len(part) for part in text.split("l")) > 3
    assert 0 < max(len(part) for part in text.split("m")) <= 2, "views and likes learn once a closing"
