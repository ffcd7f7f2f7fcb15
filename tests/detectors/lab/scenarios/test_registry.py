"""Every scenario by its id: in order, truthfully labelled, at the base rate that was asked for."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import pytest

from detectors.lab.scenarios.registry import HONEST, SCENARIOS, Scenario
from detectors.lab.traffic.platform import Labelled, Platform
from detectors.windows.scales import DAY_MS

START_MS = 1_700_006_400_000
BASE_RATE = 0.02


def played(scenario: Scenario, base_rate: float = 0.01, seed: int = 3) -> list[Labelled]:
    per_day = 30_000 / (scenario.days + scenario.quiet_days)
    platform = Platform(seed, targets=200, actors=3000, views_per_day=per_day)
    chunks = scenario.events(platform, seed=seed, start_ms=START_MS, base_rate=base_rate)
    return [labelled for chunk in chunks for labelled in chunk]


class Facts(NamedTuple):
    """What the tests ask of a play. Its events are too many to keep for every scenario."""

    events: int
    ids: int
    in_order: bool
    of_the_scenario: int
    artificial: int
    artificial_by: set[str]
    """the scenarios that artificial events name"""
    artificial_from_ms: int | None


@cache
def facts(name: str) -> Facts:
    """One play of a scenario, made once for all tests."""
    events = played(SCENARIOS[name], base_rate=BASE_RATE)
    artificial = [labelled for labelled in events if labelled.artificial]
    return Facts(
        events=len(events),
        ids=len({labelled.event.id for labelled in events}),
        in_order=all(a.event.ts <= b.event.ts for a, b in pairwise(events)),
        of_the_scenario=sum(labelled.scenario == name for labelled in events),
        artificial=len(artificial),
        artificial_by={labelled.scenario for labelled in artificial},
        artificial_from_ms=min((labelled.event.ts for labelled in artificial), default=None),
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_plays_in_order_with_one_id_an_event(name: str) -> None:
    play = facts(name)
    assert play.in_order
    assert play.ids == play.events
    assert play.of_the_scenario > 0


@pytest.mark.parametrize("name", SCENARIOS)
def test_artificial_events_keep_to_the_base_rate_and_honest_scenarios_have_none(name: str) -> None:
    play, scenario = facts(name), SCENARIOS[name]
    if scenario.kind == HONEST:
        assert play.artificial == 0
        return
    assert play.artificial / play.events == pytest.approx(BASE_RATE, rel=0.2)
    assert play.artificial_by == {name}
    assert play.artificial_from_ms is not None
    assert play.artificial_from_ms >= START_MS + scenario.quiet_days * DAY_MS


def test_the_same_seed_plays_the_same_scenario() -> None:
    assert played(SCENARIOS["mimic"]) == played(SCENARIOS["mimic"])


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_scenario_says_what_it_is(scenario: Scenario) -> None:
    assert len(scenario.about) > 80
    assert ("Must not be flagged" in scenario.about) == (scenario.kind == HONEST)
    assert ("Must be flagged" in scenario.about) == (scenario.kind != HONEST)


def test_nobody_is_a_whole_countrys_audience() -> None:
    platform = Platform(101, targets=200, actors=4000, views_per_day=30_000)
    views: Counter[tuple[str, str | None]] = Counter()
    for chunk in SCENARIOS["night_country"].events(platform, seed=101, start_ms=START_MS):
        views.update((event.target, event.actor) for event, scenario, _ in chunk if scenario and event.metric == "view")
    assert views
    assert max(views.values()) < 30
