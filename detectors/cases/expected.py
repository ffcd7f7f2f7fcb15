"""Expected events of an incident: a sum of intervals, stored in the incident's fields."""

from __future__ import annotations

from detectors.records import Interval
from detectors.state.case import Case, Explained


def expected_of(incident: Case | Explained) -> Interval[float]:
    """The events expected so far."""
    return Interval(incident.expected, incident.low, incident.high)


def expect(incident: Case | Explained, more: Interval[float]) -> None:
    """Add the expectation of one more window, tick or day."""
    total = expected_of(incident) + more
    incident.expected, incident.low, incident.high = total.value, total.low, total.high
