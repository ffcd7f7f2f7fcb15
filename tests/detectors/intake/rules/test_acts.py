"""The acts of a tick are the same in both forms: as columns, and as a list."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.intake.rules import repeats
from detectors.intake.rules.acts import FEW_ACTS, UNDONE, Acts, FewActs, TickActs
from detectors.intake.rules.daily_rate import Days
from detectors.intake.rules.repeats import Repeats
from detectors.windows.crowd import PACKED, Packed

few_acts = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(-2, 3)), min_size=1, max_size=20)


def in_columns(few: FewActs) -> TickActs:
    keys, ts, spent = zip(*few, strict=True)
    return TickActs(Acts(np.array(keys, np.uint64), np.array(ts, np.int64), np.array(spent, np.int32)))


@given(few_acts, st.integers(0, 11))
def test_the_acts_since_some_time_are_the_same_in_both_forms(few: FewActs, ms: int) -> None:
    expected = [act for act in few if act[1] >= ms]
    for acts in (TickActs(few=few), in_columns(few)):
        late = acts.since(ms)
        assert late.listed() == expected
        assert [column.tolist() for column in late.columns] == [[act[n] for act in expected] for n in range(3)]
        assert late.last_ms == max((ts for _, ts, _ in expected), default=-1)
        assert late.keys_if_few() == frozenset(key for key, _, _ in expected)


@pytest.mark.parametrize("of", [lambda few: TickActs(few=few), in_columns], ids=["a list", "columns"])
def test_acts_of_a_long_tick_are_compared_for_a_minute(of: Callable[[FewActs], TickActs]) -> None:
    days, span_ms = Days(800), 100_000
    repeats = Repeats(0, 0, days)
    rows: Packed = np.zeros(2, PACKED)
    repeats.judge(of([(1, span_ms - 60_001, -1), (2, span_ms - 60_000, -1)]), rows.copy, 0, span_ms)
    repeats.judge(of([(1, span_ms, -1), (2, span_ms, -1)]), rows.copy, span_ms, 2 * span_ms)
    assert days.keys.tolist() == [2]


def test_the_keys_of_many_acts_are_in_no_set() -> None:
    many = [(number, 0, -1) for number in range(FEW_ACTS + 1)]
    assert in_columns(many).keys_if_few() is None
    assert in_columns(many[1:]).keys_if_few() is not None


ticks_of_acts = st.lists(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9_999), st.sampled_from([-2, -1, 0, 2_500])), max_size=12),
    min_size=1,
    max_size=12,
)


@given(ticks_of_acts, st.integers(1, 4), st.integers(2, 5), st.integers(0, 1 << 30))
def test_lists_and_arrays_find_the_same_and_count_the_same(
    ticks: list[list[tuple[int, int, int]]], per_day: int, per_minute: int, seed: int
) -> None:
    ways = []
    for most in (repeats.FEW_AGAIN, -1):  # with fewer pairs than none, arrays are used always
        rng, days, found = random.Random(seed), Days(per_day), []
        of = Repeats(4_000, per_minute, days)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(repeats, "FEW_AGAIN", most)
            for number, acts in enumerate(ticks):
                start = (6 + number) * 10_000
                events = sorted(acts, key=lambda act: act[2] == UNDONE)  # undos come last
                rows: Packed = np.zeros(sum(spent != UNDONE for _, _, spent in acts), PACKED)
                rows["network"] = [rng.randrange(3) for _ in rows]
                few = [(key, start + at, spent) for key, at, spent in events]
                hits = of.judge(TickActs(few=few), rows.copy, start, start + 10_000)
                found.append({reason: sorted(places.tolist()) for reason, places in hits.items() if len(places)})
        ways.append((found, days.take_changed()))
    assert ways[0] == ways[1]
