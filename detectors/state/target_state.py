"""Persisted: the state of one target and metric."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from detectors.state.case import Case, Explained, Step
from detectors.state.days import Slow
from detectors.state.followers import Followers
from detectors.state.ledger import Ledger
from detectors.state.level import Level
from detectors.state.relations import Relations
from detectors.state.removals import Removals, RuleBurst
from detectors.state.settlement import Settlement
from detectors.windows.crowd import Crowd


class Agenda(NamedTuple):
    """What is scheduled for a key."""

    starts: dict[str, int]
    """scale → start of the open window, in epoch ms"""
    close_at: tuple[int, ...]
    """when the case or the explained surge, the rule burst and the settlements may close, as far as they are open"""
    count_pending: bool
    """whether a count is still to be published"""


class TargetState(msgspec.Struct, omit_defaults=True, gc=False):
    """State of one target and metric. It is encoded with msgspec; STATE_VERSION is the version of the layout.

    Neither it nor its fields can be part of a cycle, so the garbage collector need not visit a million of them.
    """

    ledger: Ledger = msgspec.field(default_factory=Ledger)
    levels: dict[str, Level] = {}
    habits: dict[str, dict[str, list[float]]] = {}
    """rung → feature → [EW mean, windows learned]: actors repeat more often in an hour than in minutes"""
    open: dict[str, Crowd] = {}
    """scale → open window"""
    cusum: float = 0.0
    cusum_at: int = -1
    trail: list[Step] = []
    judged_lately: float = msgspec.field(default=0.0, name="asked")
    """judgings of its crowd without a case, decayed, as of ``judged_lately_at``"""
    judged_lately_at: int = msgspec.field(default=-1, name="asked_at")
    surging: tuple[int, int] = (-1, -1)
    """start and end of the last surge, as far as it was judged"""
    slow: Slow | None = None
    """evidence over its past days, if there is any"""
    case: Case | None = None
    explained: Explained | None = None
    """an explained surge; never together with a case"""
    count_pending: bool = msgspec.field(default=False, name="unsaid")
    """whether the count has changed since it was last published"""
    incomplete: bool = False
    """stored state of this key was damaged: only later events are counted"""
    unjudged: int = 0
    """events that a window could not judge because detection failed; each once"""
    removals: Removals | None = None
    """what rules removed lately, if anything"""
    rule_burst: RuleBurst | None = None
    """a rule burst; it may be open together with a case or an explained surge"""
    followers: Followers | None = None
    """what ``actors`` reports of its new followers, if anything"""
    settlements: list[Settlement] = []
    """closed cases that wait for what their accounts do, the oldest first (``cases.settlements``)"""
    relations: Relations | None = None
    """who has liked or followed, if anybody has since relations are stored"""
    unknown_acts: int = 0
    """events whose actors are not known: of a version that stored no relations, or counted without judging. An undo
    without a relation takes one of these back"""
    case_onsets: list[int] = []
    """onsets of the latest cases, open or closed: no two flags may have one id"""
    interaction: tuple[float, float] = (0.0, 0.0)
    """likes and follows of the viewers of its unflagged days, and those expected at the platform's rate; both fade"""

    def agenda(self) -> Agenda:
        """What is scheduled."""
        starts = {name: crowd.start for name, crowd in self.open.items()}
        due = self.case or self.explained, self.rule_burst, *self.settlements
        return Agenda(starts, tuple(one.close_at for one in due if one is not None), self.count_pending)


STATE_VERSION = 9


class _Window(msgspec.Struct):
    start: int = 0


class _Closing(msgspec.Struct):
    close_at: int


class Outlook(msgspec.Struct):
    """The fields of ``TargetState`` that its agenda needs: a restore decodes only these of a million records."""

    open: dict[str, _Window] = {}
    case: _Closing | None = None
    explained: _Closing | None = None
    count_pending: bool = msgspec.field(default=False, name="unsaid")
    rule_burst: _Closing | None = None
    settlements: list[_Closing] = []

    def agenda(self) -> Agenda:
        """As ``TargetState.agenda``."""
        starts = {name: window.start for name, window in self.open.items()}
        due = self.case or self.explained, self.rule_burst, *self.settlements
        return Agenda(starts, tuple(one.close_at for one in due if one is not None), self.count_pending)
