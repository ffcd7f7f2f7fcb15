"""Accounts of sellers in one closed window, and the features they give (``verdict.sellers``).

The expectation is by the usual share of such accounts among the people of the platform's hours. It is learned from
hours without a case, so it includes what a seller's accounts do besides, and bystanders with a ruling.
"""

from __future__ import annotations

from detectors.features import names as f
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.windows.crowd import Crowd

PRIOR, PRIOR_PEOPLE = 1.0, 100.0
"""Usual share before windows were learned: one in a hundred, with the weight of a hundred people."""


def sellers_among(crowd: Crowd, sellers: frozenset[int]) -> tuple[set[int], int]:
    """The sampled people of a crowd that are among these accounts, and the number of all its sampled people.

    A crowd with SELLERS_MIN of them is settled: among its pending rows are people who are not in the sample then.
    """
    people = crowd.actor_hashes()
    found = people & sellers
    if crowd.rows and len(found) >= f.SELLERS_MIN:
        crowd.settle()
        people = crowd.actor_hashes()
        found = people & sellers
    return found, len(people)


def usual_share(platform: Platform) -> float:
    """Usual share of sellers' accounts among the people of an hour, > 0."""
    having, checked = platform.shares[f.SELLERS]
    return (PRIOR + having) / (PRIOR_PEOPLE + checked)


def find_sellers(window: WindowView, sellers: set[int]) -> None:
    """Add the features of these accounts, which are among the window's people."""
    crowd = window.crowd
    x = {
        f.SELLERS: float(len(sellers)),
        f.SELLERS_AMONG: float(len(crowd.people)),
        f.SELLERS_EXPECTED: usual_share(window.platform) * len(crowd.people),
    }
    watches: dict[int, int] = {}
    for bucket in crowd.people_among(sellers)["watch"].tolist():
        if bucket >= 0:
            watches[bucket] = watches.get(bucket, 0) + 1
    if watches:
        x[f.SELLERS_WATCH] = window.mixes()[f.WATCH].excess(watches)
        x[f.SELLERS_VIEWS] = float(sum(watches.values()))
    window.sellers, window.x = sellers, {**window.x, **x}
