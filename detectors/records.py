"""What truecount says: the values of its output topics, as plain records (times in epoch ms)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Generic, NamedTuple, TypeVar

import msgspec

from detectors.events.event import METRICS
from detectors.events.key import Key
from detectors.failures import text_of

UNJUDGED_MAX = 8
"""Failures of which an outcome has the text; all are counted."""


Number = TypeVar("Number", int, float)


@dataclass(slots=True)
class Interval(Generic[Number]):
    """A number of events with its uncertainty: whole numbers where it is published, fractions while it is summed.

    >>> Interval(1.5, 1.0, 2.0) + Interval(2.0, 0.25, 4.0)
    Interval(value=3.5, low=1.25, high=6.0)
    >>> Interval(4.4, 1.0, 8.0).times(0.5).rounded()
    Interval(value=2, low=0, high=4)
    """

    value: Number
    low: Number
    high: Number

    def __add__(self, other: Interval[Number]) -> Interval[Number]:
        """The sum, whose ends are the sums of the ends."""
        return Interval(self.value + other.value, self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Interval[float]:
        """A part or a multiple of it."""
        return Interval(factor * self.value, factor * self.low, factor * self.high)

    def rounded(self) -> Interval[int]:
        """In whole events."""
        return Interval(round(self.value), round(self.low), round(self.high))


@dataclass(slots=True)
class Reason:
    """Why: one detector's finding, in numbers and in a sentence."""

    code: str
    detector: str
    value: float
    baseline: float
    p: float
    text: str


@dataclass(slots=True)
class Moment:
    """A span of an incident's course: when, what came, what was expected."""

    start: int
    end: int
    observed: int
    expected: float


@dataclass(slots=True)
class Flag:
    """One incident on one target and metric, in one of its revisions (topic flagged-events)."""

    flag_id: str
    revision: int
    status: str
    target: str
    metric: str
    verdict: str
    score: int
    onset: int
    until: int
    observed: int
    expected: Interval[int]
    artificial: Interval[int]
    reasons: list[Reason]
    config: str
    log: dict[str, int]
    series: list[Moment] = field(default_factory=list)


@dataclass(slots=True)
class Correction:
    """A signed, reversible movement between two parts of a count (topic corrections)."""

    correction_id: str
    target: str
    metric: str
    from_: str
    to: str
    count: int
    reason: str
    flag_id: str
    window: dict[str, int]


class Count(msgspec.Struct, gc=False):
    """The parts of a count as of a moment (topic audited-counts): raw = valid + quarantined + Σ invalid.

    There is one for every target that changed, so it is the one record here that must be cheap to make and to encode.
    """

    target: str
    metric: str
    raw: int
    valid: int
    quarantined: int
    invalid: dict[str, int]
    revision: int
    as_of: int
    incomplete: bool = False
    """stored state was damaged: the count holds only what came afterwards"""
    unjudged: int = 0
    """events, all of them counted, of which a window was not judged because detection failed"""


class Hit(NamedTuple):
    """Events of a key between two moments that were invalid when they came."""

    key: Key
    reason: str
    start: int
    end: int
    events: int


class Unjudged(NamedTuple):
    """A failure that was contained."""

    part: str
    """one of failures.PARTS"""
    key: Key
    """empty: of the whole partition"""
    start: int
    """of the window, in epoch ms"""
    events: int
    """events that were counted, and by this have not been judged"""
    error: str


class Uncounted(NamedTuple):
    """What stood at a position of the log and could not even be counted."""

    position: int
    value: bytes | None
    """the record"""
    message: str


@dataclass(slots=True)
class Outcome:
    """What a step of the audit has to say, in order, and what it counted on the way."""

    flags: list[Flag] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    late: int = 0
    historic: int = 0
    duplicates: int = 0
    unmatched_undos: int = 0
    windows: int = 0
    entered: list[int] = field(default_factory=lambda: [0] * len(METRICS))
    """events accepted as valid, by metric"""
    withheld: list[int] = field(default_factory=lambda: [0] * len(METRICS))
    """verdicts withheld by the bound of the false-discovery rate, by metric"""
    put_off: int = 0
    """open windows worth a look that were not looked at: others stood out more (``measurement.early``)"""
    judged: dict[str, int] = field(default_factory=dict)
    """windows in a surge that were judged, by verdict ("none" without one)"""
    witnesses: dict[tuple[str, str], int] = field(default_factory=dict)
    """(detector, verdict) → such windows in which the detector found one honest window in a hundred, or rarer"""
    failures: dict[str, int] = field(default_factory=dict)
    """failures that were contained, by part (failures.PARTS)"""
    unjudged: list[Unjudged] = field(default_factory=list)
    """the first of them"""
    uncounted: list[Uncounted] = field(default_factory=list)

    def drain(self) -> Outcome:
        """All that is reported so far, taken out of here: afterwards this is as new."""
        drained, empty = replace(self), Outcome()
        for each in fields(self):
            setattr(self, each.name, getattr(empty, each.name))
        return drained

    def fail(self, part: str, key: Key, start: int, events: int, error: Exception) -> None:
        """Note an exception that was contained; see Unjudged."""
        self.failures[part] = self.failures.get(part, 0) + 1
        if len(self.unjudged) < UNJUDGED_MAX:
            self.unjudged.append(Unjudged(part, key, start, events, text_of(error)))

    def note(self, verdict: str | None, witnesses: list[str]) -> None:
        """Count a judged window, and the detectors that spoke against it, with or without a vote."""
        label = verdict or "none"
        self.judged[label] = self.judged.get(label, 0) + 1
        for name in witnesses:
            self.witnesses[name, label] = self.witnesses.get((name, label), 0) + 1
