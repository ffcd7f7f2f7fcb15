"""Reason codes of the rules, and the tags by which events carry the result of ingest's rules."""

from __future__ import annotations

from detectors.state.ledger import DUPLICATE_ID

DECLARED_ROBOT = "declared_robot"
LISTED_NETWORK = "listed_network"
LISTED_AGENT = "listed_agent"
ALREADY_COUNTED = "already_counted"
DOUBLE_CLICK = "double_click"
RATE = "rate"
RATE_DAY = "rate_day"
AUTOMATED_ACTOR = "automated_actor"
AUTOMATED_REPLAY = "automated_replay"

RULES: tuple[str, ...] = (
    *(DUPLICATE_ID, LISTED_NETWORK, LISTED_AGENT, DECLARED_ROBOT),
    *(ALREADY_COUNTED, DOUBLE_CLICK, RATE, RATE_DAY, AUTOMATED_ACTOR, AUTOMATED_REPLAY),
)
"""The reason codes of all rules. If several catch an event, the first one is its reason."""

NOTHING, EXEMPT = 0, 1
"""Tags of an event: no rule of ingest has caught it; it is on an allow-list and no rule applies to it."""

TAGS: tuple[str, ...] = ("", "", LISTED_NETWORK, LISTED_AGENT, DECLARED_ROBOT)
"""Tag → reason of the rules that need the address or the user agent, which only ingest has.

Tags are in the log, so their numbers must never change."""
