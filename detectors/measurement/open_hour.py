"""Merges two open windows of one target for one judging, and writes the result back to both."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.reference.known_actors import KnownActors, count_newcomers
from detectors.windows.crowd import Crowd


def merge_open_windows(longer: Crowd, shorter: Crowd, known: Sequence[KnownActors]) -> Crowd:
    """A copy of both open windows as one. The originals do not change; see ``split_result``."""
    late = Crowd()
    late.merge(shorter)
    count_newcomers(late, late.actor_hashes(), known)
    both = Crowd(start=longer.start, expected_cased=longer.expected_cased)
    both.merge(longer)
    both.merge(late)
    return both


def split_result(both: Crowd, longer: Crowd, shorter: Crowd) -> None:
    """Write the result of judging the merged window to both windows.

    Quarantined events are assigned to the shorter window first: the later events are more likely the artificial ones.
    """
    moved = both.quarantined - longer.quarantined - shorter.quarantined
    late = min(moved, shorter.n - shorter.quarantined)
    shorter.quarantined += late
    longer.quarantined += moved - late
    longer.expected_cased = both.expected_cased
    if both.cased == both.n:
        longer.cased, shorter.cased = longer.n, shorter.n
