"""The ingest step without Kafka: records of one source in, frames for ``by-target`` and dead letters out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from detectors.events import Event
from streams.codec import Codec
from streams.deadletters import DeadLetter
from streams.frames import CACHE_ENTRIES, FRAME_VERSION, Frame, encode, fill, partition_of
from streams.rules.config import Rules
from streams.rules.tagging import Tagger
from streams.settings import Input, Time

MARK_EVERY_MS = 500
"""A partition that gets no events of a source hears its watermark at least this often (wall time)."""

WAKE_MS = 5_000
"""How long a source's time goes no faster than the wall clock after it was idle or taken over.

Sources wake together (a replay begins, a worker was down), but one is read first. If its time ran on at once
through all it has, nobody would wait for the others, who count as idle until they are heard, and all their events
would be late. In live traffic this costs nothing: event time goes no faster than the wall clock there.
"""

MAX_FRAME_BYTES = 600_000
"""Frames stay well under the 1 MB that brokers accept by default."""


@dataclass(slots=True)
class Routed:
    """What a batch became: frames by partition, refused records, and how many events went on."""

    frames: list[tuple[int, bytes]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    events: int = 0


class Router:
    """One source (an input partition): its time, its codec, its frames."""

    def __init__(
        self, *, config: Input, partition: int, time: Time, partitions: int, tagger: Tagger | None = None
    ) -> None:
        self.topic = config.topic
        self.partition = partition
        self.source = f"{config.topic}/{partition}"
        self.max_ts = -1
        self.watermark = -1
        self.idle = False
        self._codec = Codec(config, time.earliest)
        self._tagger = Tagger(Rules()) if tagger is None else tagger
        self._skew_ms = round(time.future_skew_seconds * 1000)
        self._lateness_ms = round(time.lateness_seconds * 1000)
        self._idle_ms = round(time.idle_seconds * 1000)
        self._partitions = partitions
        self._places: dict[str, int] = {}
        self._marked_at = -MARK_EVERY_MS
        self._read_at = -1
        self.reliable = -1
        """where the watermark may go by what has been read; it is behind while the source wakes"""
        self._woken_at: int | None = None
        self._woken_watermark = -1

    def wake(self, now_ms: int) -> None:
        """The source is idle no more, or somebody else read it until now: see WAKE_MS."""
        self.idle = False
        self._woken_at, self._woken_watermark = now_ms, self.watermark

    def _follow(self, now_ms: int) -> None:
        """Bring the watermark to what the events read so far allow, by and by if the source has just woken."""
        allowed = self.reliable
        if self._woken_at is not None:
            since = now_ms - self._woken_at
            if since >= WAKE_MS:
                self._woken_at = None
            else:
                allowed = min(allowed, self._woken_watermark + since if self._woken_watermark >= 0 else -1)
        self.watermark = max(self.watermark, allowed)

    def route(
        self,
        records: Sequence[tuple[int, bytes | None, bytes | None, int]],
        *,
        next_offset: int,
        now_ms: int,
        roster: dict[str, int],
    ) -> Routed:
        """Route records (offset, key, value, broker's clock in ms); they end before ``next_offset``.

        ``now_ms`` is the wall clock; it only paces watermarks. Event time is capped by the broker's clock plus skew.
        """
        routed = Routed()
        self._read_at = now_ms
        if self.idle:
            self.wake(now_ms)
        first = records[0][0]
        skew = self._skew_ms
        good, refused = self._codec.decode([r[2] for r in records], [r[3] + skew for r in records])
        for refusal in refused:
            offset, key, value, _ = records[refusal.index]
            routed.dead.append(
                DeadLetter(self.topic, self.partition, offset, key, value, refusal.reason, refusal.message)
            )
        routed.events = len(good)
        buckets: dict[int, list[tuple[int, int, Event]]] = {}
        places, get = self._places, self._places.get
        latest = self.max_ts
        for index, metric, event in good:
            target = event.target
            place = get(target)
            if place is None:
                if len(places) >= CACHE_ENTRIES:
                    places.clear()
                place = places[target] = partition_of(target, self._partitions)
            bucket = buckets.get(place)
            if bucket is None:
                bucket = buckets[place] = []
            bucket.append((records[index][0], metric, event))
            latest = max(latest, event.ts)
        self.max_ts = latest
        # Time does not follow an event ahead of the broker's clock: it would make the others late.
        before = self.watermark
        self.reliable = max(self.reliable, min(latest, records[-1][3]) - self._lateness_ms)
        self._follow(now_ms)
        due = now_ms - self._marked_at >= MARK_EVERY_MS
        if due:
            self._marked_at = now_ms
        head = self._frame(first, next_offset, roster)
        for place in range(self._partitions) if due else sorted(buckets):
            rows = buckets.get(place, [])
            self._pack(place, rows, head, before, routed)
        return routed

    def _pack(self, place: int, rows: list[tuple[int, int, Event]], head: Frame, before: int, routed: Routed) -> None:
        """Encode rows as one frame, or as several if it would be too large for the log.

        All but the last carry the watermark ``before`` the batch: time moves when all its events are in.
        """
        frame = replace(head)
        if rows:
            fill(frame, rows, self._tagger)
        value = encode(frame)
        if len(value) <= MAX_FRAME_BYTES or len(rows) < 2:
            routed.frames.append((place, value))
            return
        middle = len(rows) // 2
        cut = rows[middle][0]
        self._pack(place, rows[:middle], replace(head, next=cut, watermark=before), before, routed)
        self._pack(place, rows[middle:], replace(head, first=cut), before, routed)

    def mark(self, *, next_offset: int, now_ms: int, at_end: bool, roster: dict[str, int]) -> Routed:
        """Say how far time has come while nothing is read.

        After ``idle_seconds`` at the end of its partition a source says that it is idle: nobody waits for it, and its
        own time goes on with the wall clock from where it stood, but not ahead of it.
        """
        routed = Routed()
        if self._read_at < 0:
            self._read_at = now_ms
        if not at_end:
            self._read_at = now_ms
        if now_ms - self._marked_at < MARK_EVERY_MS:
            return routed
        self._follow(now_ms)
        if at_end and now_ms - self._read_at >= self._idle_ms:
            self.idle = True
            if self.max_ts >= 0:
                reached = min(self.max_ts + now_ms - self._read_at, now_ms)
                self.watermark = max(self.watermark, reached - self._lateness_ms)
        self._marked_at = now_ms
        for place in range(self._partitions):
            routed.frames.append((place, encode(self._frame(next_offset, next_offset, roster))))
        return routed

    def finish(self, *, next_offset: int, until_ms: int, roster: dict[str, int]) -> Routed:
        """The end of a recorded stream: time goes to ``until_ms`` and the source falls idle."""
        self.idle = True
        self.watermark = max(self.watermark, until_ms)
        frame = encode(self._frame(next_offset, next_offset, roster))
        return Routed(frames=[(place, frame) for place in range(self._partitions)])

    def _frame(self, first: int, next_offset: int, roster: dict[str, int]) -> Frame:
        return Frame(FRAME_VERSION, self.source, first, next_offset, self.watermark, self.idle, roster)
