"""Events on their way into their ticks: whose targets they are of, and what a rule that fails costs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from detectors.audit import Audit, AuditSettings
from detectors.events.block import FEW_EVENTS, EventBlock
from detectors.events.key import NO_KEY, VIEW, key_of
from detectors.intake import history, intake
from detectors.records import Hit, Outcome, Unjudged
from detectors.state.ledger import DUPLICATE_ID
from tests.crowds import START_MS

MANY = 3 * FEW_EVENTS


def views(count: int, *, nobody: bool = False, ticks: int = 1, metrics: int = 1) -> EventBlock:
    """Each of another target, with an owner of its own."""
    block = EventBlock(
        target=[f"v{n}" for n in range(count)],
        metric=[n % metrics for n in range(count)],
        ts=[START_MS + 10_000 * (n % ticks) for n in range(count)],
        actor=[-1 if nobody and n % 2 else 2 * n for n in range(count)],
    )
    block.owner = [1000 + n for n in range(count)]
    return block


def owners(*blocks: EventBlock) -> dict[str, int]:
    audit = Audit(AuditSettings())
    for block in blocks:
        audit.observe(block, 1, Outcome())
    return {target: owner for tick in audit.intake.ticks.values() for target, owner in tick.owners.items()}


@pytest.mark.parametrize("count", [FEW_EVENTS - 1, MANY])
@pytest.mark.parametrize("block", [{}, {"nobody": True}, {"ticks": 3}, {"metrics": 3}], ids=str)
def test_whose_a_target_is_is_known_however_its_events_come(count: int, block: dict[str, int]) -> None:
    assert owners(views(count, **block)) == {f"v{n}": 1000 + n for n in range(count)}  # type: ignore[arg-type]  # nobody is a bool


def test_of_a_target_with_several_owners_the_last_one_counts() -> None:
    other = views(1)
    other.owner = [7]
    assert owners(views(1), other) == {"v0": 7}


def test_a_rule_that_fails_costs_no_event_and_is_told_of_once_for_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: EventBlock) -> dict[int, str]:
        raise KeyError("tag")

    monkeypatch.setattr(intake, "_tagged", failing)
    audit, outcome = Audit(AuditSettings()), Outcome()
    audit.observe(views(MANY), 1, outcome)
    audit.advance(START_MS + 3_600_000, outcome)
    assert outcome.failures == {"rules": 1}
    assert outcome.unjudged == [Unjudged("rules", NO_KEY, -1, 0, outcome.unjudged[0].error)]
    assert [audit.target_states[key_of(VIEW, f"v{n}")].ledger.valid for n in range(MANY)] == [1] * MANY


def acts(*idents: int, undo: tuple[bool, ...] = (), history: bool = False, at_ms: tuple[int, ...] = ()) -> EventBlock:
    """Events of one target, each of another actor, with these ids."""
    count = len(idents)
    block = EventBlock(
        target=["v"] * count, metric=[VIEW] * count, ts=list(at_ms or [START_MS] * count), actor=[2 * n for n in idents]
    )
    block.ident = list(idents)
    block.undo = list(undo) or None
    block.history = [True] * count if history else None
    return block


def test_late_events_are_counted_once_by_id_and_at_their_own_time() -> None:
    audit, outcome = Audit(AuditSettings(dedupe_ids=100)), Outcome()
    audit.advance(START_MS + 600_000, outcome)
    audit.observe(acts(2, 4), 1, outcome)
    audit.observe(acts(2, at_ms=(START_MS + 70,)), 2, outcome)
    key = key_of(VIEW, "v")
    assert (outcome.late, outcome.duplicates) == (3, 1)
    assert outcome.hits == [(key, DUPLICATE_ID, START_MS + 70, START_MS + 71, 1)]
    audit.observe(acts(2, undo=(True,)), 3, outcome)
    audit.observe(acts(2, undo=(True,)), 4, outcome)
    assert (outcome.late, outcome.duplicates, outcome.unmatched_undos) == (5, 2, 0)
    ledger = audit.target_states[key].ledger
    assert (ledger.raw, ledger.valid, ledger.invalid) == (3, 1, {DUPLICATE_ID: 1, "undone": 1})


def test_historic_duplicates_are_one_hit_from_the_first_to_the_last() -> None:
    audit, outcome = Audit(AuditSettings(dedupe_ids=100)), Outcome()
    audit.observe(acts(2, 4, 6, history=True, at_ms=(50, 10, 90)), 1, outcome)
    audit.observe(acts(2, 4, 6, history=True, at_ms=(50, 10, 90)), 2, outcome)
    key = key_of(VIEW, "v")
    assert outcome.hits == [(key, DUPLICATE_ID, 10, 91, 3)]
    assert (outcome.historic, outcome.duplicates, outcome.late) == (6, 3, 0)
    assert (audit.target_states[key].ledger.raw, audit.target_states[key].ledger.valid) == (6, 3)


@pytest.mark.parametrize("others", [0, MANY])
def test_an_undo_and_its_duplicate_in_an_open_tick_undo_one_event(others: int) -> None:
    audit, outcome = Audit(AuditSettings(dedupe_ids=100)), Outcome()
    idents = [*range(1000, 1000 + 2 * others, 2), 2, 4, 2, 2, 4]
    undo = (*[False] * others, False, False, True, True, False)
    audit.observe(acts(*idents, undo=undo), 1, outcome)
    audit.advance(START_MS + 600_000, outcome)
    ledger = audit.target_states[key_of(VIEW, "v")].ledger
    assert (ledger.raw, ledger.valid) == (3 + others, 1 + others)
    assert ledger.invalid == {DUPLICATE_ID: 1, "undone": 1}
    assert (outcome.duplicates, outcome.unmatched_undos, outcome.late) == (2, 0, 0)


def test_a_tick_knows_the_first_and_the_last_position_of_its_events() -> None:
    audit, outcome = Audit(AuditSettings()), Outcome()
    for position in (7, 9, 12):
        audit.observe(views(3), position, outcome)
    (tick,) = audit.intake.ticks.values()
    assert (tick.log_from, tick.log_to) == (7, 12)
    assert [audit.intake.begins_at(position) for position in (7, 9)] == [True, False]
    assert audit.intake.replay_start(20) == 7
    assert Audit(AuditSettings()).intake.replay_start(20) == 20


@pytest.mark.parametrize("few_rows", [-1, 256])
def test_events_without_an_actor_are_counted_where_a_tick_cannot_be_judged(
    monkeypatch: pytest.MonkeyPatch, few_rows: int
) -> None:
    monkeypatch.setattr("detectors.intake.ticks.FEW_ROWS", few_rows)
    audit, outcome = Audit(AuditSettings()), Outcome()
    audit.observe(views(MANY, nobody=True, metrics=3), 1, outcome)
    for _ in audit.skip_judging(START_MS + 600_000, outcome):
        pass
    assert sum(outcome.entered) == MANY
    assert sum(count.raw for count in outcome.counts) == sum(count.unjudged for count in outcome.counts) == MANY


class Noted:
    """In place of the audit: what historic events come to."""

    def __init__(self) -> None:
        self.entered: list[tuple[Hit, bool]] = []
        self.learned: list[tuple[int, list[int]]] = []

    def enter_at_once(
        self, events: Hit, *, undo: bool, outcome: Outcome, related: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.entered.append((events, undo))

    def learn_historic_actors(self, metric: int, actors: list[int]) -> None:
        self.learned.append((metric, actors))


def test_of_historic_events_the_actors_of_valid_ones_become_known() -> None:
    block = acts(2, 4, 6, 8, 10, undo=(False, False, False, False, True))
    block.actor = [2, -1, 6, 8, 10]
    counts, outcome = Noted(), Outcome()
    history.enter(block, [0, 1, 2, 3, 4], {2: DUPLICATE_ID}, counts, outcome)
    assert counts.learned == [(VIEW, [2, 8])]
    assert [(hit.reason, hit.events, undo) for hit, undo in counts.entered] == [
        ("", 3, False),
        ("", 1, True),
        (DUPLICATE_ID, 1, False),
    ]


def test_an_undo_in_history_comes_after_the_events_before_it_and_before_those_after_it() -> None:
    counts = Noted()
    history.enter(acts(2, 4, 6, undo=(False, True, False)), [0, 1, 2], {}, counts, Outcome())
    assert [undo for _, undo in counts.entered] == [False, True, False]
