"""What the accounts of a partition report: rulings, control records, numbers for metrics. Times are epoch ms."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import msgspec

from detectors.controls import ToTargets
from detectors.events.key import NO_KEY
from detectors.failures import ACCOUNT_PARTS, text_of
from detectors.records import UNJUDGED_MAX, Unjudged

ACTS, FOLLOWERS, SETTLEMENT, RULINGS, LEARNING = ACCOUNT_PARTS


class RulingReason(msgspec.Struct):
    """One reason of a ruling, in numbers and in a sentence."""

    code: str
    value: float
    baseline: float
    """what is usual of the platform's accounts"""
    text: str


class RulingRecord(msgspec.Struct):
    """The current ruling on one actor (topic ``actors``, compacted by ``actor``)."""

    actor: str
    ruling: str
    """one of controls.KINDS"""
    score: int
    """0 … 100; at most 50 if the actor is no account"""
    reasons: list[RulingReason]
    since: int
    until: int
    """when it expires; not after ``as_of`` for a ruling that was taken back"""
    previous: str | None
    """the ruling before this one"""
    reversed_by: str | None
    """why the previous ruling was taken back: ``conduct``, ``settlement``, ``allow`` or ``expired``"""
    account: bool
    """whether it is an account: an address or a guest id is not"""
    as_of: int


@dataclass(slots=True)
class AccountsOutcome:
    """Output of one step of ``Accounts``."""

    rulings: list[RulingRecord] = field(default_factory=list)
    controls: list[tuple[int | None, ToTargets]] = field(default_factory=list)
    """(partition of by-target, record); None is every partition"""
    forgotten: list[str] = field(default_factory=list)
    """actors that were deleted on request: their records in the topic actors must go, too"""
    events: int = 0
    """events observed"""
    created: int = 0
    """accounts seen for the first time"""
    dropped: int = 0
    """accounts dropped because of the budget"""
    ruled: dict[str, int] = field(default_factory=dict)
    """new rulings by kind"""
    reversed: dict[str, int] = field(default_factory=dict)
    """rulings taken back, by kind"""
    answered: int = 0
    refused: int = 0
    """questions answered as unknown because too many are open, or because answering them failed"""
    failures: dict[str, int] = field(default_factory=dict)
    """contained failures, by part (failures.ACCOUNT_PARTS)"""
    unjudged: list[Unjudged] = field(default_factory=list)
    """the first UNJUDGED_MAX of them"""

    def fail(self, part: str, error: Exception) -> None:
        """Report a contained exception."""
        self.failures[part] = self.failures.get(part, 0) + 1
        if len(self.unjudged) < UNJUDGED_MAX:
            self.unjudged.append(Unjudged(part, NO_KEY, -1, 0, text_of(error)))

    def drain(self) -> AccountsOutcome:
        """Move all that was reported so far into a new outcome. Afterwards this one is empty."""
        drained, empty = replace(self), AccountsOutcome()
        for each in fields(self):
            setattr(self, each.name, getattr(empty, each.name))
        return drained
