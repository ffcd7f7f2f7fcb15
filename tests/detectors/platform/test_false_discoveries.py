"""The bound of the false-discovery rate: it is kept on null data, costs little power, and only withholds."""

from __future__ import annotations

import math
import random

import pytest

from detectors.audit import Audit, AuditSettings
from detectors.lab.backtest import LATENESS_MS, START_MS, platform_for
from detectors.lab.scenarios.registry import QUIET
from detectors.lab.traffic.blocks import Packer
from detectors.platform.false_discoveries import DELTA, MEMORY_TESTS, Discoveries, G
from detectors.records import Outcome
from detectors.thresholds import Rulebook, Thresholds

RATE = 0.05
RUNS, TESTS = 300, 3 * MEMORY_TESTS


def remembered(share_bought: float, seed: int, weakest: float = 4.5) -> tuple[float, float, int, int]:
    """A run: wrong and all alarms as they are remembered at its end, and bought windows found of all."""
    bound, rng = Discoveries(), random.Random(seed)
    wrong = alarms = 0.0
    found = bought = 0
    for _ in range(TESTS):
        is_bought = rng.random() < share_bought
        p = 10.0 ** -rng.uniform(weakest, 12.0) if is_bought else rng.random()
        alarm = bound.allows(p, RATE)
        bound.tested(alarm=alarm)
        wrong, alarms = DELTA * wrong + (alarm and not is_bought), DELTA * alarms + alarm
        bought, found = bought + is_bought, found + (alarm and is_bought)
    return wrong, alarms, found, bought


def test_on_honest_windows_alone_wrong_alarms_stay_under_the_level() -> None:
    wrong = [remembered(0.0, seed)[0] for seed in range(RUNS)]
    assert sum(wrong) / RUNS <= RATE / (1.0 - RATE)


@pytest.mark.parametrize("share", [0.002, 0.02, 0.2])
def test_among_bought_windows_too_and_these_are_found(share: float) -> None:
    runs = [remembered(share, seed) for seed in range(RUNS)]
    assert sum(wrong / (1.0 + alarms) for wrong, alarms, *_ in runs) / RUNS <= RATE
    assert sum(run[2] for run in runs) >= 0.99 * sum(run[3] for run in runs)


def test_a_quiet_year_ends_no_alarms() -> None:
    bound = Discoveries()
    for _ in range(100_000):
        bound.tested(alarm=False)
    assert bound.allows(RATE / MEMORY_TESTS / 1.01, RATE)


def test_alarms_make_the_next_ones_easier_for_a_while_and_never_beyond_the_rate() -> None:
    bound = Discoveries()
    for _ in range(50):
        bound.tested(alarm=True)
    assert bound.allows(0.02, RATE)
    assert not bound.allows(RATE * 1.01, RATE)
    for _ in range(400):
        bound.tested(alarm=False)
    assert bound == Discoveries()


def test_a_reward_that_is_still_worth_something_is_remembered_and_a_smaller_one_forgotten() -> None:
    """So that what is stored of a quiet metric is the same everywhere, however long it has been quiet."""
    bound, fading = Discoveries(), DELTA * G
    bound.tested(alarm=True)
    tests = math.floor(math.log(1e-9 / bound.reward) / math.log(fading))
    for _ in range(tests):
        bound.tested(alarm=False)
    assert bound.reward == pytest.approx(DELTA * (1.0 - G) * fading**tests)
    assert 1e-9 <= bound.reward < 1e-9 / fading
    bound.tested(alarm=False)
    assert bound == Discoveries()


@pytest.mark.slow
def test_on_quiet_traffic_it_withholds_what_a_careless_judge_would_flag() -> None:
    careless = Thresholds(2.0, 1.0, 1.0, 9.0, 5, 0.05, RATE)
    platform, outcome, packer = platform_for(QUIET, 101, views=60_000), Outcome(), Packer(1)
    audit = Audit(AuditSettings(rulebook=Rulebook((careless,) * 3), explained=False))
    stream = QUIET.events(platform, seed=101, start_ms=START_MS, base_rate=0.01, strength=1.0)
    for position, chunk in enumerate(stream):
        for _, block in packer.pack(labelled.event for labelled in chunk):
            audit.observe(block, position, outcome)
        audit.advance(chunk[-1].event.ts - LATENESS_MS, outcome)
    assert sum(outcome.withheld) >= 1
    assert outcome.flags == []
