"""Actors that programs drive by a ruling: from then on none of their events counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.controls import AUTOMATED, HUMAN, SELLER, Ruled
from detectors.events.block import EventBlock
from detectors.events.event import METRIC_INDEX
from detectors.events.key import VIEW, key_of
from detectors.intake import ticks
from detectors.intake.rules.reasons import AUTOMATED_ACTOR, EXEMPT
from detectors.intake.rules.settings import RuleSettings
from detectors.records import Outcome

START_MS = 1_700_000_040_000
HOUR_MS = 3_600_000
LIKE = METRIC_INDEX["like"]
BOT, GUEST, ADDRESS, SELLERS, PERSON = 2, 4, 6, 8, 10
"""Hashes without the account bit."""


def ruled(audit: Audit, outcome: Outcome, *, at: int = START_MS) -> None:
    until = START_MS + HOUR_MS
    kinds, scores = [AUTOMATED, AUTOMATED, AUTOMATED, SELLER], [90, 50, 40, 99]
    audit.control(Ruled(at, [BOT, GUEST, ADDRESS, SELLERS], kinds, scores, [until] * 4), 1, outcome)


def block_of(
    actors: list[int], *, at: int = 0, target: str = "v", metric: int = VIEW, exempt: bool = False
) -> EventBlock:
    return EventBlock(
        target=[target] * len(actors),
        metric=[metric] * len(actors),
        ts=[START_MS + at] * len(actors),
        actor=actors,
        rule=[EXEMPT if exempt else 0] * len(actors),
    )


def audit_with(off: frozenset[str] = frozenset()) -> tuple[Audit, Outcome]:
    return Audit(AuditSettings(rules=RuleSettings(off=off))), Outcome()


def parts(audit: Audit, target: str = "v", metric: int = VIEW) -> tuple[int, dict[str, int]]:
    ledger = audit.target_states[key_of(metric, target)].ledger
    return ledger.valid, dict(ledger.invalid)


@pytest.mark.parametrize("rows", [0, 256])
def test_events_of_automated_sessions_are_invalid_and_those_of_accounts_count(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks, "FEW_ROWS", rows)
    audit, outcome = audit_with()
    ruled(audit, outcome)
    audit.observe(block_of([BOT, BOT + 1, GUEST, ADDRESS, SELLERS, PERSON, PERSON + 1]), 1, outcome)
    audit.advance(START_MS + 600_000, outcome)
    assert parts(audit) == (5, {AUTOMATED_ACTOR: 2})
    assert [(hit.reason, hit.events) for hit in outcome.hits] == [(AUTOMATED_ACTOR, 2)]


@pytest.mark.parametrize("rows", [0, 256])
def test_a_like_of_an_automated_actor_begins_no_relation(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "FEW_ROWS", rows)
    audit, outcome = audit_with()
    ruled(audit, outcome)
    audit.observe(block_of([BOT, PERSON], metric=LIKE), 1, outcome)
    audit.advance(START_MS + 600_000, outcome)
    undo = block_of([BOT], at=700_000, metric=LIKE)
    undo.undo = [True]
    audit.observe(undo, 2, outcome)
    audit.advance(START_MS + 1_200_000, outcome)
    assert parts(audit, metric=LIKE) == (1, {AUTOMATED_ACTOR: 1})


def test_a_ruling_applies_from_its_position_in_the_log_until_it_ends() -> None:
    audit, outcome = audit_with()
    audit.observe(block_of([BOT]), 1, outcome)
    audit.advance(START_MS + 120_000, outcome)
    ruled(audit, outcome)
    audit.observe(block_of([BOT], at=130_000), 2, outcome)
    audit.advance(START_MS + 240_000, outcome)
    audit.control(Ruled(START_MS + 240_000, [BOT], [HUMAN], [50], [START_MS + HOUR_MS]), 3, outcome)
    audit.observe(block_of([BOT], at=250_000), 3, outcome)
    audit.observe(block_of([GUEST], at=HOUR_MS), 4, outcome)
    audit.advance(START_MS + 2 * HOUR_MS, outcome)
    assert parts(audit) == (3, {AUTOMATED_ACTOR: 1})


def test_it_can_be_off_and_spares_who_is_allowed() -> None:
    audit, outcome = audit_with(frozenset({AUTOMATED_ACTOR}))
    ruled(audit, outcome)
    audit.observe(block_of([BOT]), 1, outcome)
    audit.advance(START_MS + 600_000, outcome)
    assert parts(audit) == (1, {})
    audit, outcome = audit_with()
    ruled(audit, outcome)
    audit.observe(block_of([BOT], exempt=True), 1, outcome)
    audit.advance(START_MS + 600_000, outcome)
    assert parts(audit) == (1, {})


@given(
    st.lists(st.tuples(st.integers(0, 600), st.sampled_from([2, 3, 4, 6, 8, 10, 11]), st.integers(0, 2)), max_size=40)
)
def test_raw_is_the_sum_of_its_parts_whatever_other_rules_find(acts: list[tuple[int, int, int]]) -> None:
    audit, outcome = audit_with()
    ruled(audit, outcome)
    for seconds, actor, metric in acts:
        audit.observe(block_of([actor], at=1000 * seconds, metric=metric), 1, outcome)
    audit.advance(START_MS + HOUR_MS, outcome)
    for metric in {metric for _, _, metric in acts}:
        of_metric = [actor for _, actor, of in acts if of == metric]
        valid, invalid = parts(audit, metric=metric)
        assert valid + sum(invalid.values()) == len(of_metric)
        bots = sum(actor in (BOT, GUEST) for actor in of_metric)
        assert invalid.get(AUTOMATED_ACTOR, 0) <= bots
        assert valid <= len(of_metric) - bots
