"""The reasons for which a rule makes an event invalid, and how an event carries what ingest has found out."""

from __future__ import annotations

from detectors.state.ledger import DUPLICATE_ID

DECLARED_ROBOT = "declared_robot"
LISTED_NETWORK = "listed_network"
LISTED_AGENT = "listed_agent"
DOUBLE_CLICK = "double_click"
RATE = "rate"
RATE_DAY = "rate_day"

RULES: tuple[str, ...] = (DUPLICATE_ID, LISTED_NETWORK, LISTED_AGENT, DECLARED_ROBOT, DOUBLE_CLICK, RATE, RATE_DAY)
"""Every rule by its reason code. Of several that catch an event the first is its reason."""

NOTHING, EXEMPT = 0, 1
"""Tags of an event: no rule of ingest's has caught it; it is on an allow-list, and no rule applies to it."""

TAGS: tuple[str, ...] = ("", "", LISTED_NETWORK, LISTED_AGENT, DECLARED_ROBOT)
"""What a tag above EXEMPT says: rules that need the address or the user agent, which go no further than ingest.

Tags stand in the log, so none may ever get another number."""
