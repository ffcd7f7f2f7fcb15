"""Records of what an audit reports: intervals are summed end by end, and an outcome can be emptied."""

from __future__ import annotations

from dataclasses import fields

from detectors.events.key import VIEW, key_of
from detectors.records import Hit, Interval, Outcome

KEY = key_of(VIEW, "v1")


def test_intervals_are_summed_end_by_end_and_rounded_at_the_end() -> None:
    parts = [Interval(0.4, 0.0, 1.6)] * 3
    total = parts[0] + parts[1] + parts[2]
    assert total.rounded() == Interval(1, 0, 5)
    assert parts[0].rounded() == Interval(0, 0, 2), "what is rounded before it is summed comes to something else"
    assert total.times(0.5).rounded() == Interval(1, 0, 2)


def test_what_is_drained_has_everything_and_what_is_left_is_as_new() -> None:
    outcome = Outcome(late=3, duplicates=2)
    outcome.hits.append(Hit(KEY, "rate", 0, 1, 1))
    outcome.entered[0] += 7
    outcome.note("artificial", ["surge"])
    outcome.fail("tick", KEY, 0, 1, ValueError("x"))
    before = {each.name: getattr(outcome, each.name) for each in fields(Outcome)}
    drained = outcome.drain()
    assert {each.name: getattr(drained, each.name) for each in fields(Outcome)} == before
    assert outcome == Outcome()


def test_what_comes_after_a_drain_does_not_reach_what_was_drained() -> None:
    outcome = Outcome()
    drained = outcome.drain()
    outcome.entered[0] += 1
    outcome.note(None, [])
    outcome.hits.append(Hit(KEY, "rate", 0, 1, 1))
    assert drained == Outcome()
