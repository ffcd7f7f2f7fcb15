"""One play of a scenario, made once for all tests."""

from __future__ import annotations

from functools import cache

from detectors.lab.scenarios.registry import SCENARIOS
from detectors.lab.traffic.platform import Labelled, Platform
from detectors.windows.scales import DAY_MS

START_MS = 1_700_006_400_000
SEED = 3


def platform_of(name: str, views: int = 30_000) -> Platform:
    """The platform of ``play``."""
    scenario = SCENARIOS[name]
    return Platform(SEED, targets=200, actors=3000, views_per_day=views / (scenario.days + scenario.quiet_days))


@cache
def play(name: str) -> list[Labelled]:
    """All events of a scenario on a small platform."""
    chunks = SCENARIOS[name].events(platform_of(name), seed=SEED, start_ms=START_MS)
    return [labelled for chunk in chunks for labelled in chunk]


def of_scenario(name: str) -> list[Labelled]:
    """The events that the scenario adds to its background."""
    return [labelled for labelled in play(name) if labelled.scenario]


def background(name: str) -> list[Labelled]:
    """The events of the background."""
    return [labelled for labelled in play(name) if not labelled.scenario]


def end_ms(name: str) -> int:
    """When the scenario ends."""
    return START_MS + round((SCENARIOS[name].quiet_days + SCENARIOS[name].days) * DAY_MS)
