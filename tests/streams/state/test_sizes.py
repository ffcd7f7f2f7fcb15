"""The estimated memory of keys, compared with the sizes of their objects."""

from __future__ import annotations

import random
import sys
from typing import Any

import msgspec
import pytest

from detectors.events.buckets import COHORT_BUCKETS, MIX_BUCKETS, NETWORK_BUCKETS
from detectors.state.level import Level
from detectors.state.target_state import TargetState
from detectors.windows.crowd import HASH_SPACE, PENDING_ROWS, Crowd, pack_row
from detectors.windows.sample import ACTOR_SAMPLE
from detectors.windows.scales import DAY, HOUR, MINUTES, TICK
from streams.state.sealed import decode_target, encode_target
from streams.state.sizes import mean_bytes, object_bytes

SMALL_BYTES = 16
"""Python's allocator rounds sizes up to multiples of this."""
BUCKETS = NETWORK_BUCKETS * MIX_BUCKETS, MIX_BUCKETS, MIX_BUCKETS, MIX_BUCKETS, 2 * COHORT_BUCKETS, 40
HABITS = ("repeats", "watch", "country", "network", "agent")


def measured(value: Any, seen: set[int] | None = None) -> int:
    """The bytes of an object and of all that it refers to, each once."""
    seen = set() if seen is None else seen
    if id(value) in seen or value is None or isinstance(value, bool):
        return 0
    seen.add(id(value))
    inside: list[Any] = []
    if isinstance(value, dict):
        inside = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple)):
        inside = list(value)
    elif isinstance(value, msgspec.Struct):
        inside = [getattr(value, name) for name in value.__struct_fields__]
    return -(-sys.getsizeof(value) // SMALL_BYTES) * SMALL_BYTES + sum(measured(each, seen) for each in inside)


def target(events: dict[str, int], *, seed: int = 1) -> TargetState:
    """A target with so many events in its open windows (scale → events), nearly each of another account."""
    rng = random.Random(seed)
    state = TargetState()
    state.ledger.accept(sum(events.values()))
    for scale, number in events.items():
        window = state.open[scale] = Crowd(start=1_760_000_000_000, log_from=100_000, log_to=200_000)
        for _ in range(number):
            marks = [rng.randrange(buckets) for buckets in BUCKETS]
            window.take(pack_row(rng.randrange(HASH_SPACE), *marks))
    for scale in (MINUTES, HOUR):
        state.levels[scale] = Level(rng.random(), rng.random(), 1_000, 1_760_000_000_000)
        state.habits[scale] = {name: [rng.random(), rng.random()] for name in HABITS}
    return state


KINDS = {
    "one view": {MINUTES: 1},
    "some views": {MINUTES: 5, HOUR: 30, DAY: 60},
    "rows that wait": {MINUTES: 100, HOUR: 400, DAY: 500},
    "a full sample in one window": {MINUTES: 200, HOUR: 900},
    "full samples in all windows": {MINUTES: 2_000, HOUR: 3_000, DAY: 9_000},
}


@pytest.mark.parametrize("events", KINDS.values(), ids=KINDS.keys())
def test_the_estimate_is_at_least_what_the_objects_take_and_not_much_more(events: dict[str, int]) -> None:
    state = target(events)
    for each in (state, decode_target(encode_target(state))):
        assert 0.95 * measured(each) <= object_bytes(each) <= 1.4 * measured(each)


def test_a_popular_target_takes_many_times_the_memory_of_others_and_little_more_than_its_record() -> None:
    popular, other = target(KINDS["full samples in all windows"]), target(KINDS["one view"])
    assert all(len(window.people) == ACTOR_SAMPLE for window in popular.open.values())
    assert object_bytes(popular) > 15 * object_bytes(other)
    assert object_bytes(popular) < 1.5 * len(encode_target(popular))


def test_rows_that_wait_take_little_more_than_in_the_record() -> None:
    few = target({TICK: 1})
    many = target({TICK: PENDING_ROWS})
    added = len(encode_target(many)) - len(encode_target(few))
    assert object_bytes(many) - object_bytes(few) == pytest.approx(added, rel=0.01)


def test_the_mean_is_over_the_states() -> None:
    small, large = target(KINDS["one view"]), target(KINDS["some views"])
    assert mean_bytes([small, large, large]) == pytest.approx((object_bytes(small) + 2 * object_bytes(large)) / 3)
