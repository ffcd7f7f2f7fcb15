"""The ingest step without Kafka: records of one source in, frames for ``by-target`` and dead letters out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.failures import UNCONTAINED
from streams.codec import Codec
from streams.columns import Columns, columns_of, joined
from streams.deadletters import DeadLetter, Why
from streams.frames import FRAME_VERSION, Frame, encode
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


STRETCH = 1000
"""Records decoded at once. An event has some 700 bytes in objects; of more than this they leave the processor's
cache before they are columns, and cost a third more (measured)."""


@dataclass(slots=True)
class Records:
    """Records of an input partition, a column a part; ``clock_ms`` is the broker's."""

    offset: NDArray[np.int64]
    key: Sequence[bytes | None]
    value: Sequence[bytes | None]
    clock_ms: NDArray[np.int64]

    @staticmethod
    def of(rows: Sequence[tuple[int, bytes | None, bytes | None, int]]) -> Records:
        """From rows (offset, key, value, clock)."""
        offset, key, value, clock = zip(*rows, strict=True)
        return Records(np.array(offset, np.int64), key, value, np.array(clock, np.int64))


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

    def route(self, records: Records, *, next_offset: int, now_ms: int, roster: dict[str, int]) -> Routed:
        """Route records; they end before ``next_offset``.

        ``now_ms`` is the wall clock; it only paces watermarks. Event time is capped by the broker's clock plus skew.
        """
        routed = Routed()
        self._read_at = now_ms
        if self.idle:
            self.wake(now_ms)
        first = int(records.offset[0])
        size = len(records.value)
        parts = [
            columns
            for begin in range(0, size, STRETCH)
            for columns in self._decoded(records, range(begin, min(begin + STRETCH, size)), routed)
        ]
        columns, cuts = self._by_place(parts) if parts else (None, [0] * (self._partitions + 1))
        # Time does not follow an event ahead of the broker's clock: it would make the others late.
        before = self.watermark
        self.reliable = max(self.reliable, min(self.max_ts, int(records.clock_ms[-1])) - self._lateness_ms)
        self._follow(now_ms)
        due = now_ms - self._marked_at >= MARK_EVERY_MS
        if due:
            self._marked_at = now_ms
        head = self._frame(first, next_offset, roster)
        for place, (begin, end) in enumerate(pairwise(cuts)):
            if columns is not None and begin < end:
                values = self._packed(columns, range(begin, end), head, before)
                routed.frames += [(place, value) for value in values]
            elif due:
                routed.frames.append((place, encode(head)))
        return routed

    def _decoded(self, records: Records, stretch: range, routed: Routed) -> list[Columns]:
        """The good ones of a stretch of records as columns; the others go to the dead letters.

        Where that raises, each half is decoded by itself: a record that cannot be dealt with costs no other.
        """
        begin, end = stretch.start, stretch.stop
        try:
            columns = self._columns(records, begin, end, routed)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the same record would raise it for ever
            if len(stretch) > 1:
                middle = (begin + end) // 2
                halves = range(begin, middle), range(middle, end)
                return [columns for half in halves for columns in self._decoded(records, half, routed)]
            place, key, value = int(records.offset[begin]), records.key[begin], records.value[begin]
            message = f"a fault of truecount, please report it: {error!r}"
            routed.dead.append(DeadLetter(self.topic, self.partition, place, key, value, Why.UNCOUNTABLE, message))
            return []
        return [] if columns is None else [columns]

    def _columns(self, records: Records, begin: int, end: int, routed: Routed) -> Columns | None:
        offset = records.offset[begin:end]
        good, refused = self._codec.decode(records.value[begin:end], records.clock_ms[begin:end] + self._skew_ms)
        letters = []
        for refusal in refused:
            key, value = (column[begin + refusal.index] for column in (records.key, records.value))
            place = int(offset[refusal.index])
            letters.append(DeadLetter(self.topic, self.partition, place, key, value, refusal.reason, refusal.message))
        columns = None
        if good is not None:
            tags = self._tagger.tags(good.fields["ip"], good.fields["user_agent"])
            columns = columns_of(good.fields, offset=offset[good.index], metric=good.metric, ts=good.ts, tags=tags)
            routed.events += len(good.ts)
            self.max_ts = max(self.max_ts, int(good.ts.max()))
        routed.dead += letters
        return columns

    def _by_place(self, parts: list[Columns]) -> tuple[Columns, list[int]]:
        """Events in order of their targets' partitions, and where each partition's begin (and the last one's end)."""
        columns = joined(parts)
        places = (columns.hashes % np.uint64(self._partitions)).astype(np.intp)
        cuts = np.cumsum(np.bincount(places, minlength=self._partitions))
        return columns.take(np.argsort(places, kind="stable")), [0, *cuts.tolist()]

    def _packed(self, columns: Columns, rows: range, head: Frame, before: int) -> list[bytes]:
        """Rows encoded as one frame, or as several if it would be too large for the log.

        All but the last carry the watermark ``before`` the batch: time moves when all its events are in.
        """
        frame = replace(head)
        columns.fill(frame, rows.start, rows.stop)
        value = encode(frame)
        if len(value) <= MAX_FRAME_BYTES or len(rows) < 2:
            return [value]
        middle = (rows.start + rows.stop) // 2
        cut = int(columns.offset[middle])
        earlier = replace(head, next=cut, watermark=before)
        first = self._packed(columns, range(rows.start, middle), earlier, before)
        return first + self._packed(columns, range(middle, rows.stop), replace(head, first=cut), before)

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
