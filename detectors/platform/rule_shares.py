"""The share of the platform's events that each rule usually removes, of one metric in one task."""

from __future__ import annotations

import msgspec

from detectors.windows.scales import HOUR_MS, MINUTES_MS

EVENTS_MIN = 1_000.0
"""Events that shares are learned from before any of them is known."""
EXPERIENCE_MS = HOUR_MS
"""Time that shares are learned from before any of them is known: by then a target that robots always visit has a past
of its own."""

MEMORY_HOURS = 168.0
"""Half-life of past events: a week."""

PRESENT_MIN = 30
"""Events of the other targets in five minutes from which their share is known."""


class Tally(msgspec.Struct, array_like=True):
    """Events, and those of them that rules removed, by reason."""

    events: float = 0.0
    removed: dict[str, float] = {}

    def add(self, events: float, removed: dict[str, float]) -> None:
        """Add events, and the removed ones among them."""
        self.events += events
        for reason, count in removed.items():
            self.removed[reason] = self.removed.get(reason, 0.0) + count


class RuleShares(msgspec.Struct, array_like=True):
    """See the module. Removed events of a rule burst are not learned from, like all that is flagged."""

    since: int = -1
    """start of the first tick"""
    hour: int = -1
    span: int = -1
    """start of the current five minutes"""
    past: Tally = msgspec.field(default_factory=Tally)
    """of hours before the current one, decayed, without rule bursts"""
    in_hour: Tally = msgspec.field(default_factory=Tally)
    """of the current hour, without rule bursts"""
    in_span: Tally = msgspec.field(default_factory=Tally)
    """of the current five minutes, without rule bursts"""
    most: dict[str, list[tuple[int, str]]] = {}
    """reason → the two targets of which it removed most in these five minutes: removed events and key"""

    def note(self, start: int, events: int, removed: dict[str, float]) -> None:
        """Add a closed tick's events, with the removed ones among them."""
        if self.since < 0:
            self.since = start
        hour, span = start - start % HOUR_MS, start - start % MINUTES_MS
        if hour != self.hour:
            kept = 0.5 ** ((hour - self.hour) / HOUR_MS / MEMORY_HOURS)
            past = {reason: kept * count for reason, count in self.past.removed.items()}
            self.past = Tally(kept * self.past.events, past)
            self.past.add(self.in_hour.events, self.in_hour.removed)
            self.hour, self.in_hour = hour, Tally()
        if span != self.span:
            self.span, self.in_span, self.most = span, Tally(), {}
        self.in_hour.add(events, removed)
        self.in_span.add(events, removed)

    def rank(self, reason: str, key: str, removed: int) -> None:
        """Note how many events of a target a rule has removed in these five minutes."""
        ranked = [entry for entry in self.most.get(reason, ()) if entry[1] != key]
        self.most[reason] = sorted([*ranked, (removed, key)], reverse=True)[:2]

    def take_back(self, reason: str, in_span: int, before: int = 0) -> None:
        """Do not learn from so many removed events of these five minutes and before: they belong to a rule burst."""
        for tally, removed in ((self.in_hour, in_span + before), (self.in_span, in_span)):
            count = min(float(removed), tally.removed.get(reason, 0.0))
            tally.add(-count, {reason: -count})

    def experienced(self, now: int) -> bool:
        """Whether enough was learned to tell what is usual."""
        return now - self.since >= EXPERIENCE_MS and self.past.events + self.in_hour.events >= EVENTS_MIN

    def learned(self, reason: str, own: int) -> float:
        """Share that a rule usually removes. ``own`` of the removed events of this hour are those that are judged."""
        removed = self.in_hour.removed.get(reason, 0.0)
        own_removed = min(float(own), removed)
        events = self.past.events + self.in_hour.events - own_removed
        return (self.past.removed.get(reason, 0.0) + removed - own_removed) / events if events > 0 else 0.0

    def present(self, key: str, reason: str, own: int, own_events: int) -> float:
        """Share that a rule removes of the other targets' events in these five minutes, 0 if they are too few.

        Removed events of the one target that has most of them do not count: it may have a burst of its own.
        """
        most = next((removed for removed, ranked in self.most.get(reason, ()) if ranked != key), 0)
        removed = self.in_span.removed.get(reason, 0.0) - own
        most = min(most, max(0, int(removed)))
        others = self.in_span.events - own_events - most
        if others < PRESENT_MIN:
            return 0.0
        return max(0.0, removed - most) / others
