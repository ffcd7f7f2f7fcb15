"""Joins two windows of one target, and takes them apart again."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.reference.known_actors import KnownActors, count_newcomers
from detectors.windows.crowd import Crowd


def together(longer: Crowd, shorter: Crowd, known: Sequence[KnownActors]) -> Crowd:
    """Two open windows as one, to be looked at; they stay as they are until ``divide``."""
    late = Crowd()
    late.merge(shorter)
    late.settle()
    count_newcomers(late, late.actor_hashes(), known)
    both = Crowd(start=longer.start, events_judged=longer.events_judged, expected_cased=longer.expected_cased)
    both.merge(longer)
    both.merge(late)
    return both


def divide(both: Crowd, longer: Crowd, shorter: Crowd) -> None:
    """Note in both windows what was done with the two together: the later events are the likelier to be meant."""
    moved = both.quarantined - longer.quarantined - shorter.quarantined
    late = min(moved, shorter.n - shorter.quarantined)
    shorter.quarantined += late
    longer.quarantined += moved - late
    longer.events_judged, longer.expected_cased = both.events_judged, both.expected_cased
    if both.cased == both.n:
        longer.cased, shorter.cased = longer.n, shorter.n
