"""The ingest step without Kafka: turns records of one source into frames for ``by-target`` and dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from detectors.failures import UNCONTAINED
from streams.codecs.codec import Refusal
from streams.deadletters import DeadLetter, Why
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Good, Records
from streams.ingest.rules.tagging import Tagger
from streams.log.columns import EventColumns, event_columns, joined
from streams.log.frames import FRAME_VERSION, Frame, encode
from streams.log.packing import actor_frames, target_frames
from streams.settings.event_time import Time
from streams.settings.rules import Rules
from streams.settings.settings import Input

MARK_EVERY_MS = 500
"""A partition without events of a source gets the source's watermark at least this often (wall time)."""

WAKE_MS = 5_000
"""For this long after a source was idle or taken over, its watermark goes no faster than the wall clock.

Sources wake together (a replay begins, a worker was down), but one of them is read first. Without this limit, its
watermark would run through all of its events at once. The other sources count as idle until their first frame, so no
partition would wait for them, and all their events would be late. Live traffic is not delayed: event time goes no
faster than the wall clock there.
"""

STRETCH = 1000
"""Records decoded at once. An event takes some 700 bytes in objects. The objects of more records leave the processor's
cache before they become columns, which costs a third more (measured)."""


@dataclass(slots=True)
class Routed:
    """The result of a batch: frames by partition, refused records, the number of events, and what was left out."""

    frames: list[tuple[int, bytes]] = field(default_factory=list)
    """of by-target"""
    actor_frames: list[tuple[int, bytes]] = field(default_factory=list)
    """of by-actor"""
    dead: list[DeadLetter] = field(default_factory=list)
    events: int = 0
    behind_ms: int = 0
    """the most that a live event is earlier than one before it"""
    skipped: Counter[str] = field(default_factory=Counter)
    """see Decoded in mapping/records.py"""
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)


class ActorLog(NamedTuple):
    """How events are routed by actor."""

    partitions: int
    """of by-actor"""
    pseudonyms: bool = False
    """whether the names of actors are left out"""


