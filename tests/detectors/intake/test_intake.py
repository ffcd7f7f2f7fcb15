"""Events on their way into their ticks: whose targets they are of, and what a rule that fails costs."""

from __future__ import annotations

import pytest

from detectors.audit import Audit, AuditSettings
from detectors.events.block import FEW_EVENTS, EventBlock
from detectors.events.key import NO_KEY, VIEW, key_of
from detectors.intake import intake
from detectors.records import Outcome, Unjudged
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
