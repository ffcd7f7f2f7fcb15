"""What a closed window is reduced to. Every feature is a named constant with its meaning and range.

A feature whose input was not given is absent from the dict: missing fields are no evidence.
"""

from __future__ import annotations

from bisect import bisect

from detectors.reference import WATCH_BINS, KnownActors, Mix
from detectors.windows import Crowd

COUNT = "count"
"""Events in the window, ≥ 1."""
EXPECTED = "expected"
"""Events the target's own baseline expects in such a window at that hour, > 0."""
DISPERSION = "dispersion"
"""Size r of the negative binomial around EXPECTED, 0.15 … 50; small is bursty."""
REPEATS = "repeats"
"""Share of events that are not their actor's first in the window, 0 … 1."""
STRANGERS = "strangers"
"""Share of the actors that the platform had not met before, 0 … 1."""
FRESH = "fresh"
"""Share of the actors' accounts younger than FRESH_ACCOUNT_DAYS at the event, 0 … 1."""
NETWORK = "network"
"""Share of the crowd in networks (IPv4 /24, IPv6 /48) beyond the platform's mix, 0 … 1."""
AGENT = "agent"
"""The same of user agents, 0 … 1."""
REFERRER = "referrer"
"""The same of referring hosts, 0 … 1."""
COUNTRY = "country"
"""The same of countries, 0 … 1."""

WATCH = "watch"
"""Share of the crowd whose watch time the platform's viewers of such lengths do not show, 0 … 1."""
ONCE = "once"
"""1.0 if an actor can honestly do this to a target only once (like, follow), 0.0 if often (view)."""

FRESH_ACCOUNT_DAYS = 30
"""Age under which an account is fresh: sellers' accounts are mostly weeks old when first used."""

CROWD_FEATURES: tuple[str, ...] = (REPEATS, STRANGERS, FRESH, WATCH, NETWORK, AGENT, REFERRER, COUNTRY)

WATCH_FRACTIONS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.95)
"""Edges of the eight bins of a view's watched fraction."""
LENGTHS_MS = (60_000, 300_000, 1_200_000)
"""Edges of the four classes of length: people leave a film and a clip at different points."""

GIVEN_SHARE = 0.5
"""An optional field counts as given if half of the window's events carry it."""


def watch_bucket(watch_ms: int | None, duration_ms: int | None) -> int:
    """Bucket of a view's watch time: class of length × bin of watched fraction, -1 if not given.

    >>> watch_bucket(3_000, 240_000), watch_bucket(240_000, 240_000), watch_bucket(None, 240_000)
    (8, 15, -1)
    """
    if watch_ms is None or not duration_ms:
        return -1
    return bisect(LENGTHS_MS, duration_ms) * WATCH_BINS + bisect(WATCH_FRACTIONS, watch_ms / duration_ms)


def crowd_features(crowd: Crowd, mixes: dict[str, Mix], known: KnownActors) -> dict[str, float]:
    """The composition of a crowd as named shares in 0 … 1."""
    crowd.settle()
    events = sum(crowd.actors.values())
    x = {REPEATS: 1.0 - len(crowd.actors) / events}
    asked = crowd.met + crowd.unmet
    x[STRANGERS] = crowd.unmet / asked if asked else known.strangers(crowd)
    needed = GIVEN_SHARE * crowd.n
    if crowd.fresh:
        given = sum(crowd.fresh.values())
        if given >= needed:
            x[FRESH] = crowd.fresh.get(1, 0) / given
    for name, mix in mixes.items():
        counts: dict[int, int] = getattr(crowd, name)
        if counts and sum(counts.values()) >= needed:
            x[name] = mix.excess(counts)
    return x
