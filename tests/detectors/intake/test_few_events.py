"""Nearly empty ticks are handled without arrays. How a tick is handled never changes an output."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.events.block import EventBlock
from detectors.events.event import METRIC_INDEX
from detectors.intake.rules.reasons import EXEMPT, NOTHING
from detectors.intake.rules.settings import RuleSettings
from detectors.records import Outcome
from tests.crowds import START_MS
from tests.states import states_of

RULES = RuleSettings(per_minute=3, per_day=5)


class Act(NamedTuple):
    """One event."""

    target: str
    metric: int
    at_ms: int
    actor: int
    spent: int
    undo: bool
    rule: int
    network: int = -1


# Few pairs, so that they act again in the same tick, within a minute, and later on the day.
ACTS = st.lists(
    st.builds(
        Act,
        target=st.sampled_from(["a", "a", "a", "b"]),
        metric=st.sampled_from([METRIC_INDEX[name] for name in ("view", "view", "view", "like")]),
        at_ms=st.integers(0, 200_000) | st.integers(0, 40).map(lambda second: 1000 * second),
        actor=st.sampled_from([2, 2, 2, 3, 4, 1 << 62, -1]),
        spent=st.sampled_from([-1, 0, 1_500, 2_500, 1 << 40]),
        undo=st.sampled_from([False] * 5 + [True]),
        rule=st.sampled_from([NOTHING] * 5 + [EXEMPT]),
        network=st.integers(-1, 2),
    ),
    min_size=2,
    max_size=60,
)


def block_of(acts: list[Act]) -> EventBlock:
    """The acts as they come from a frame: columns are arrays."""
    block = EventBlock(
        target=[act.target for act in acts],
        metric=[act.metric for act in acts],
        ts=np.array([START_MS + act.at_ms for act in acts], np.int64),
        actor=np.array([act.actor for act in acts], np.int64),
    )
    block.spent = np.array([act.spent for act in acts], np.int64)
    block.rule = np.array([act.rule for act in acts], np.int8)
    block.network = np.array([act.network for act in acts], np.int32)
    block.undo = [act.undo for act in acts]
    return block


class Way(NamedTuple):
    """How ticks are handled: the limits up to which events, acts and pairs are few."""

    rows: int
    events: int
    acts: int = 1024
    again: int = 64


ARRAYS = Way(rows=-1, events=0, acts=-1, again=-1)


def in_blocks(acts: list[Act], size: int) -> list[list[Act]]:
    """The acts in order of time, in blocks of ``size``."""
    in_order = sorted(acts, key=lambda act: act.at_ms)
    return [in_order[first : first + size] for first in range(0, len(in_order), size)]


class Case(NamedTuple):
    """What is the same for all ways: the blocks, the span of a tick, and the room for followed pairs."""

    blocks: list[list[Act]]
    tick_seconds: int = 10
    pairs_max: int = 4096


def result(case: Case, way: Way) -> tuple[object, ...]:
    """The outputs and the state after all acts."""
    audit, outcome = Audit(AuditSettings(rules=RULES, tick_seconds=case.tick_seconds)), Outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detectors.intake.ticks.FEW_ROWS", way.rows)
        patch.setattr("detectors.intake.prepared.FEW_EVENTS", way.events)
        patch.setattr("detectors.intake.rules.acts.FEW_ACTS", way.acts)
        patch.setattr("detectors.intake.rules.repeats.FEW_AGAIN", way.again)
        patch.setattr("detectors.intake.rules.daily_rate.PAIRS_MAX", case.pairs_max)
        for position, acts in enumerate(case.blocks):
            audit.observe(block_of(acts), position, outcome)
            audit.advance(START_MS + max(act.at_ms for act in acts) - 10_000, outcome)
        audit.advance(START_MS + 3_600_000, outcome)
    assert outcome.failures == {}
    days = [msgspec.to_builtins(days.take_changed()) for _, days in audit.intake.days()]
    states = {key: msgspec.msgpack.encode(state) for key, state in sorted(states_of(audit).items())}
    return outcome.hits, outcome.unmatched_undos, outcome.counts, outcome.entered, states, days


FOLLOWED = [Act("a", 0, at_ms, 2, -1, undo=False, rule=NOTHING) for at_ms in (0, 1_000, 150_000)]
"""A pair that is counted over the day, and later acts alone in its tick."""


@example(acts=FOLLOWED, size=1, tick_seconds=10, pairs_max=4096)
@given(
    acts=ACTS,
    size=st.sampled_from([1, 5, 30, 60]),
    tick_seconds=st.sampled_from([10, 10, 100]),
    pairs_max=st.sampled_from([4096, 2]),
)
def test_the_way_in_which_a_tick_is_handled_never_changes_an_output(
    acts: list[Act], size: int, tick_seconds: int, pairs_max: int
) -> None:
    assert_alike(Case(in_blocks(acts, size), tick_seconds, pairs_max))


@given(acts=ACTS, size=st.sampled_from([5, 30, 60]), chance=st.randoms(use_true_random=False))
def test_nor_if_the_events_of_a_block_are_not_in_order_of_time(acts: list[Act], size: int, chance: Random) -> None:
    blocks = in_blocks(acts, size)
    for block in blocks:
        chance.shuffle(block)
    assert_alike(Case(blocks))


def assert_alike(case: Case) -> None:
    """Assert that all ways have the same result."""
    with_arrays = result(case, ARRAYS)
    assert result(case, Way(rows=256, events=12)) == with_arrays
    assert result(case, Way(rows=256, events=0)) == with_arrays
    assert result(case, Way(rows=3, events=0, acts=4)) == with_arrays, "some ticks one way, some the other"
    assert result(case, Way(rows=256, events=1_000, again=1)) == with_arrays
    assert result(case, Way(rows=-1, events=0)) == with_arrays, "heaps, and their acts in sets"
