"""Persisted: one open case of a target and metric, and one explained surge."""

from __future__ import annotations

import math

import msgspec

from detectors.state.course import Point
from detectors.state.marks import Marks

SUSPECT = "suspect"
ARTIFICIAL = "artificial"
EXPLAINED = "explained"
"""A surge that is accounted for: told, and nothing moved (``explained``)."""


class Evidence(msgspec.Struct, array_like=True):
    """A reason as the case keeps it."""

    code: str
    detector: str
    value: float
    baseline: float
    p: float
    text: str


class Step(msgspec.Struct, array_like=True):
    """A tick since the onset of a surge that is not (yet) a case."""

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
    """events in excess in the windows that had a verdict of their own, and the artificial among them"""
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
    """what its crowd was convicted by"""

    def purity(self) -> float:
        """Artificial events per event in excess, where nothing better is known of a window."""
        return self.found / self.judged if self.judged else 1.0

    def score(self) -> int:
        """0 … 100, from the joined strength of surge and crowd."""
        return round(100.0 * (1.0 - math.exp(-(min(self.surge, 30.0) + self.crowd) / 4.0)))


class Explained(msgspec.Struct):
    """One explained surge while it goes on."""

    flag_id: str
    onset: int
    until: int
    close_at: int
    observed: int = 0
    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0
    """of the windows before the one that is open now"""
    current: tuple[int, int, float, float, float] = (-1, 0, 0.0, 0.0, 0.0)
    """start, observed, expected, low and high of that one"""
    revision: int = 0
    flagged_observed: int = msgspec.field(default=0, name="said")
    """events in the last revision of the flag"""
    surge: float = 0.0
    log_from: int = -1
    log_to: int = -1
    reasons: list[Evidence] = []
    series: list[Point] = []
