"""Accounts beside the audits: who gets what, and when. And what is measured of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from detectors.accounts.block import ActorBlock
from detectors.accounts.outcome import AccountsOutcome, RulingRecord
from detectors.accounts.settings import AccountSettings
from detectors.audit import Audit
from detectors.controls import Answered, Asked, Removed, Ruled, ToActors, ToTargets
from detectors.events.actor import without_account
from detectors.events.event import Event
from detectors.lab import coupled_accounts
from detectors.lab.account_measures import measure_rulings, measure_settlements
from detectors.lab.backtest import LATENESS_MS, STEP_MS, AuditRun
from detectors.lab.measure import Report, Truth
from detectors.lab.traffic.actor_blocks import ActorPacker, actor_partition
from detectors.lab.traffic.blocks import Packer, text_hash
from detectors.lab.traffic.platform import Labelled
from detectors.records import Correction, Flag, Interval, Outcome, Reason
from detectors.windows.scales import HOUR_MS

START_MS = 1_700_006_400_000


def rows(count: int, *, every_ms: int, artificial: bool = False) -> list[Labelled]:
    made = []
    for i in range(count):
        event = Event(
            ts=START_MS + i * every_ms,
            actor=f"a{i % 7}",
            target=f"t{i % 3}",
            metric="view",
            owner=f"c{i % 2}",
            ip="10.0.0.1",
            watch_ms=1000 + i,
            actor_created_at=None if i % 7 == 3 else START_MS - 1000,
        )
        made.append(Labelled(event, "x" if artificial else "", artificial))
    return made


class TestBlocks:
    def test_an_actor_has_the_hash_that_the_audit_knows_without_the_account_bit(self) -> None:
        events = [row.event for row in rows(20, every_ms=1000)]
        of_audits = {a for _, block in Packer(2).pack(events) for a in without_account_all(block.actor)}
        of_accounts = {int(a) for _, block in ActorPacker(2).pack(events) for a in block.actor}
        assert of_accounts == of_audits

    def test_all_events_of_an_actor_are_in_the_partition_of_the_hash(self) -> None:
        for place, block in ActorPacker(3).pack(row.event for row in rows(40, every_ms=1000)):
            assert {actor_partition(int(actor), 3) for actor in block.actor} == {place}

    def test_a_channel_has_the_same_hash_as_owner_and_as_target(self) -> None:
        events = [
            Event(ts=START_MS, actor="a", target="v", metric="view", owner="channel"),
            Event(ts=START_MS, actor="a", target="channel", metric="follow"),
        ]
        ((_, block),) = ActorPacker(1).pack(events)
        assert block.owner is not None
        assert block.owner.tolist() == [block.target[1] & 0x7FFFFFFF, -1]

    def test_columns_that_the_platform_does_not_send_are_missing(self) -> None:
        events = [row.event for row in rows(5, every_ms=1000)]
        ((_, block),) = ActorPacker(1, without=("ip", "actor_created_at", "owner")).pack(events)
        assert [block.network, block.created, block.owner] == [None, None, None]
        assert not block.account.any()
        ((_, block),) = ActorPacker(1).pack(events)
        assert block.account.tolist() == [True, True, True, False, True]
        assert block.watch_ms is not None
        assert block.watch_ms.tolist() == [1000, 1001, 1002, 1003, 1004]

    def test_events_without_an_actor_and_historic_ones_are_left_out(self) -> None:
        events = [
            Event(ts=START_MS, actor=None, target="v", metric="view"),
            Event(ts=START_MS, actor="a", target="v", metric="view", history=True),
        ]
        assert ActorPacker(2).pack(events) == []


def without_account_all(actors: Any) -> list[int]:
    return [without_account(int(actor)) for actor in actors]


@dataclass
class FakeAccounts:
    """Writes down what it gets, and emits what the test asks for."""

    settings: AccountSettings
    pages: Any = None
    target_hash: Callable[[str], int] = text_hash
    target_partition: Callable[[str], int] = text_hash
    events: int = 0
    controls: list[ToActors] = field(default_factory=list)
    emit: list[tuple[int | None, ToTargets]] = field(default_factory=list)

    def observe(self, block: ActorBlock, outcome: AccountsOutcome) -> None:
        self.events += len(block)

    def control(self, record: ToActors, outcome: AccountsOutcome) -> None:
        self.controls.append(record)

    def advance(self, now_ms: int, outcome: AccountsOutcome) -> None:
        outcome.controls += self.emit
        self.emit = []


@pytest.fixture
def coupled(monkeypatch: pytest.MonkeyPatch) -> AuditRun:
    monkeypatch.setattr(coupled_accounts, "Accounts", FakeAccounts)
    return AuditRun(accounts=AccountSettings())


def fakes(run: AuditRun) -> list[FakeAccounts]:
    assert run.accounts is not None
    return cast("list[FakeAccounts]", run.accounts.accounts)


def test_every_event_with_an_actor_is_observed_once(coupled: AuditRun) -> None:
    coupled.take(rows(40, every_ms=1000))
    assert sum(accounts.events for accounts in fakes(coupled)) == 40


def test_controls_reach_their_audits_before_the_next_events(coupled: AuditRun, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[tuple[int, ToTargets, int]] = []

    def control(audit: Audit, record: ToTargets, position: int, _: Outcome) -> None:
        got.append((audit.settings.partition, record, position))

    monkeypatch.setattr(Audit, "control", control)
    ruled, answered = Ruled(1, [2], [2], [90], [5]), Answered(1, "f", "k", 1, 2, 3, 4, 5)
    fakes(coupled)[1].emit = [(None, ruled), (1, answered)]
    coupled.take(rows(10, every_ms=1000))
    assert got == [(0, ruled, 1), (1, ruled, 1), (1, answered, 1)]
    coupled.take(rows(10, every_ms=2000))
    assert len(got) == 3


def test_requests_reach_the_accounts_of_their_actors_at_the_next_whole_hour(coupled: AuditRun) -> None:
    coupled.take(rows(30, every_ms=1000))
    asked = Asked("f", "k", 0, -1, 0, 1, 2, [2, 4, 6])
    removed = Removed(1, "g", "k", 0.5, [4])
    assert coupled.accounts is not None
    coupled.accounts.request(1, [removed])
    coupled.accounts.request(0, [asked])
    coupled.take(rows(2, every_ms=HOUR_MS // 2))
    assert [accounts.controls for accounts in fakes(coupled)] == [[], []]
    coupled.take(rows(3, every_ms=HOUR_MS))
    first, second = fakes(coupled)
    assert first.controls == [Asked("f", "k", 0, -1, 0, 1, 2, [4]), removed]
    assert second.controls == [Asked("f", "k", 0, -1, 0, 1, 2, [2, 6])]


def test_time_moves_in_steps_in_which_accounts_can_answer(coupled: AuditRun, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    monkeypatch.setattr(FakeAccounts, "advance", lambda _, now_ms, __: times.append(now_ms))
    coupled.take(rows(5, every_ms=7 * HOUR_MS))
    assert times[-1] == START_MS + 28 * HOUR_MS - LATENESS_MS
    assert max(after - before for before, after in pairwise(sorted(set(times)))) <= STEP_MS


def test_rulings_are_counted_by_whether_the_actor_did_what_was_bought() -> None:
    truth = Truth()
    truth.note([*rows(3, every_ms=1000), *rows(1, every_ms=9000, artificial=True)])  # a0 has a bought event
    rulings = {
        name: RulingRecord(name, "automated", 90, [], 0, until, None, None, account=True, as_of=10)
        for name, until in (("a0", 20), ("a1", 20), ("a2", 10))
    }
    report = Report("x", "truecount", 0)
    measure_rulings(report, truth, rulings)
    assert (report.bought_actors, report.honest_actors) == (1, 2)
    assert report.rulings == {"automated": {"bought": 1, "honest": 1}}


@pytest.mark.parametrize(
    ("bought", "condemned", "right"), [(40, 40, 1), (40, 35, 1), (40, 10, 0), (0, 0, 1), (0, 40, 0)]
)
def test_a_settlement_is_right_if_it_condemns_about_what_was_bought(bought: int, condemned: int, right: int) -> None:
    truth, outcome = Truth(), Outcome()
    everything = [*rows(bought, every_ms=1, artificial=True), *rows(60 - bought, every_ms=1)]
    truth.note([row._replace(event=Event(ts=row.event.ts, actor="a", target="t", metric="view")) for row in everything])
    span = {"start": START_MS, "end": START_MS + 1000}
    for source, to, count in (
        ("valid", "quarantined", 40),
        ("quarantined", "empty_accounts", condemned),
        ("quarantined", "valid", 40 - condemned),
    ):
        if count:
            outcome.corrections.append(Correction("c", "t", "view", source, to, count, "x", "f", span))
    why = Reason("empty_accounts", "conduct", 0.0, 0.0, 0.0, "")
    none = Interval(0, 0, 0)
    flag = Flag("f", 1, "closed", "t", "view", "suspect", 1, 0, 1, 60, none, none, [why], "lab", {})
    outcome.flags.append(flag)
    report = Report("x", "truecount", 0)
    measure_settlements(report, truth, outcome)
    assert (report.settled, report.settled_right, report.unsettled) == (1, right, 0)
