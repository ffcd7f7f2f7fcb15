"""How fast time goes when a source begins, and when it is taken over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
from faust.types import TP

from detectors.events.event import Event
from detectors.windows.clock import EventClock, SourceTime
from streams.clock import FakeClock
from streams.ingest.router import WAKE_MS
from streams.ingest.work import Ingest, IngestState
from streams.kafka.transport import Batch
from streams.log.versions import decode
from streams.settings.event_time import Time
from streams.settings.settings import Input, Settings

TOPIC = "views"
ROSTER = {TOPIC: 2}
FIRST_TS = 1_700_000_000_000
MINUTE_MS = 60_000
NOW_MS = FIRST_TS + 60 * MINUTE_MS


class SavedState:
    """What a state topic holds, without Kafka; a source has its records from offset 0."""

    def __init__(self, state: IngestState | None = None) -> None:
        self._state = state

    async def read(self, _topic: str, _partition: int) -> AsyncIterator[tuple[bytes, bytes]]:
        if self._state is not None:
            yield f"{TOPIC}/0".encode(), msgspec.msgpack.encode(self._state)

    async def beginning(self, _topic: str, _partition: int) -> int:
        return 0


def _opened(partition: int, saved: IngestState | None = None, clock: FakeClock | None = None) -> Ingest:
    settings = Settings(inputs=(Input(topic=TOPIC, metric="view"),), time=Time(lateness_seconds=0.0))
    state: Any = SavedState(saved)
    ingest = Ingest(
        settings,
        TP(TOPIC, partition),
        partitions=1,
        roster=ROSTER,
        state=state,
        clock=clock or FakeClock(epoch_ms=NOW_MS),
    )
    asyncio.run(ingest.restore())
    return ingest


def _read(ingest: Ingest, partition: int, until_ms: int) -> SourceTime:
    """What the log says of a source's time after it has read an event of ``until_ms``."""
    value = msgspec.json.encode(Event(ts=until_ms, actor="a", target="v"))
    record = SimpleNamespace(offset=0, key=None, value=value, headers=(), timestamp=NOW_MS, timestamp_type=0)
    list(ingest.take(Batch(TP(TOPIC, partition), 0, [record]), [record]))
    frame = decode(ingest.cut(1)[0].value)
    return SourceTime(frame.next, frame.watermark, frame.idle)


def test_time_of_a_source_that_nobody_has_read_follows_its_first_events() -> None:
    assert _read(_opened(0), 0, FIRST_TS).watermark == FIRST_TS


def test_nothing_is_late_when_one_of_two_new_sources_is_read_first() -> None:
    clock = EventClock()
    first = _read(_opened(0), 0, FIRST_TS + MINUTE_MS)
    assert clock.update_source(f"{TOPIC}/0", first, ROSTER) == -1, "the other has not been heard"
    second = _read(_opened(1), 1, FIRST_TS)
    assert clock.update_source(f"{TOPIC}/1", second, ROSTER) == FIRST_TS


def test_time_of_a_source_that_is_taken_over_goes_no_faster_than_the_wall_clock_at_first() -> None:
    before = IngestState(1, 0, max_ts=FIRST_TS, watermark=FIRST_TS)
    heard = _read(_opened(0, before), 0, FIRST_TS + MINUTE_MS)
    assert FIRST_TS <= heard.watermark < FIRST_TS + WAKE_MS, "others may count as idle until they are heard"


def test_a_source_that_is_taken_over_amid_its_history_still_counts_as_idle() -> None:
    before = IngestState(1, 0, max_ts=-1, watermark=-1, only_history=True)
    clock = FakeClock(epoch_ms=NOW_MS)
    ingest = _opened(0, before, clock)
    clock.advance(1)
    ingest.heartbeat(clock.epoch_ms(), at_end=False)
    (output,) = ingest.cut(0)[:1]
    assert decode(output.value).idle
    state = msgspec.msgpack.decode(ingest.cut(0)[-1].value or b"", type=IngestState)
    assert state.only_history
