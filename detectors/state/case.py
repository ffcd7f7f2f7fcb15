"""Persisted: one open case of a target and metric, and one explained surge."""

from __future__ import annotations

import math

import msgspec

from detectors.state.course import Point
from detectors.state.marks import Marks

SUSPECT = "suspect"
ARTIFICIAL = "artificial"
EXPLAINED = "explained"
"""An explained surge: a flag is published and no event is moved (``cases.explanations``)."""


SCORE_MAX = 30.0
"""Largest score of one kind of evidence that counts for a flag's score: p = 10⁻³⁰."""


class Evidence(msgspec.Struct, array_like=True):
    """A reason of a case, as it is stored."""

    code: str
    detector: str
    value: float
    baseline: float
    p: float
    text: str


class Step(msgspec.Struct, array_like=True):
    """A tick since the onset of a surge that is not a case yet."""

    start: int
    count: int
    expected: float
    quarantined: int
    log_from: int


class Case(msgspec.Struct):
    """One incident on one target and metric while it is open."""

    flag_id: str
    onset: int
    until: int
    close_at: int
    verdict: str
    reason: str
    judged: float = 0.0
    found: float = 0.0
    """excess events of the windows with a verdict of their own, and the artificial events among them"""
    surge: float = 0.0
    crowd: float = 0.0
    observed: int = 0
    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0
    artificial: int = 0
    artificial_low: float = 0.0
    artificial_high: float = 0.0
    revision: int = 0
    flagged_artificial: int = msgspec.field(default=0, name="said")
    """artificial events in the last revision of the flag"""
    corrections: int = 0
    log_from: int = -1
    log_to: int = -1
    reasons: list[Evidence] = []
    series: list[Point] = []
    marks: Marks = msgspec.field(default_factory=Marks)
    """traits that convicted its crowd"""
    settles: bool = False
    """whether evidence of one kind opened it: while it is ``suspect``, its end is settled by what its accounts do"""
    sample: list[int] = []
    """the accounts to ask about (hashes without the account bit, the smallest first), if it settles"""
    owner: int = -1
    """hash of the target's owner, -1 if not known; if it settles"""
    undone: int = 0
    """events that it has quarantined, and that undos of relations have taken back since"""
    sellers: list[int] = []
    """accounts of sellers whose events it has quarantined by rulings: without the account bit, the smallest first"""
    by_rulings: int = 0
    """events that it has quarantined for that reason alone"""

    def purity(self) -> float:
        """Artificial events per excess event: the estimate for windows without one of their own."""
        return self.found / self.judged if self.judged else 1.0

    def score(self) -> int:
        """The flag's score, 0 … 100, from the scores of surge and crowd."""
        return score_of_surprise(min(self.surge, SCORE_MAX) + self.crowd)


def score_of_surprise(surprise: float) -> int:
    """A flag's score, 0 … 100, from -log10 of p."""
    return round(100.0 * (1.0 - math.exp(-surprise / 4.0)))


class Explained(msgspec.Struct):
    """One explained surge while it is open."""

    flag_id: str
    onset: int
    until: int
    close_at: int
    observed: int = 0
    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0
    """of the windows before the current one"""
    current: tuple[int, int, float, float, float] = (-1, 0, 0.0, 0.0, 0.0)
    """the current window: start, observed, expected, low and high"""
    revision: int = 0
    flagged_observed: int = msgspec.field(default=0, name="said")
    """events in the last revision of the flag"""
    surge: float = 0.0
    log_from: int = -1
    log_to: int = -1
    reasons: list[Evidence] = []
    series: list[Point] = []
