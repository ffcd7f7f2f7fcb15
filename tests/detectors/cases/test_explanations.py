"""A strong surge of the platform's own crowd gets one flag, moves no events, and excuses no fraud."""

from __future__ import annotations

from functools import cache

import pytest

from detectors.audit import Audit, AuditSettings
from detectors.cases.explanations import Promotion
from detectors.events.key import VIEW, key_of
from detectors.records import Flag, Outcome
from tests.crowds import MINUTE_MS, START_MS, bought, in_order, ordinary, viral
from tests.detectors.test_judge import audited

HISTORY_MINUTES = 130
BURST_MS = START_MS + 100 * MINUTE_MS
HIT, BOUGHT, SMALL = "v5", "v3", "v7"


def promotion(target: str, **more: object) -> Promotion:
    return Promotion("the summer sale", target, BURST_MS - MINUTE_MS, BURST_MS + 30 * MINUTE_MS, **more)  # type: ignore[arg-type]  # each is one of its fields


@cache
def with_hit(promotions: tuple[Promotion, ...] = (), enabled: bool = True) -> tuple[Audit, Outcome]:
    return audited(
        in_order(
            ordinary(1, minutes=HISTORY_MINUTES),
            bought(2, BOUGHT, begin=BURST_MS),
            viral(3, HIT, begin=BURST_MS, minutes=9),
            viral(4, SMALL, begin=BURST_MS, minutes=5, per_minute=6),
        ),
        settings=AuditSettings(promotions=promotions, explained=enabled),
    )


def flags_of(target: str, **options: object) -> list[Flag]:
    return [flag for flag in with_hit(**options)[1].flags if flag.target == target]


def test_a_hit_is_one_incident_that_opens_and_closes_and_says_why() -> None:
    flags = flags_of(HIT)
    assert {flag.verdict for flag in flags} == {"explained"}
    assert len({flag.flag_id for flag in flags}) == 1
    assert [flag.revision for flag in flags] == list(range(1, len(flags) + 1))
    assert [flags[0].status, flags[-1].status] == ["opened", "closed"]
    assert [reason.code for reason in flags[-1].reasons] == ["surge", "own_crowd"]
    assert "the crowd is the platform's own" in flags[-1].reasons[1].text


def test_it_moves_nothing_and_no_event_of_it_is_artificial() -> None:
    audit, outcome = with_hit()
    assert all((flag.artificial.value, flag.score) == (0, 0) for flag in flags_of(HIT))
    assert [correction for correction in outcome.corrections if correction.target == HIT] == []
    ledger = audit.target_states[key_of(VIEW, HIT)].ledger
    assert ledger.valid + ledger.invalid.get("double_click", 0) == ledger.raw


def test_its_numbers_are_those_of_its_windows() -> None:
    last = flags_of(HIT)[-1]
    assert last.observed == pytest.approx(9 * 120 + 30, rel=0.15)
    assert last.expected.low <= last.expected.value <= last.expected.high < last.observed
    assert sum(moment.observed for moment in last.series) == last.observed


def test_it_does_not_come_again_and_again_and_a_small_surge_not_at_all() -> None:
    assert 2 <= len(flags_of(HIT)) <= 5
    assert flags_of(SMALL) == []


def test_the_target_learns_as_if_nothing_had_been_told() -> None:
    levels = [with_hit(enabled=on)[0].target_states[key_of(VIEW, HIT)].levels for on in (True, False)]
    assert levels[0] == levels[1]


def test_switched_off_it_is_not_told_and_the_rest_is_as_it_was() -> None:
    assert flags_of(HIT, enabled=False) == []
    assert flags_of(BOUGHT, enabled=False) == flags_of(BOUGHT)


def test_an_announced_promotion_is_named() -> None:
    last = flags_of(HIT, promotions=(promotion(HIT, factor=10.0),))[-1]
    assert last.reasons[1].code == "promotion"
    assert "'the summer sale' was announced for it" in last.reasons[1].text
    assert "more than the 10 times announced" in last.reasons[1].text


@pytest.mark.parametrize("metric", [None, 0])
def test_a_promotion_excuses_no_bought_crowd(metric: int | None) -> None:
    flags = flags_of(BOUGHT, promotions=(promotion(BOUGHT, metric=metric, factor=1000.0),))
    assert flags == flags_of(BOUGHT)
    assert flags[-1].verdict == "artificial"


def test_a_promotion_of_another_metric_or_time_is_not_this_ones() -> None:
    other = promotion(HIT, metric=1), Promotion("earlier", HIT, 0, START_MS)
    assert flags_of(HIT, promotions=other) == flags_of(HIT)


def test_the_verdict_that_comes_closes_what_was_explained() -> None:
    crowds = ordinary(1, minutes=HISTORY_MINUTES), viral(3, HIT, begin=BURST_MS, minutes=12, per_minute=60)
    _, outcome = audited(in_order(*crowds, bought(2, HIT, begin=BURST_MS + 6 * MINUTE_MS, per_minute=400)))
    verdicts = [(flag.verdict, flag.status) for flag in outcome.flags if flag.target == HIT]
    assert verdicts[0] == ("explained", "opened")
    assert ("explained", "closed") in verdicts
    assert verdicts.index(("explained", "closed")) < verdicts.index(("artificial", "opened"))
