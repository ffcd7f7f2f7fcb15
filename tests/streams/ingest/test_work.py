"""How fast time goes when a source begins, and when it is taken over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from faust.types import TP

from detectors.events.event import Event
from detectors.windows.clock import EventClock, SourceTime
from streams.clock import FakeClock
from streams.ingest.router import WAKE_MS
from streams.ingest.work import Ingest, IngestState
from streams.kafka.reachability import Answers
from streams.kafka.transport import Batch
from streams.log.frames import offsets as offsets_of
from streams.log.frames import times
from streams.log.versions import decode
from streams.metrics import REGISTRY
from streams.settings.event_time import Time
from streams.settings.settings import Input, Settings
from streams.state.sealed import MovedError

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


def _opened(
    partition: int,
    saved: IngestState | None = None,
    clock: FakeClock | None = None,
    answers: Answers | None = None,
) -> Ingest:
    settings = Settings(inputs=(Input(topic=TOPIC, metric="view"),), time=Time(lateness_seconds=0.0))
    state: Any = SavedState(saved)
    ingest = Ingest(
        settings,
        TP(TOPIC, partition),
        partitions=1,
        roster=ROSTER,
        state=state,
        clock=clock or FakeClock(epoch_ms=NOW_MS),
        answers=answers,
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


def test_five_seconds_after_it_was_taken_over_its_time_is_that_of_its_events() -> None:
    before = IngestState(1, 0, max_ts=FIRST_TS, watermark=FIRST_TS, reliable=FIRST_TS + MINUTE_MS)
    clock = FakeClock(epoch_ms=NOW_MS)
    ingest = _opened(0, before, clock)
    clock.advance(WAKE_MS / 1000 + 1)
    ingest.heartbeat(clock.epoch_ms(), at_end=False)
    assert decode(ingest.cut(0)[0].value).watermark == FIRST_TS + MINUTE_MS


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


def _records(*offsets: int, kind: int = 0) -> list[Any]:
    """Records at these offsets, whose timestamps are of a kind of Kafka's."""
    return [
        SimpleNamespace(
            offset=offset,
            key=b"k%d" % offset,
            value=b"no event" if offset % 2 else msgspec.json.encode(Event(ts=FIRST_TS, actor="a", target="v")),
            headers=[("trace", b"%d" % offset)],
            timestamp=FIRST_TS + offset,
            timestamp_type=kind,
        )
        for offset in offsets
    ]


def _taken(ingest: Ingest, records: list[Any]) -> list[Any]:
    """The outputs of a checkpoint after these records."""
    list(ingest.take(Batch(TP(TOPIC, 0), records[0].offset, records), records))
    return ingest.cut(records[-1].offset + 1)


@pytest.mark.parametrize("offsets", [(4, 5, 6), (4, 7, 8), (4, 6, 6 + 2)])
def test_records_keep_their_offsets_whether_there_are_gaps_or_not(offsets: tuple[int, ...]) -> None:
    outputs = _taken(_opened(0), _records(*offsets))
    frame = decode(outputs[0].value)
    assert offsets_of(frame).tolist() == [offset for offset in offsets if offset % 2 == 0]
    dead = [output for output in outputs if output.topic.endswith("dead-letters")]
    assert [dict(letter.headers)["offset"] for letter in dead] == [b"%d" % n for n in offsets if n % 2]
    assert [dict(letter.headers)["trace"] for letter in dead] == [b"%d" % n for n in offsets if n % 2]


def test_the_clock_of_a_broker_bounds_time_where_it_stamps_records() -> None:
    """An event a little ahead of the broker's clock is not taken for the time."""
    ahead = _records(0, kind=1)
    ahead[0].timestamp = FIRST_TS - 30_000
    assert decode(_taken(_opened(0), ahead)[0].value).watermark == FIRST_TS - 30_000
    unstamped = _records(0)
    unstamped[0].timestamp = FIRST_TS - 30_000
    assert decode(_taken(_opened(0), unstamped)[0].value).watermark == FIRST_TS


