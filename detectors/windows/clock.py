"""Time of a partition: the least watermark of its sources."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec


class SourceTime(msgspec.Struct, array_like=True):
    """What one input partition has told: the offset after its last event here, its time, idleness."""

    next_offset: int
    watermark: int
    idle: bool


@dataclass(slots=True)
class EventClock:
    """Event time of one partition: the least watermark of its live sources. Never goes back.

    Time stands until every source of the roster (topic → number of partitions) has been heard;
    when all are idle, it is the latest of what they said.
    """

    now: int = -1
    sources: dict[str, SourceTime] = field(default_factory=dict)
    roster: dict[str, int] = field(default_factory=dict)

    def update_source(self, source: str, reported: SourceTime, roster: dict[str, int]) -> int:
        """Note a source's word and answer the partition's time in ms (-1: not yet known)."""
        if roster != self.roster:
            # Workers learn one after the other that an input has grown; its new partitions are not forgotten again.
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
