"""Cost of each missing field, as measured by the lab. A test compares it with the table in docs/detection.md."""

from __future__ import annotations

ALL = (0.981, 0.757)
"""Recall on overt and on stealthy attacks with every field."""

MEASURED = {
    "actor_created_at": (0.873, 0.096),
    "watch_ms": (0.745, 0.367),
    "ip": (0.860, 0.693),
    "country": (0.860, 0.775),
    "user_agent": (0.978, 0.698),
    "referrer": (0.978, 0.775),
    "id": (0.978, 0.775),
}
"""Field → recall on overt and on stealthy attacks without it."""

LEAST = 0.01
"""A smaller loss of recall is not shown."""

COSTS = {
    "actor_created_at": "crowds of new accounts are not detected, so most stealthy attacks are missed",
    "watch_ms": "views without watching are not detected; duration_ms is needed, too",
    "duration_ms": "watch_ms cannot be used without it",
    "ip": "bursts from data centres and rented networks are not detected",
    "country": "ip cannot be used without it, because networks are compared within a country",
    "user_agent": "robots that identify themselves are counted as people",
    "referrer": "people who come by a link are harder to distinguish from a bought crowd",
    "id": "an event that is delivered twice is counted twice",
    "undo": "likes and follows that are taken back stay counted",
    "owner": "followers of one channel are harder to distinguish from a band of bought accounts",
}
"""Field → effect if it is missing. The most useful fields come first."""


def cost_of(name: str) -> str:
    """The effect of a missing field, with the measured loss of recall.

    >>> cost_of("ip")
    'bursts from data centres and rented networks are not detected (recall of overt attacks 0.98 to 0.86, ...)'
    >>> cost_of("user_agent")
    'robots that identify themselves are counted as people (recall of stealthy attacks 0.76 to 0.70)'
    """
    figures = [
        f"of {kind} attacks {before:.2f} to {after:.2f}"
        for kind, before, after in zip(("overt", "stealthy"), ALL, MEASURED.get(name, ALL), strict=True)
        if before - after > LEAST
    ]
    return f"{COSTS[name]} (recall {', '.join(figures)})" if figures else COSTS[name]
