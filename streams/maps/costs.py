"""What the absence of a field costs, as the lab measured it: docs/detection.md has the table, and a test compares."""

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
"""A smaller loss of recall is not worth a figure."""

COSTS = {
    "actor_created_at": "crowds of fresh accounts are not seen: most stealthy attacks are missed",
    "watch_ms": "views that nobody watched are not seen; it counts together with duration_ms",
    "duration_ms": "watch times say nothing without it",
    "ip": "bursts from data centres and rented networks are not seen",
    "country": "networks are compared within a country, so without it ip says nothing",
    "user_agent": "robots that declare themselves are counted as people",
    "referrer": "people who come by a link are harder to tell from strangers",
    "id": "an event that is delivered twice is counted twice",
    "undo": "what is taken back stays counted",
    "owner": "people who follow one channel are harder to tell from a band",
}
"""Field → what is not seen without it. In the order in which it is worth adding them."""


def cost_of(name: str) -> str:
    """A sentence.

    >>> cost_of("ip")
    'bursts from data centres and rented networks are not seen (recall of overt attacks 0.98 to 0.86, ...)'
    >>> cost_of("user_agent")
    'robots that declare themselves are counted as people (recall of stealthy attacks 0.76 to 0.70)'
    """
    figures = [
        f"of {kind} attacks {before:.2f} to {after:.2f}"
        for kind, before, after in zip(("overt", "stealthy"), ALL, MEASURED.get(name, ALL), strict=True)
        if before - after > LEAST
    ]
    return f"{COSTS[name]} (recall {', '.join(figures)})" if figures else COSTS[name]