class Router:
    """Routes the records of one source, which is one input partition, and keeps the source's watermark.

    Historic events do not move the watermark. A source that has read only historic events counts as idle: no partition
    waits for a backfill.
    """

    def __init__(
        self,
        *,
        config: Input,
        partition: int,
        time: Time,
        partitions: int,
        tagger: Tagger | None = None,
        actor_log: ActorLog | None = None,
    ) -> None:
        """``partitions`` are those of by-target. ``actor_log`` is None if events are not routed by actor."""
        self.topic = config.topic
        self.partition = partition
        self.source = f"{config.topic}/{partition}"
        self._relations = config.relations
        self.max_ts = -1
        self.watermark = -1
        self.idle = False
        self.only_history = False
        """whether all events read so far are historic, so that event time is not known"""
        self._historic_ts = -1
        self._decoder = EventDecoder(config, time.earliest)
        self.needs_headers, self.needs_timestamp = self._decoder.needs_headers, self._decoder.needs_timestamp
        """whether records must come with their headers, and with their timestamps"""
        self._tagger = Tagger(Rules()) if tagger is None else tagger
        self._skew_ms = round(time.future_skew_seconds * 1000)
        self._lateness_ms = round(time.lateness_seconds * 1000)
        self._idle_ms = round(time.idle_seconds * 1000)
        self._partitions = partitions
        self._actor_log = actor_log
        self._marked_at = -MARK_EVERY_MS
        self._read_at: int | None = None
        """wall clock when there was last something to read"""
        self.reliable = -1
        """highest watermark that the events read so far allow; the watermark is lower while the source wakes"""
        self._woken: tuple[int, int] | None = None
        """wall clock and watermark when the source began to wake; None if it is awake"""
        self.held = False
        """whether the watermark waits, because an outage has put records out of order (see ingest/outage_wait.py).
        Meanwhile the source is not idle, so that all others wait for it"""

    def wake(self, now_ms: int) -> None:
        """Begin to wake: the source was idle until now, or another worker read it. See WAKE_MS."""
        self.idle = False
        self._woken = now_ms, self.watermark

    def _follow(self, now_ms: int) -> None:
        """Raise the watermark to what the events read so far allow; slowly while the source wakes, or not if held."""
        if self.held:
            self.idle = False
            return
        allowed = self.reliable
        if self._woken is not None:
            woken_at, before = self._woken
            since = now_ms - woken_at
            if since >= WAKE_MS:
                self._woken = None
            else:
                allowed = min(allowed, before + since) if before >= 0 else before
        self.watermark = max(self.watermark, allowed)

    def route(self, records: Records, *, next_offset: int, now_ms: int, roster: dict[str, int]) -> Routed:
        """Route records. All their offsets are below ``next_offset``.

        ``now_ms`` is the wall clock; it only paces watermarks. Event time is capped by the broker's clock plus skew.
        """
        routed = Routed()
        for _ in self.steps(records, routed, next_offset=next_offset, now_ms=now_ms, roster=roster):
            pass
        return routed

    def steps(
        self, records: Records, routed: Routed, *, next_offset: int, now_ms: int, roster: dict[str, int]
    ) -> Iterator[None]:
        """As ``route``, in steps of some milliseconds. ``routed`` is complete after the last one."""
        if self._read_at is None:
            self._read_at = now_ms
        first = int(records.offset[0])
        size = len(records.value)
        parts: list[EventColumns] = []
        for begin in range(0, size, STRETCH):
            parts += self._decoded(records, range(begin, min(begin + STRETCH, size)), routed)
            yield
        if parts:  # records without events do not count: a topic may have little else
            self._read_at = now_ms
            if self.idle:
                self.wake(now_ms)
        columns = joined(parts) if parts else None
        if self.only_history and self.max_ts >= 0:
            self.only_history = False
            self.wake(now_ms)
        # Time does not follow an event ahead of the broker's clock: it would make the others late.
        before = self.watermark
        self.reliable = max(self.reliable, min(self.max_ts, int(records.clock_ms[-1])) - self._lateness_ms)
        self._follow(now_ms)
        due = now_ms - self._marked_at >= MARK_EVERY_MS
        if due:
            self._marked_at = now_ms
        head = self._frame(first, next_offset, roster, now_ms)
        routed.frames += target_frames(columns, self._partitions, head, before, due=due)
        log = self._actor_log
        if log is not None:
            yield
            routed.actor_frames += actor_frames(
                columns, log.partitions, head, before, due=due, pseudonyms=log.pseudonyms
            )

    def _decoded(self, records: Records, stretch: range, routed: Routed) -> list[EventColumns]:
        """Decode a stretch of records into columns; refused records become dead letters.

        If that raises, each half is decoded by itself, so that a record that raises costs no other record.
        """
        begin, end = stretch.start, stretch.stop
        try:
            columns = self._columns(records, begin, end, routed)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the record would raise it again
            if len(stretch) > 1:
                middle = (begin + end) // 2
                halves = range(begin, middle), range(middle, end)
                return [columns for half in halves for columns in self._decoded(records, half, routed)]
            message = f"a fault of truecount, please report it: {error!r}"
            routed.dead.append(self._letter(records, Refusal(begin, Why.UNCOUNTABLE, message)))
            return []
        return [] if columns is None else [columns]

    def _columns(self, records: Records, begin: int, end: int, routed: Routed) -> EventColumns | None:
        """Compute everything first, and change ``routed`` only then."""
        part = records.part(begin, end)
        decoded = self._decoder.decode(part, part.clock_ms + self._skew_ms)
        letters = [self._letter(part, refusal) for refusal in decoded.refused]
        columns, good = None, decoded.good
        if good is not None:
            tags = self._tagger.tags(good.fields["ip"], good.fields["user_agent"])
            columns = event_columns(
                good.fields,
                offset=part.offset[good.index],
                metric=good.metric,
                ts=good.ts,
                tags=tags,
                plain_addresses=good.plain_addresses,
            )
            if self._actor_log is not None and not self._actor_log.pseudonyms:
                columns.names = good.fields["actor"]
            self._note_times(good, routed)
            routed.events += len(good.ts)
        routed.dead += letters
        routed.skipped.update(decoded.skipped)
        routed.unread.update(decoded.unread)
        return columns

    def _letter(self, records: Records, refusal: Refusal) -> DeadLetter:
        place = refusal.index
        original = records.value if records.original is None else records.original
        line = None if records.line is None else records.line[place]
        where = self.topic, self.partition, int(records.offset[place])
        return DeadLetter(*where, records.key[place], original[place], refusal.reason, refusal.message, line)

    def _note_times(self, good: Good, routed: Routed) -> None:
        """Note the latest time of live events, how far they are out of order, and whether there were any."""
        ts, historic = good.ts, good.fields["history"]
        if historic.count(False) < len(historic):
            marked = np.fromiter(historic, np.bool_, len(historic))
            self._historic_ts = max(self._historic_ts, int(ts[marked].max()))
            ts = ts[~marked]
        if len(ts):
            reached = np.maximum(np.maximum.accumulate(ts), self.max_ts)
            routed.behind_ms = max(routed.behind_ms, int((reached - ts).max()))
            self.max_ts = int(reached[-1])
        elif self.max_ts < 0:
            self.only_history = True

    def mark(
        self, *, next_offset: int, now_ms: int, at_end: bool, roster: dict[str, int], unheard_ms: int = 0
    ) -> Routed:
        """Publish the watermark while no records are read.

        A source is idle after ``idle_seconds`` at the end of its partition. No partition waits for an idle source. Its
        watermark goes on with the wall clock from where it was, but never ahead of it, and not while the broker has not
        answered for ``unheard_ms``.
        """
        routed = Routed()
        if self._read_at is None:
            self._read_at = now_ms
        if not at_end:
            self._read_at = now_ms
        if now_ms - self._marked_at < MARK_EVERY_MS:
            return routed
        self._follow(now_ms)
        if at_end and not self.held and now_ms - self._read_at >= self._idle_ms:
            self.idle = True
            if self.max_ts >= 0:
                reached = min(self.max_ts + now_ms - self._read_at, now_ms) - unheard_ms
                self.watermark = max(self.watermark, reached - self._lateness_ms)
        self._marked_at = now_ms
        self._add_everywhere(self._frame(next_offset, next_offset, roster, now_ms), routed)
        return routed

    def last_ts(self) -> int:
        """Time of the latest live event in epoch ms; if there is none, of the latest historic event; else -1."""
        return self.max_ts if self.max_ts >= 0 else self._historic_ts

    def finish(self, *, next_offset: int, until_ms: int, roster: dict[str, int]) -> Routed:
        """End a recorded stream: raise the watermark to ``until_ms`` and mark the source as idle."""
        self.idle = True
        self.watermark = max(self.watermark, until_ms)
        routed = Routed()
        self._add_everywhere(self._frame(next_offset, next_offset, roster, 0), routed)
        return routed

    def _add_everywhere(self, head: Frame, routed: Routed) -> None:
        """Write a frame without events to every partition of the logs."""
        value = encode(head)
        routed.frames += [(place, value) for place in range(self._partitions)]
        if self._actor_log is not None:
            routed.actor_frames += [(place, value) for place in range(self._actor_log.partitions)]

    def _frame(self, first: int, next_offset: int, roster: dict[str, int], now_ms: int) -> Frame:
        idle = self.idle or self.only_history
        return Frame(
            *(FRAME_VERSION, self.source, first, next_offset, self.watermark, idle, roster),
            written_ms=now_ms,
            relations=self._relations,
        )
