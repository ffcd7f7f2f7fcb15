"""Event time of a partition: the least watermark of its sources."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec


class SourceTime(msgspec.Struct, array_like=True):
    """State of one input partition: the offset after its last event here, its watermark, whether it is idle."""

    next_offset: int
    watermark: int
    idle: bool


@dataclass(slots=True)
class EventClock:
    """Event time of one partition: the least watermark of its live sources. It never goes back.

    Time does not advance before every source of the roster (topic → number of partitions) has reported. When all are
    idle, it is the greatest watermark.
    """

    now: int = -1
    sources: dict[str, SourceTime] = field(default_factory=dict)
    roster: dict[str, int] = field(default_factory=dict)

    def update_source(self, source: str, reported: SourceTime, roster: dict[str, int]) -> int:
        """Record a source's state. Returns the partition's event time in ms (-1: not known yet)."""
        if roster != self.roster:
            # Workers see one after the other that an input has grown. New partitions stay in the roster.
            roster = {topic: max(count, self.roster.get(topic, 0)) for topic, count in roster.items()}
            self.roster = roster
        known = self.sources.get(source)
        if known is not None:
            reported.watermark = max(reported.watermark, known.watermark)
            reported.next_offset = max(reported.next_offset, known.next_offset)
        self.sources[source] = reported
        names = [f"{topic}/{p}" for topic, count in roster.items() for p in range(count)]
        members = [self.sources[name] for name in names if name in self.sources]
        if not members or len(members) < len(names):
            return self.now
        live = [s.watermark for s in members if not s.idle]
        time = min(live) if live else max(s.watermark for s in members)
        self.now = max(self.now, time)
        return self.now
