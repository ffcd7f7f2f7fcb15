"""Reason code and sentence of every feature that can be evidence."""

from __future__ import annotations

from detectors.features import names as f

TEXTS: dict[str, tuple[str, str]] = {
    f.REPEATS: ("few_actors", "{value} of the events repeat an actor already counted; {baseline} is usual"),
    f.EVEN: ("even_gaps", "the events came {value} more evenly than chance brings them; {baseline} is usual"),
    f.WATCH: ("odd_watch_time", "{value} watched unlike the platform's viewers of such a length; {baseline} is usual"),
    f.SILENT: (
        "no_interaction",
        "{value} of the likes and follows that such a crowd brings are missing; {baseline} is usual",
    ),
    f.LONELY: ("no_views", "{value} of them came without the views that bring them; {baseline} is usual"),
    f.FRESH: ("fresh_accounts", "{value} of the accounts are under 30 days old; {baseline} is usual"),
    f.COHORT: ("same_age_accounts", "{value} of the accounts were made within the same few days; {baseline} is usual"),
    f.DORMANT: ("unseen_accounts", "{value} of the accounts were never seen here before; {baseline} is usual"),
    f.RULED: ("ruled_accounts", "{value} were taken out of other targets' counts before; {baseline} is usual"),
    f.SUSPECTED: (
        "suspected_accounts",
        "{value} are held to be automated, empty or a seller's by what they do elsewhere; {baseline} is usual",
    ),
    f.NETWORK: ("few_networks", "{value} came from networks that should send far fewer; {baseline} is usual"),
    f.SPREAD: ("rented_networks", "{value} came from several networks that should send far fewer; {baseline} is usual"),
}


RENTED_NETWORKS_CODE = TEXTS[f.SPREAD][0]


def habit(name: str) -> str:
    """Name of the feature with the target's own usual value of ``name``."""
    return f"{name}_habit"


def usual(name: str) -> str:
    """Name of the feature with the platform's usual value of ``name``."""
    return f"{name}_usual"
