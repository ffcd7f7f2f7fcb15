"""The life of a case as tables: the statuses of its flag, and where its quarantined events go when it closes."""

from __future__ import annotations

from typing import NamedTuple

from detectors.state.case import ARTIFICIAL, EXPLAINED, SUSPECT
from detectors.state.ledger import VALID
from detectors.state.removals import RULE

OPENED, UPDATED, CLOSED, REVERSED = "opened", "updated", "closed", "reversed"
STATUSES = {
    OPENED: "a window gets a verdict",
    UPDATED: "the artificial part grows, or the verdict changes",
    CLOSED: "nothing new for five minutes, or for two windows of a longer scale",
    REVERSED: "in place of closed: what its accounts did since, or new rulings on them, show nothing bought",
}
"""Status of a flag's revision → when it is published. The first one is opened, the last one closed or reversed."""


class Ending(NamedTuple):
    """What a verdict does with the artificial events of a case."""

    quarantines: bool
    """whether they are taken out of the valid part while the case is open"""
    becomes: str | None
    """the part of the count that they are in afterwards; None: invalid, under the reason of the case or of the rule"""


ENDINGS: dict[str, Ending] = {
    ARTIFICIAL: Ending(quarantines=True, becomes=None),
    SUSPECT: Ending(quarantines=True, becomes=VALID),
    EXPLAINED: Ending(quarantines=False, becomes=VALID),
    RULE: Ending(quarantines=False, becomes=None),
}
"""Verdict → what happens to the count."""

ACCUSING = frozenset(verdict for verdict, ending in ENDINGS.items() if ending.quarantines)
"""Verdicts that say of valid events that they are artificial. Flags of the others are no alarm."""
