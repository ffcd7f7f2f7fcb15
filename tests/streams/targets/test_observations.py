"""The time from an event to its published output is measured when the output is committed."""

from __future__ import annotations

from detectors.records import Count, Flag, Interval, Outcome
from streams.metrics import REGISTRY
from streams.targets.observations import OutputTimes

NOW_MS = 1_700_000_000_000


def flag(status: str, verdict: str = "suspect") -> Flag:
    """A revision whose incident began 40 s ago, and whose last window ended 15 s ago."""
    nothing = Interval(0, 0, 0)
    return Flag(
        flag_id="f",
        revision=1,
        status=status,
        target="t",
        metric="follow",
        verdict=verdict,
        score=1,
        onset=NOW_MS - 40_000,
        until=NOW_MS - 15_000,
        observed=1,
        expected=nothing,
        artificial=nothing,
        reasons=[],
        config="",
        log={},
    )


def count(ago_ms: int) -> Count:
    return Count("t", "follow", 1, 1, 0, {}, 1, NOW_MS - ago_ms)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def moved(outcome: Outcome, name: str, **labels: str) -> tuple[float, float]:
    """By how much the number and the sum of a histogram moved when an outcome was committed."""
    before = value(f"{name}_count", **labels), value(f"{name}_sum", **labels)
    times = OutputTimes()
    times.add(outcome)
    times.observe(NOW_MS)
    after = value(f"{name}_count", **labels), value(f"{name}_sum", **labels)
    return after[0] - before[0], round(after[1] - before[1], 3)


def test_a_flag_is_as_late_as_the_end_of_what_it_covers() -> None:
    outcome = Outcome(flags=[flag("opened"), flag("updated")])
    assert moved(outcome, "truecount_output_latency_seconds", output="flag") == (2, 30.0)


def test_counts_that_are_published_together_are_one_publication() -> None:
    outcome = Outcome(counts=[count(4_000), count(4_000), count(4_000)])
    assert moved(outcome, "truecount_output_latency_seconds", output="count") == (1, 4.0)


def test_the_time_to_detect_is_that_of_first_flags_and_not_of_explained_surges() -> None:
    outcome = Outcome(flags=[flag("opened"), flag("updated"), flag("opened", "explained")])
    assert moved(outcome, "truecount_detection_seconds", metric="follow") == (1, 40.0)


def test_an_output_about_the_future_is_not_early() -> None:
    outcome = Outcome(counts=[count(-5_000)])
    assert moved(outcome, "truecount_output_latency_seconds", output="count") == (1, 0.0)
