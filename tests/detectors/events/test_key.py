"""Keys: their text is stored, so it must not change. It contains the metric and the target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.event import METRICS
from detectors.events.key import VIEW, Key, is_view, key_of, metric_name_of, metric_of, other_metric, target_of
from streams.state.spill import changed_key

TARGETS = st.text(min_size=1, max_size=12)
INDICES = st.integers(0, len(METRICS) - 1)


@given(INDICES, TARGETS)
def test_a_key_has_its_metric_and_its_target(metric: int, target: str) -> None:
    key = key_of(metric, target)
    assert (metric_of(key), metric_name_of(key), target_of(key)) == (metric, METRICS[metric], target)
    assert is_view(key) == (METRICS[metric] == "view")


@given(INDICES, INDICES, TARGETS)
def test_other_metrics_of_a_target_have_the_same_target(metric: int, other: int, target: str) -> None:
    assert other_metric(key_of(metric, target), other) == key_of(other, target)


@given(st.lists(st.tuples(INDICES, TARGETS), max_size=30))
def test_keys_sort_by_metric_and_then_by_target(pairs: list[tuple[int, str]]) -> None:
    keys = sorted(key_of(metric, target) for metric, target in pairs)
    assert [(metric_of(key), target_of(key)) for key in keys] == sorted(pairs)


def test_the_stored_text_is_the_index_as_one_digit_and_the_target() -> None:
    assert changed_key(key_of(VIEW, "v1")) == b"w/0v1"
    assert [key_of(index, "7é") for index in range(len(METRICS))] == ["07é", "17é", "27é"]


def test_a_key_is_plain_text_because_there_are_a_million() -> None:
    assert type(key_of(VIEW, "v1")) is type(Key("0v1")) is str


def test_one_digit_has_room_for_all_metrics() -> None:
    assert len(METRICS) <= 10


def test_text_that_is_no_key_is_refused() -> None:
    with pytest.raises(KeyError):
        metric_of(Key("v1"))
