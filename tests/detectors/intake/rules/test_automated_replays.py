"""Accounts that replay one target by a program: their views of it are invalid, and all that they do else counts."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.actors import replays
from detectors.actors.replays import ReplayRulings
from detectors.audit import Audit, AuditSettings
from detectors.controls import Replayed
from detectors.events.block import EventBlock
from detectors.events.event import METRIC_INDEX
from detectors.events.key import VIEW, key_of
from detectors.intake import ticks
from detectors.intake.rules.reasons import AUTOMATED_ACTOR, AUTOMATED_REPLAY, EXEMPT
from detectors.intake.rules.settings import RuleSettings
from detectors.records import Outcome
from detectors.state.case import ARTIFICIAL, Case
from detectors.state.marks import Marks

START_MS = 1_700_000_040_000
HOUR_MS = 3_600_000
LIKE = METRIC_INDEX["like"]
LOOPER, OTHER, PERSON = 2, 4, 10
"""Hashes without the account bit."""


def block_of(views: list[tuple[str, int]], *, at: int = 0, metric: int = VIEW, exempt: bool = False) -> EventBlock:
    return EventBlock(
        target=[target for target, _ in views],
        metric=[metric] * len(views),
        ts=[START_MS + at] * len(views),
        actor=[actor for _, actor in views],
        rule=[EXEMPT if exempt else 0] * len(views),
    )


def audit_with(off: frozenset[str] = frozenset()) -> tuple[Audit, Outcome]:
    return Audit(AuditSettings(rules=RuleSettings(off=off))), Outcome()


def inform(audit: Audit, outcome: Outcome, *, target: str = "v", until: int = HOUR_MS) -> None:
    audit.control(Replayed(START_MS, target, START_MS + until, [LOOPER, OTHER]), 1, outcome)


def parts(audit: Audit, target: str = "v", metric: int = VIEW) -> tuple[int, dict[str, int]]:
    ledger = audit.target_states[key_of(metric, target)].ledger
    return ledger.valid, dict(ledger.invalid)


@pytest.mark.parametrize("rows", [0, 256])
def test_only_the_views_of_that_target_are_invalid_with_and_without_the_age_of_the_account(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks, "FEW_ROWS", rows)
    audit, outcome = audit_with()
    inform(audit, outcome)
    audit.observe(block_of([("v", LOOPER), ("v", LOOPER + 1), ("v", PERSON), ("w", LOOPER), ("w", OTHER)]), 1, outcome)
    audit.observe(block_of([("v", LOOPER), ("v", PERSON)], metric=LIKE), 2, outcome)
    audit.advance(START_MS + 600_000, outcome)
    assert parts(audit) == (1, {AUTOMATED_REPLAY: 2})
    assert parts(audit, "w") == (2, {})
    assert parts(audit, metric=LIKE) == (2, {})
    assert [(hit.reason, hit.events) for hit in outcome.hits] == [(AUTOMATED_REPLAY, 2)]


def test_it_ends_when_it_expires() -> None:
    audit, outcome = audit_with()
    inform(audit, outcome)
    audit.observe(block_of([("v", LOOPER)], at=10_000), 2, outcome)
    audit.observe(block_of([("v", LOOPER)], at=HOUR_MS), 3, outcome)
    audit.advance(START_MS + 2 * HOUR_MS, outcome)
    assert parts(audit) == (1, {AUTOMATED_REPLAY: 1})


@pytest.mark.parametrize("off", [{AUTOMATED_REPLAY}, {AUTOMATED_REPLAY, AUTOMATED_ACTOR}])
def test_it_can_be_off(off: set[str]) -> None:
    audit, outcome = audit_with(frozenset(off))
    inform(audit, outcome)
    audit.observe(block_of([("v", LOOPER)]), 1, outcome)
    audit.advance(START_MS + 600_000, outcome)
    assert parts(audit) == (1, {})


def test_it_spares_who_is_allowed_and_works_without_the_rule_on_actors() -> None:
    audit, outcome = audit_with(frozenset({AUTOMATED_ACTOR}))
    inform(audit, outcome)
    audit.observe(block_of([("v", LOOPER)], exempt=True), 1, outcome)
    audit.observe(block_of([("v", OTHER)], at=70_000), 2, outcome)
    audit.advance(START_MS + 600_000, outcome)
    assert parts(audit) == (1, {AUTOMATED_REPLAY: 1})


def test_it_is_stored() -> None:
    audit, outcome = audit_with()
    inform(audit, outcome)
    again, _ = audit_with()
    for part, loaded in zip(audit.parts, again.parts, strict=True):
        for suffix, state in part.take_changed():
            if part.kind == loaded.kind and "replays" in part.kind.prefix.decode():
                loaded.load(suffix, msgspec.msgpack.decode(msgspec.msgpack.encode(state)))
    assert len(again.rulings.replays) == 2
    again.observe(block_of([("v", LOOPER)]), 1, outcome)
    again.advance(START_MS + 600_000, outcome)
    assert parts(again) == (0, {AUTOMATED_REPLAY: 1})


def test_the_earliest_to_expire_are_dropped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "REPLAYS_MAX", 4)
    rulings = ReplayRulings()
    for number in range(8):
        rulings.note(Replayed(0, f"v{number % 3}", 1_000 + number, [2 * number]))
    assert len(rulings) == 4
    assert rulings.in_force(0).actors.tolist()[::2] == [8, 10, 12, 14]


def test_a_case_that_repeats_opened_goes_on_by_credible_evidence_only() -> None:
    audit, outcome = audit_with()
    for target in ("v", "w"):
        state = audit.target_states.change(key_of(VIEW, target))
        state.case = Case("f", 0, 0, 0, ARTIFICIAL, "few_actors", marks=Marks(watches=[12], codes=["few_actors", "x"]))
    inform(audit, outcome)
    inform(audit, outcome, target="nobody")
    cases = [audit.target_states[key_of(VIEW, target)].case for target in ("v", "w")]
    assert [case and case.marks.codes for case in cases] == [["x"], ["few_actors", "x"]]
    assert not outcome.failures


@given(
    st.lists(
        st.tuples(
            st.integers(0, 600), st.sampled_from([2, 3, 4, 10, 11]), st.sampled_from(["v", "w"]), st.integers(0, 2)
        ),
        max_size=40,
    )
)
def test_raw_is_the_sum_of_its_parts_whatever_other_rules_find(acts: list[tuple[int, int, str, int]]) -> None:
    audit, outcome = audit_with()
    inform(audit, outcome)
    for seconds, actor, target, metric in acts:
        audit.observe(block_of([(target, actor)], at=1000 * seconds, metric=metric), 1, outcome)
    audit.advance(START_MS + HOUR_MS, outcome)
    for metric, target in {(metric, target) for _, _, target, metric in acts}:
        here = [actor for _, actor, of, what in acts if (of, what) == (target, metric)]
        valid, invalid = parts(audit, target, metric)
        replayed = sum(actor < PERSON for actor in here) if (target, metric) == ("v", VIEW) else 0
        assert valid + sum(invalid.values()) == len(here)
        assert invalid.get(AUTOMATED_REPLAY, 0) <= replayed
        assert valid <= len(here) - replayed


@pytest.mark.parametrize("place", ["note", "in_force"])
def test_a_failure_costs_no_event(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    audit, outcome = audit_with()

    def fail(*_: object) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr(ReplayRulings, place, fail)
    inform(audit, outcome)
    audit.observe(block_of([("v", LOOPER), ("v", PERSON)]), 2, outcome)
    audit.advance(START_MS + HOUR_MS, outcome)
    assert parts(audit) == (2, {})
    assert sum(outcome.failures.values()) >= 1
