"""Records of the output topics, and the outcome of one step of the audit. Times are epoch ms."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Generic, NamedTuple, TypeVar

import msgspec

from detectors.controls import ToActors
from detectors.events.event import METRICS
from detectors.events.key import Key
from detectors.failures import text_of

UNJUDGED_MAX = 8
"""Failures whose text an outcome stores; all are counted."""


Number = TypeVar("Number", int, float)


@dataclass(slots=True)
class Interval(Generic[Number]):
    """A number of events with its uncertainty. It is published in whole numbers and summed in fractions.

    >>> Interval(1.5, 1.0, 2.0) + Interval(2.0, 0.25, 4.0)
    Interval(value=3.5, low=1.25, high=6.0)
    >>> Interval(4.4, 1.0, 8.0).times(0.5).rounded()
    Interval(value=2, low=0, high=4)
    """

    value: Number
    low: Number
    high: Number

    def __add__(self, other: Interval[Number]) -> Interval[Number]:
        """The sum of values and of bounds."""
        return Interval(self.value + other.value, self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Interval[float]:
        """This interval multiplied by a factor."""
        return Interval(factor * self.value, factor * self.low, factor * self.high)

    def rounded(self) -> Interval[int]:
        """This interval in whole events."""
        return Interval(round(self.value), round(self.low), round(self.high))


@dataclass(slots=True)
class Reason:
    """One detector's finding, in numbers and in a sentence."""

    code: str
    detector: str
    value: float
    baseline: float
    p: float
    text: str


@dataclass(slots=True)
class Moment:
    """A span of an incident: its time, the events observed and those expected."""

    start: int
    end: int
    observed: int
    expected: float


@dataclass(slots=True)
class Flag:
    """One revision of an incident on one target and metric (topic flagged-events)."""

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
    """A reversible movement of events between two parts of a count (topic corrections)."""

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

    One is published for every target that changed, so it must be cheap to make and to encode.
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
    """stored state was damaged: only later events are counted"""
    unjudged: int = 0
    """counted events that a window could not judge because detection failed"""


class Hit(NamedTuple):
    """Events of a key between two moments that a rule found invalid."""

    key: Key
    reason: str
    start: int
    end: int
    events: int


class Unjudged(NamedTuple):
    """A contained failure."""

    part: str
    """one of failures.PARTS"""
    key: Key
    """empty if the failure concerns the whole partition"""
    start: int
    """of the window, in epoch ms"""
    events: int
    """counted events that were not judged because of the failure"""
    error: str


class Uncounted(NamedTuple):
    """A record of the log that could not even be counted."""

    position: int
    value: bytes | None
    """the record"""
    message: str


@dataclass(slots=True)
class Outcome:
    """Output of one step of the audit: records in their order, and numbers for metrics."""

    flags: list[Flag] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    late: int = 0
    historic: int = 0
    duplicates: int = 0
    unmatched_undos: int = 0
    undos: dict[str, int] = field(default_factory=dict)
    """undos of likes and follows by what they found (relations.relation_entry.UNDO_RESULTS)"""
    windows: int = 0
    entered: list[int] = field(default_factory=lambda: [0] * len(METRICS))
    """events accepted as valid, by metric"""
    withheld: list[int] = field(default_factory=lambda: [0] * len(METRICS))
    """verdicts withheld by the bound of the false-discovery rate, by metric"""
    put_off: int = 0
    """open windows worth judging that were put off: others had grown further (``measurement.early_windows``)"""
    judged: dict[str, int] = field(default_factory=dict)
    """judged windows in a surge, by verdict ("none" without one)"""
    witnesses: dict[tuple[str, str], int] = field(default_factory=dict)
    """(detector, verdict) → such windows in which the detector's p-value was at most 0.01"""
    failures: dict[str, int] = field(default_factory=dict)
    """contained failures, by part (failures.PARTS)"""
    unjudged: list[Unjudged] = field(default_factory=list)
    """the first UNJUDGED_MAX of them"""
    uncounted: list[Uncounted] = field(default_factory=list)
    requests: list[ToActors] = field(default_factory=list)
    """control records for ``actors``, in their order. Each has the actors of all partitions of ``by-actor``"""

    def drain(self) -> Outcome:
        """Move all that was reported so far into a new outcome. Afterwards this one is empty."""
        drained, empty = replace(self), Outcome()
        for each in fields(self):
            setattr(self, each.name, getattr(empty, each.name))
        return drained

    def fail(self, part: str, key: Key, start: int, events: int, error: Exception) -> None:
        """Record a contained exception; see Unjudged."""
        self.failures[part] = self.failures.get(part, 0) + 1
        if len(self.unjudged) < UNJUDGED_MAX:
            self.unjudged.append(Unjudged(part, key, start, events, text_of(error)))

    def note_undos(self, found: str, count: int) -> None:
        """Count undos of likes and follows by what they found."""
        if count:
            self.undos[found] = self.undos.get(found, 0) + count

    def note(self, verdict: str | None, witnesses: list[str]) -> None:
        """Count a judged window and the detectors with evidence against it, those in shadow too."""
        label = verdict or "none"
        self.judged[label] = self.judged.get(label, 0) + 1
        for name in witnesses:
            self.witnesses[name, label] = self.witnesses.get((name, label), 0) + 1
