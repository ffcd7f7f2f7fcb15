"""Families of evidence: which features of a crowd say what, their reason codes and their sentences."""

from __future__ import annotations

from detectors import features as f

EVENTS_MIN = 8
"""Windows with fewer events have no composition to speak of."""

TEXTS: dict[str, tuple[str, str]] = {
    f.REPEATS: ("few_actors", "{value} of the events repeat an actor already counted; {baseline} is usual"),
    f.WATCH: ("odd_watch_time", "{value} watched unlike the platform's viewers of such a length; {baseline} is usual"),
    f.FRESH: ("fresh_accounts", "{value} of the accounts are under 30 days old; {baseline} is usual"),
    f.NETWORK: ("few_networks", "{value} came from networks that should send far fewer; {baseline} is usual"),
    f.STRANGERS: ("unknown_actors", "{value} of the actors were never seen before; {baseline} is usual"),
    f.AGENT: ("few_agents", "{value} came with user agents that should be far rarer; {baseline} is usual"),
    f.REFERRER: ("odd_referrers", "{value} came by referrers that should send far fewer; {baseline} is usual"),
    f.COUNTRY: ("odd_countries", "{value} came from countries that should send far fewer; {baseline} is usual"),
}

CONDUCT = (f.REPEATS, f.WATCH)
ACCOUNTS = (f.FRESH,)
ORIGIN = (f.NETWORK,)

JUDGING_CODES = frozenset(TEXTS[name][0] for name in CONDUCT + ACCOUNTS + ORIGIN)
"""Findings whose share may estimate the artificial part: the path is shared with too many honest crowds."""


def habit(name: str) -> str:
    """Name of the feature that holds the target's own habit of ``name``."""
    return f"{name}_habit"
