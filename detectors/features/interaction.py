"""Features of interaction: likes and follows compared with views."""

from __future__ import annotations

from detectors.features import names as f
from detectors.windows.crowd import Crowd


def with_accounts(crowd: Crowd, ages_are_sent: bool) -> float:
    """People of a crowd who can like: those with an account, or all if the platform sends no account ages."""
    people = crowd.distinct_actors()
    if not people:
        return 0.0
    return people * sum(crowd.histogram("account").values()) / len(crowd.people) if ages_are_sent else people


def silent(people: float, acts: int, rate: float) -> float | None:
    """SILENT of a view window: share of the expected likes and follows that are missing.

    ``acts`` are its likes and follows, ``rate`` those expected per person. None if fewer than INTERACTIONS_MIN are
    expected.

    >>> silent(1000, 5, 0.05), silent(20, 0, 0.05)
    (0.9, None)
    """
    expected = people * rate
    return max(0.0, 1.0 - acts / expected) if expected >= f.INTERACTIONS_MIN else None


def lonely(acts: int, views: int, rate: float, viewers: float = 0.0) -> float:
    """LONELY of a window of likes or follows: share that neither views nor viewers account for.

    ``rate`` is likes or follows per view, ``viewers`` the number of ``acts`` by people who had viewed.

    >>> lonely(100, 0, 0.05), lonely(100, 500, 0.05), round(lonely(100, 250, 0.05), 2)
    (1.0, 0.0, 0.5)
    >>> lonely(100, 100, 0.05, viewers=90.0)
    0.1
    """
    return max(0.0, round(1.0 - max(f.LONELY_FACTOR * rate * views, viewers) / acts, 9))