def test_a_checkpoint_has_what_the_next_owner_must_know() -> None:
    ingest = _opened(0)
    outputs = _taken(ingest, _records(4))
    state = msgspec.msgpack.decode(outputs[-1].value or b"", type=IngestState)
    assert state == IngestState(1, 5, FIRST_TS, FIRST_TS, FIRST_TS)
    assert outputs[-1].key == b"views/0"
    assert ingest.pending() == 0
    ingest.heartbeat(NOW_MS + 1_000, at_end=False)
    assert ingest.pending() == 1
    (mark, _) = ingest.cut(5)
    assert decode(mark.value).next == 5


def test_it_goes_on_where_the_last_owner_stopped_and_from_the_beginning_where_there_was_none() -> None:
    settings = Settings(inputs=(Input(topic=TOPIC, metric="view"),))
    for saved, position in ((None, 0), (IngestState(1, 9, FIRST_TS, FIRST_TS), 9)):
        state: Any = SavedState(saved)
        ingest = Ingest(settings, TP(TOPIC, 0), partitions=1, roster=ROSTER, state=state, clock=FakeClock())
        assert asyncio.run(ingest.restore()) == position


def test_a_source_whose_log_has_moved_is_not_read_here() -> None:
    with pytest.raises(MovedError, match="elsewhere"):
        _opened(0, IngestState(1, 0, -1, -1, moved_to="elsewhere"))


def test_checkpoints_come_twice_a_second_and_oftener_if_that_is_configured() -> None:
    for configured, every in ((5.0, 0.5), (0.2, 0.2)):
        settings = Settings(inputs=(Input(topic=TOPIC, metric="view"),), checkpoint_seconds=configured)
        state: Any = SavedState()
        ingest = Ingest(settings, TP(TOPIC, 0), partitions=1, roster=ROSTER, state=state, clock=FakeClock())
        assert ingest.every_seconds == every


def shown(name: str, **labels: str) -> float:
    """A counter as it is exposed."""
    return REGISTRY.get_sample_value(f"truecount_{name}_total", labels) or 0.0


def test_the_first_checkpoint_of_a_source_that_has_read_nothing_says_that_it_has_no_time() -> None:
    (output,) = _opened(0).cut(0)
    assert msgspec.msgpack.decode(output.value or b"", type=IngestState) == IngestState(1, 0, -1, -1, -1)


def test_a_mark_before_any_record_says_from_where_the_source_is_read() -> None:
    ingest = _opened(0, IngestState(1, 9, FIRST_TS, FIRST_TS, FIRST_TS))
    ingest.heartbeat(NOW_MS + 1_000, at_end=True)
    (frame, *_) = (decode(output.value) for output in ingest.cut(9)[:1])
    assert (frame.first, frame.next, frame.watermark) == (9, 9, FIRST_TS)


def test_what_is_refused_left_out_or_skipped_is_shown_once() -> None:
    counters: list[tuple[str, dict[str, str]]] = [
        ("dead_letters", {"reason": "not_json"}),
        ("unread_fields", {"field": "ip", "reason": "bad_address"}),
        ("skipped_records", {"reason": "tombstone"}),
    ]
    values = [
        *[b"no event"] * 3,
        *[msgspec.json.encode(Event(ts=FIRST_TS, actor="a", target="v", ip="here"))] * 2,
        *[None] * 4,
    ]
    records = _records(*range(len(values)))
    for record, value in zip(records, values, strict=True):
        record.value = value
    before = [shown(name, **labels) for name, labels in counters]
    ingest = _opened(0)
    outputs = _taken(ingest, records)
    assert [shown(name, **labels) - b for (name, labels), b in zip(counters, before, strict=True)] == [3, 2, 4]
    assert len(outputs) == 3 + 1 + 1
    ingest.heartbeat(NOW_MS + 1_000, at_end=False)
    assert [shown(name, **labels) - b for (name, labels), b in zip(counters, before, strict=True)] == [3, 2, 4]


def test_a_dead_letter_goes_to_a_partition_that_its_topic_has() -> None:
    settings = Settings(inputs=(Input(topic=TOPIC, metric="view"),))
    for source, place in ((0, 0), (4, 1), (5, 2)):
        state: Any = SavedState()
        ingest = Ingest(settings, TP(TOPIC, source), partitions=3, roster={TOPIC: 6}, state=state, clock=FakeClock())
        asyncio.run(ingest.restore())
        (letter,) = (output for output in _taken(ingest, _records(1)) if output.topic.endswith("dead-letters"))
        assert letter.partition == place
        assert dict(letter.headers or ())["partition"] == b"%d" % source


