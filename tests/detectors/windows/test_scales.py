"""Windows of all lengths divide time, those of different partitions end at different moments."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.events.block import EventBlock
from detectors.events.key import VIEW, key_of
from detectors.records import Outcome
from detectors.state.followers import Followers
from detectors.state.target_states import MemoryTargetStates
from detectors.windows.scales import DAY, DAY_MS, HOUR, HOUR_MS, MINUTE_MS, MINUTES, MINUTES_MS, ladder, stagger_ms

TICKS = st.sampled_from([seconds for seconds in range(1, 301) if 300 % seconds == 0])
PARTITIONS = st.integers(0, 5_000)
TARGETS = 20
START_MS = 20_000 * DAY_MS


@given(TICKS, PARTITIONS, st.integers(0, 1 << 52))
def test_each_window_is_within_one_of_the_next_longer_scale(tick_seconds: int, partition: int, ts: int) -> None:
    for shorter, longer in itertools.pairwise(ladder(tick_seconds, partition)):
        first = shorter.start(ts)
        assert first <= ts < first + shorter.span_ms
        assert longer.start(first) <= first
        assert first + shorter.span_ms <= longer.start(first) + longer.span_ms


@given(TICKS, PARTITIONS, st.integers(0, 1 << 52))
def test_ticks_of_all_partitions_end_together(tick_seconds: int, partition: int, ts: int) -> None:
    assert ladder(tick_seconds, partition)[0].start(ts) == ladder(tick_seconds)[0].start(ts)


@given(TICKS, st.integers(1, 200))
def test_ends_are_spread_evenly_however_many_partitions_there_are(tick_seconds: int, partitions: int) -> None:
    moments = [stagger_ms(tick_seconds * 1000, partition) for partition in range(partitions)]
    ticks = 300 // tick_seconds
    together = max(moments.count(moment) for moment in moments)
    assert together <= 2 * -(-partitions // ticks)
    assert all(0 <= moment < MINUTES_MS for moment in moments)


def block(minute: int, *, each: int = 3) -> EventBlock:
    """Some views of each target in the first second of a minute."""
    ts = START_MS + minute * MINUTE_MS
    numbers = range(TARGETS * each)
    return EventBlock(
        target=[f"v{number % TARGETS}" for number in numbers],
        metric=[0] * len(numbers),
        ts=[ts + number for number in numbers],
        actor=[(minute * 1_000 + number) * 2_654_435_761 % (1 << 62) for number in numbers],
    )


def audited(audit: Audit, outcome: Outcome, minutes: range) -> None:
    for minute in minutes:
        audit.observe(block(minute), minute + 1, outcome)
        audit.advance(START_MS + minute * MINUTE_MS + 30_000, outcome)


def of_partition(partition: int) -> AuditSettings:
    return AuditSettings(partition=partition, partitions=8)


@pytest.mark.parametrize("partition", [0, 1, 2, 7])
def test_a_partition_closes_its_windows_at_its_own_moments(partition: int) -> None:
    audit, outcome = Audit(of_partition(partition)), Outcome()
    ended, known = [], 0
    for minute in range(12):
        audit.observe(block(minute), minute + 1, outcome)
        begin = START_MS + minute * MINUTE_MS
        for ts in range(begin + 10_000, begin + MINUTE_MS + 1, 10_000):
            audit.advance(ts, outcome)
            levels = [audit.target_states[key_of(VIEW, f"v{number}")].levels for number in range(TARGETS)]
            (closed,) = {level[MINUTES].windows if MINUTES in level else 0 for level in levels}
            if closed > known:
                ended.append(ts)
                known = closed
    assert len(ended) in {2, 3}
    assert {ts % MINUTES_MS for ts in ended} == {stagger_ms(10_000, partition)}


def moved(audit: Audit, partition: int) -> Audit:
    """The audit of another partition, with the stored state of the targets of this one."""
    states = MemoryTargetStates()
    there = Audit(of_partition(partition), states)
    assert isinstance(audit.target_states, MemoryTargetStates)
    for key, state in audit.target_states.states.items():
        states[key] = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=type(state))
    there.load(msgspec.msgpack.decode(msgspec.msgpack.encode(audit.dump()), strict=False))
    return there


@settings(max_examples=25)
@given(st.integers(0, 15), st.integers(0, 15), st.integers(1, 70))
def test_open_windows_of_another_partition_end_and_nothing_is_lost(before: int, after: int, minutes: int) -> None:
    outcome = Outcome()
    audit = Audit(of_partition(before))
    audited(audit, outcome, range(minutes))
    audit = moved(audit, after)
    audited(audit, outcome, range(minutes, minutes + 70))
    audit.advance(START_MS + 3 * DAY_MS, outcome)
    assert not outcome.failures
    for number in range(TARGETS):
        state = audit.target_states[key_of(VIEW, f"v{number}")]
        assert state.ledger.raw == 3 * (minutes + 70)
        assert state.ledger.valid == state.ledger.raw
        assert not state.open
        assert all(state.levels[name].windows for name in (MINUTES, HOUR, DAY))


def test_followers_are_summed_over_the_hours_of_the_targets_partition() -> None:
    spans = [(start, 2, 1) for start in range(START_MS, START_MS + 2 * HOUR_MS, MINUTES_MS)]
    for partition in range(8):
        followers, hour = Followers(), ladder(10, partition)[2]
        for start, new, unviewed in spans:
            followers.add(start, new, unviewed, hour.offset_ms)
            begin = hour.start(start)
            within = [span for span in spans if begin <= span[0] <= start]
            assert followers.of(HOUR, begin) == tuple(sum(column) for column in [*zip(*within, strict=True)][1:])
