"""The time of one source: where it begins, when it is woken, and when it is idle."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detectors.events.event import Event
from streams.ingest.mapping.records import Records
from streams.ingest.router import MARK_EVERY_MS, WAKE_MS, Routed, Router
from streams.ingest.rules.tagging import Tagger
from streams.log.versions import decode
from streams.settings.event_time import Time
from streams.settings.rules import Rules
from streams.settings.settings import Input

NOW = 1_700_000_000_000
ROSTER = {"views": 1}
IDLE_MS = 10_000


def router(**time: Any) -> Router:
    """A source whose time is that of its events at once."""
    settings = Time(lateness_seconds=0.0, idle_seconds=IDLE_MS / 1000, **time)
    return Router(config=Input(topic="views", metric="view"), partition=0, time=settings, partitions=1)


def route(to: Router, *times: int, now: int = NOW, history: bool = False) -> Routed:
    """Route an event of each time."""
    values = [msgspec.json.encode(Event(ts=ts, actor="a", target="v", history=history)) for ts in times]
    records = Records.of([(place, None, value, NOW + 10**9) for place, value in enumerate(values)])
    return to.route(records, next_offset=len(values), now_ms=now, roster=ROSTER)


def mark(to: Router, now: int, *, at_end: bool = True) -> None:
    to.mark(next_offset=1, now_ms=now, at_end=at_end, roster=ROSTER)


def test_the_first_millisecond_of_1970_is_a_time_where_it_is_accepted() -> None:
    source = router(earliest=0)
    routed = route(source, 0)
    assert (routed.events, routed.behind_ms) == (1, 0)
    assert (source.max_ts, source.last_ts(), source.watermark, source.only_history) == (0, 0, 0, False)
    route(source, 5, history=True)
    assert (source.last_ts(), source.only_history) == (0, False)
    mark(source, NOW + IDLE_MS)
    assert (source.idle, source.watermark) == (True, IDLE_MS)


def test_history_does_not_slow_the_time_of_a_source_that_has_one() -> None:
    source = router(earliest=0)
    route(source, 0)
    route(source, 5, history=True)
    route(source, 60_000)
    assert source.watermark == 60_000


def test_a_source_of_history_is_live_from_its_first_live_event_on_whatever_its_time() -> None:
    source = router(earliest=0)
    route(source, 7, history=True)
    assert (source.last_ts(), source.only_history) == (7, True)
    (frame,) = (decode(value) for _, value in route(source, 0, now=NOW + 1).frames)
    assert not frame.idle
    assert (source.last_ts(), source.only_history) == (0, False)


def test_a_source_that_leaves_its_history_wakes() -> None:
    source = router()
    route(source, NOW - 10**9, history=True)
    route(source, NOW, now=NOW + 1)
    assert source.watermark == -1, "it had no time, so it has none for five seconds"
    mark(source, NOW + WAKE_MS, at_end=False)
    assert source.watermark == -1
    mark(source, NOW + WAKE_MS + MARK_EVERY_MS, at_end=False)
    assert source.watermark == NOW


def test_a_source_that_was_idle_wakes_with_its_next_event() -> None:
    source = router()
    route(source, NOW)
    mark(source, NOW + IDLE_MS)
    assert (source.idle, source.watermark) == (True, NOW + IDLE_MS)
    later = NOW + 2 * IDLE_MS
    for since, watermark in ((0, 0), (700, 700), (WAKE_MS - 1, WAKE_MS - 1), (WAKE_MS, 10**8)):
        route(source, NOW + IDLE_MS + 10**8, now=later + since)
        assert not source.idle
        assert source.watermark == NOW + IDLE_MS + watermark


def test_the_slow_time_of_a_source_that_woke_begins_at_zero_too() -> None:
    source = router(earliest=0)
    route(source, 0)
    source.wake(NOW)
    route(source, 60_000, now=NOW + 800)
    assert source.watermark == 800


def test_a_source_is_idle_by_the_time_since_it_last_had_something_to_read() -> None:
    source = router()
    route(source, NOW)
    mark(source, NOW + 9_000, at_end=False)
    mark(source, NOW + 9_000 + IDLE_MS - 1)
    assert [source.idle] == [False]
    mark(source, NOW + 9_000 + IDLE_MS + MARK_EVERY_MS)
    assert source.idle
    assert source.watermark == NOW + IDLE_MS + MARK_EVERY_MS


@pytest.mark.parametrize("sent", [[], [b"no event"]], ids=["nothing", "no event"])
def test_a_source_without_events_has_no_time_and_is_idle_all_the_same(sent: list[bytes]) -> None:
    source = router()
    if sent:
        records = Records.of([(0, None, value, NOW) for value in sent])
        source.route(records, next_offset=1, now_ms=NOW, roster=ROSTER)
    else:
        mark(source, NOW)
    mark(source, NOW + IDLE_MS - 1)
    assert [source.idle] == [False]
    mark(source, NOW + IDLE_MS + MARK_EVERY_MS)
    assert source.idle
    assert (source.watermark, source.max_ts, source.last_ts(), source.reliable) == (-1, -1, -1, -1)


def test_time_moves_with_the_latest_event_and_not_with_the_last_one() -> None:
    source = router()
    assert route(source, NOW + 5, NOW + 90, NOW + 30).behind_ms == 60
    assert (source.max_ts, source.watermark) == (NOW + 90, NOW + 90)
    assert route(source, NOW + 20).behind_ms == 70
    assert (source.max_ts, source.watermark) == (NOW + 90, NOW + 90)


def test_a_partition_without_events_gets_the_time_half_a_second_after_the_last_mark() -> None:
    settings = Time(lateness_seconds=0.0)
    source = Router(config=Input(topic="views", metric="view"), partition=0, time=settings, partitions=6)
    frames = [len(route(source, NOW, now=NOW + since).frames) for since in (0, MARK_EVERY_MS - 1, MARK_EVERY_MS)]
    assert frames == [6, 1, 6]


def test_each_batch_with_events_begins_the_time_to_idleness_anew() -> None:
    source = router()
    route(source, NOW)
    route(source, NOW, now=NOW + 9_000)
    mark(source, NOW + 9_000 + IDLE_MS - 1)
    assert not source.idle


def test_the_first_batch_goes_to_all_partitions_whatever_the_clock_says_and_whatever_is_in_it() -> None:
    settings = Time(lateness_seconds=0.0)
    for value in (b"no event", msgspec.json.encode(Event(ts=NOW, actor="a", target="v"))):
        source = Router(config=Input(topic="views", metric="view"), partition=0, time=settings, partitions=6)
        records = Records.of([(0, None, value, NOW)])
        routed = source.route(records, next_offset=1, now_ms=0, roster=ROSTER)
        assert sorted(place for place, _ in routed.frames) == list(range(6))


def test_a_clock_that_is_set_back_does_not_slow_a_source_that_is_awake() -> None:
    source = router()
    route(source, NOW)
    source.wake(NOW)
    route(source, NOW + 60_000, now=NOW + WAKE_MS)
    route(source, NOW + 90_000, now=NOW + WAKE_MS - 3_000)
    assert source.watermark == NOW + 90_000


def test_a_router_tags_events_by_the_rules_that_it_was_given() -> None:
    settings = Time(lateness_seconds=0.0)
    config = Input(topic="views", metric="view")
    value = msgspec.json.encode(Event(ts=NOW, actor="a", target="v", ip="203.0.113.7"))
    tagged = []
    for tagger in (None, Tagger(Rules.model_validate({"networks": ["203.0.113.0/24"]}))):
        source = Router(config=config, partition=0, time=settings, partitions=1, tagger=tagger)
        routed = source.route(Records.of([(0, None, value, NOW)]), next_offset=1, now_ms=NOW, roster=ROSTER)
        tagged.append(bool(decode(routed.frames[0][1]).rule))
    assert tagged == [False, True]
