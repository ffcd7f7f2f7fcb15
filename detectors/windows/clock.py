"""Event time of a partition: the least watermark of its sources."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

REPORT_MS = 5_000
"""A source that is read reports twice a second. After so long without a report nobody reads it: it is not known whether
it has events, so it is not idle any more. Its next owner reports first what it has."""

PAUSE_MS = 2 * REPORT_MS
"""The most that a pause of all sources counts: they have had an outage together. More than REPORT_MS, so that time
waits for each of them afterwards."""

GIVE_UP_MS = 900_000
"""After so long without a report no source is waited for. Otherwise one that cannot be read would stop all counts."""


class SourceTime(msgspec.Struct, array_like=True):
    """State of one input partition: the offset after its last event here, its watermark, whether it is idle."""

    next_offset: int
    watermark: int
    idle: bool
    heard_ms: int = -1
    """the time of its last report, see ``EventClock``; -1 if its reports have no time"""
    written_ms: int = 0
    """the wall time of its last report, 0 if not known. Clocks of workers may differ"""


@dataclass(slots=True)
class EventClock:
    """Event time of one partition: the least watermark of its live sources. It never goes back.

    Time does not advance before every source of the roster (topic → number of partitions) has reported. A source that
    says that it is idle is not live while it is heard. When none is live, time is the greatest watermark.
    """

    now: int = -1
    sources: dict[str, SourceTime] = field(default_factory=dict)
    roster: dict[str, int] = field(default_factory=dict)
    _elapsed_ms: int = 0
    """how long sources have reported, by the times in their reports. Pauses of all are cut"""
    _written_ms: int = 0
    """the latest time in a report"""

    def restore(self, now: int, sources: dict[str, SourceTime], roster: dict[str, int]) -> None:
        """Go on from stored state."""
        self.now, self.sources, self.roster = now, sources, roster
        self._elapsed_ms = max([0, *(source.heard_ms for source in sources.values())])
        self._written_ms = max([0, *(source.written_ms for source in sources.values())])

    def update_source(self, source: str, reported: SourceTime, roster: dict[str, int]) -> int:
        """Record a source's state. Returns the partition's event time in ms (-1: not known yet)."""
        if roster != self.roster:
            # Workers see one after the other that an input has grown. New partitions stay in the roster.
            roster = {topic: max(count, self.roster.get(topic, 0)) for topic, count in roster.items()}
            self.roster = roster
        if reported.written_ms:
            if reported.written_ms > self._written_ms:
                self._elapsed_ms += min(reported.written_ms - self._written_ms, PAUSE_MS) if self._written_ms else 0
                self._written_ms = reported.written_ms
            reported.heard_ms = self._elapsed_ms
        known = self.sources.get(source)
        if known is not None:
            reported.watermark = max(reported.watermark, known.watermark)
            reported.next_offset = max(reported.next_offset, known.next_offset)
            reported.written_ms = max(reported.written_ms, known.written_ms)
        self.sources[source] = reported
        names = [f"{topic}/{p}" for topic, count in roster.items() for p in range(count)]
        members = [self.sources[name] for name in names if name in self.sources]
        if not members or len(members) < len(names):
            return self.now
        live = [s.watermark for s in members if self._live(s)]
        time = min(live) if live else max(s.watermark for s in members)
        self.now = max(self.now, time)
        return self.now

    def _live(self, source: SourceTime) -> bool:
        """Whether time waits for a source."""
        if source.heard_ms < 0:
            return not source.idle
        silent_ms = self._elapsed_ms - source.heard_ms
        return silent_ms <= GIVE_UP_MS and (not source.idle or silent_ms > REPORT_MS)