def test_only_the_records_that_a_broker_stamped_are_bounded_by_its_clock() -> None:
    """The clock of the last record of a batch bounds its time; without a stamp that is this worker's."""
    mixed = [*_records(0), *_records(2, kind=1)]
    mixed[1].timestamp = FIRST_TS - 7_000
    assert decode(_taken(_opened(0), mixed)[0].value).watermark == FIRST_TS - 7_000
    mixed = [*_records(0, kind=1), *_records(2)]
    mixed[0].timestamp = mixed[1].timestamp = FIRST_TS - 7_000
    assert decode(_taken(_opened(0), mixed)[0].value).watermark == FIRST_TS


def test_state_of_a_version_that_did_not_know_of_slow_time_and_history_is_read() -> None:
    class Older(SavedState):
        async def read(self, _topic: str, _partition: int) -> AsyncIterator[tuple[bytes, bytes]]:
            yield f"{TOPIC}/0".encode(), msgspec.msgpack.encode([1, 9, -1, -1])
            yield f"{TOPIC}/1".encode(), msgspec.msgpack.encode([1, 70, 5, 5])

    state: Any = Older()
    settings = Settings(inputs=(Input(topic=TOPIC, metric="view"),))
    clock = FakeClock(epoch_ms=NOW_MS)
    ingest = Ingest(settings, TP(TOPIC, 0), partitions=1, roster=ROSTER, state=state, clock=clock)
    assert asyncio.run(ingest.restore()) == 9
    for heartbeat in range(2):
        clock.advance(2 * WAKE_MS / 1000)
        ingest.heartbeat(clock.epoch_ms(), at_end=False)
        *marks, own = ingest.cut(9)
        assert [decode(mark.value).watermark for mark in marks] == [-1], heartbeat
        assert msgspec.msgpack.decode(own.value or b"", type=IngestState) == IngestState(1, 9, -1, -1, -1)


@pytest.mark.parametrize(
    ("target", "ts", "expected"),
    [
        ({"header": "trace"}, {"path": "ts", "time": "ms"}, (["4", "6"], [FIRST_TS] * 2)),
        ({"path": "target"}, {"timestamp": True}, (["v"] * 2, [FIRST_TS + 4, FIRST_TS + 6])),
    ],
    ids=["headers", "timestamps"],
)
def test_headers_and_timestamps_of_records_are_there_for_a_map_that_reads_them(
    target: dict[str, Any], ts: dict[str, Any], expected: tuple[list[str], list[int]]
) -> None:
    config = Input.model_validate(
        {"topic": TOPIC, "metric": "view", "map": {"actor": "actor", "ts": ts, "target": target}}
    )
    settings, state = Settings(inputs=(config,)), SavedState()
    reader: Any = state
    ingest = Ingest(settings, TP(TOPIC, 0), partitions=1, roster=ROSTER, state=reader, clock=FakeClock(epoch_ms=NOW_MS))
    asyncio.run(ingest.restore())
    frame = decode(_taken(ingest, _records(4, 6))[0].value)
    assert (frame.target, times(frame).tolist()) == expected


def test_whoever_opens_a_source_after_an_outage_waits_for_what_producers_have_kept() -> None:
    """The checkpoint of the earlier task failed with the broker, so this one knows nothing of the outage itself."""
    clock, answers = FakeClock(epoch_ms=NOW_MS), Answers(silent_since=0.0)
    clock.advance(60)
    answers.silent_since, answers.ended_at, answers.lasted_seconds = None, clock.monotonic(), 60.0
    before = IngestState(1, 0, max_ts=FIRST_TS - MINUTE_MS, watermark=FIRST_TS - MINUTE_MS)
    ingest = _opened(0, before, clock, answers)

    def watermark() -> int:
        clock.advance(1)
        ingest.heartbeat(clock.epoch_ms(), at_end=True)
        return decode(ingest.cut(1)[0].value).watermark

    assert decode(_taken(ingest, _records(0))[0].value).watermark == FIRST_TS - MINUTE_MS
    assert {watermark() for _ in range(39)} == {FIRST_TS - MINUTE_MS}
    assert watermark() >= FIRST_TS
