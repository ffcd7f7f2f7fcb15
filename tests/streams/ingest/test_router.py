"""A batch becomes frames: every event in one of them, time never ahead of what may be relied upon."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from detectors.events.event import FIELDS, Event
from streams.ingest.mapping.records import Records
from streams.ingest.router import MARK_EVERY_MS, WAKE_MS, ActorLog, Routed, Router
from streams.log.blocks import block_of
from streams.log.columns import EventColumns, event_columns
from streams.log.frames import FRAME_VERSION, Frame, numbers, offsets
from streams.log.hashing import actor_hashes, actor_partitions, partition_of
from streams.log.packing import MAX_FRAME_BYTES, packed
from streams.log.versions import decode, decode_actor_frame
from streams.settings.event_time import Time
from streams.settings.settings import Input

NOW = 1_700_000_000_000
ROSTER = {"views": 1}
LATENESS_MS = 10_000
SKEW_MS = 60_000
IDLE_MS = 10_000


def _router(partitions: int = 4, actor_log: ActorLog | None = None) -> Router:
    time = Time(lateness_seconds=LATENESS_MS / 1000, future_skew_seconds=SKEW_MS / 1000, idle_seconds=IDLE_MS / 1000)
    return Router(
        config=Input(topic="views", metric="view"), partition=0, time=time, partitions=partitions, actor_log=actor_log
    )


def _value(ts: int, target: str = "v1", **fields: str) -> bytes:
    return msgspec.json.encode(Event(ts=ts, actor="a", target=target, **fields))  # type: ignore[arg-type]  # texts


def _route(router: Router, values: list[bytes], *, first: int = 0, now: int = NOW, broker: int = NOW) -> Routed:
    rows = [(first + i, None, value, broker) for i, value in enumerate(values)]
    return router.route(Records.of(rows), next_offset=first + len(values), now_ms=now, roster=ROSTER)


def _frames(routed: Routed) -> list[tuple[int, Frame]]:
    return [(place, decode(value)) for place, value in routed.frames]


def _positions(frames: list[tuple[int, Frame]]) -> list[int]:
    return sorted(offset for _, frame in frames for offset in offsets(frame).tolist())


@given(st.lists(st.sampled_from(["good", "good", "bad"]), min_size=1, max_size=60), st.integers(1, 8))
def test_every_good_event_is_in_exactly_one_frame_of_its_targets_partition(kinds: list[str], partitions: int) -> None:
    values = [_value(NOW - i, f"v{i % 9}") if kind == "good" else b"x" for i, kind in enumerate(kinds)]
    routed = _route(_router(partitions), values, first=1000)
    frames = _frames(routed)
    assert _positions(frames) == [1000 + i for i, kind in enumerate(kinds) if kind == "good"]
    assert [letter.offset for letter in routed.dead] == [1000 + i for i, kind in enumerate(kinds) if kind == "bad"]
    for place, frame in frames:
        assert all(partition_of(target, partitions) == place for target in frame.target)
        assert (frame.first, frame.next) == (1000, 1000 + len(kinds))


def test_a_dead_letter_keeps_where_it_stood_and_its_bytes() -> None:
    rows = [(7, b"key", b"\xff\x00", NOW), (8, None, b"", NOW)]
    letters = _router().route(Records.of(rows), next_offset=9, now_ms=NOW, roster=ROSTER).dead
    assert [(n.topic, n.partition, n.offset, n.key, n.value) for n in letters] == [
        ("views", 0, 7, b"key", b"\xff\x00"),
        ("views", 0, 8, None, b""),
    ]


def test_a_dead_letter_of_a_recorded_file_has_the_line_of_its_record() -> None:
    records = Records.of([(0, None, _value(NOW), NOW), (1, None, b"", NOW), (2, None, b"{", NOW)])
    records.line = [1, 4, 9]
    letters = _router().route(records, next_offset=3, now_ms=NOW, roster=ROSTER).dead
    assert [letter.line for letter in letters] == [4, 9]


@given(st.integers(1, 400), st.integers(1, 3), st.integers(0, 100))
@settings(deadline=None)
def test_what_is_too_large_for_the_log_is_split_and_nothing_is_lost(count: int, partitions: int, seed: int) -> None:
    rng = random.Random(seed)
    values = [
        _value(NOW, f"v{rng.randrange(5)}", session="s" * rng.randrange(2048), country="c" * 2000) for _ in range(count)
    ]
    router = _router(partitions)
    routed = _route(router, values, first=50)
    frames = _frames(routed)
    assert all(len(value) <= MAX_FRAME_BYTES for _, value in routed.frames)
    assert _positions(frames) == list(range(50, 50 + count))
    for place in range(partitions):
        pieces = [frame for where, frame in frames if where == place]
        assert pieces[0].first == 50
        assert pieces[-1].next == 50 + count
        assert pieces[-1].watermark == router.watermark
        for piece, following in itertools.pairwise(pieces):
            assert piece.next == following.first
            assert piece.watermark == -1, "time moves when all the batch's events are in"


def _columns(sizes: list[int], texts: list[str]) -> EventColumns:
    """Events of records of these many events each, from offset 50 on; each event has an id of its own."""
    offset = np.repeat(np.arange(50, 50 + len(sizes)), sizes)
    rows = [
        msgspec.structs.astuple(
            Event(ts=NOW, actor="a", target="v", id=f"{number}", session=texts[number % len(texts)])
        )
        for number in range(len(offset))
    ]
    fields: dict[str, Sequence[Any]] = dict(zip(FIELDS, zip(*rows, strict=True), strict=True))
    return event_columns(
        fields, offset=offset, metric=np.zeros(len(offset), np.int8), ts=np.full(len(offset), NOW, np.int64)
    )


@given(
    st.lists(st.sampled_from([1, 1, 2, 3, 150, 400]), min_size=1, max_size=8),
    st.lists(st.integers(0, 8000).map("s".__mul__), min_size=1, max_size=5),
)
@settings(deadline=None)
def test_a_frame_is_never_cut_within_a_record_so_that_a_reader_may_begin_anew_at_any_frame(
    sizes: list[int], texts: list[str]
) -> None:
    columns = _columns(sizes, texts)
    head = Frame(FRAME_VERSION, "views/0", 50, 50 + len(sizes), NOW, False, ROSTER)
    values = packed(columns, range(len(columns.ts)), head, -1)
    frames = [decode(value) for value in values]
    assert all(len(value) <= MAX_FRAME_BYTES for value in values)
    assert all(len(set(offsets(frame).tolist())) == 1 for frame in frames if frame.session is None and any(texts))
    idents = columns.numbers["ident"].tolist()
    for stop in range(len(frames) + 1):  # read so far; then everything comes again, in other frames
        read = [int(ident) for frame in frames[:stop] for ident in numbers(frame, "ident")]
        seen = frames[stop - 1].next if stop else 0
        whole = replace(head)
        columns.fill(whole, 0, len(idents))
        again = block_of(whole, seen)
        assert read + ([] if again is None or again.ident is None else list(again.ident)) == idents


@given(st.lists(st.lists(st.integers(-100_000, 100_000), min_size=1, max_size=8), min_size=1, max_size=10))
def test_watermarks_never_go_back_and_stay_behind_the_events_by_the_lateness(batches: list[list[int]]) -> None:
    router, latest, before, first = _router(1), -1, -1, 0
    for batch in batches:
        values = [_value(NOW + delta) for delta in batch]
        for _, frame in _frames(_route(router, values, first=first, now=NOW + first * 300)):
            assert frame.watermark >= before
            before = frame.watermark
        latest = max([latest, *(NOW + delta for delta in batch if delta <= SKEW_MS)])
        assert router.watermark <= max(-1, min(latest, NOW) - LATENESS_MS)
        first += len(batch)


def test_an_event_from_the_near_future_does_not_take_time_ahead_of_the_brokers_clock() -> None:
    router = _router(1)
    routed = _route(router, [_value(NOW + SKEW_MS)])
    assert routed.events == 1
    assert router.watermark == NOW - LATENESS_MS


def test_nor_does_it_when_its_source_falls_idle() -> None:
    router = _router(1)
    _route(router, [_value(NOW + SKEW_MS)])
    later = NOW + IDLE_MS + 5000
    router.mark(next_offset=1, now_ms=later, at_end=True, roster=ROSTER)
    assert router.idle
    assert router.watermark <= later - LATENESS_MS


def test_an_event_further_ahead_is_a_dead_letter_and_moves_nothing() -> None:
    router = _router(1)
    routed = _route(router, [_value(NOW + SKEW_MS + 1)])
    assert [str(letter.reason) for letter in routed.dead] == ["from_future"]
    assert router.watermark == -1


def test_a_source_with_nothing_to_read_says_so_after_a_while_and_its_time_goes_on() -> None:
    router = _router(2)
    _route(router, [_value(NOW)])
    quiet = _frames(router.mark(next_offset=1, now_ms=NOW + 1000, at_end=True, roster=ROSTER))
    assert [frame.idle for _, frame in quiet] == [False, False]
    assert {frame.watermark for _, frame in quiet} == {NOW - LATENESS_MS}
    idle = _frames(router.mark(next_offset=1, now_ms=NOW + IDLE_MS + 1000, at_end=True, roster=ROSTER))
    assert [frame.idle for _, frame in idle] == [True, True]
    assert {frame.watermark for _, frame in idle} == {NOW + 1000}


def test_a_recorded_streams_time_goes_on_from_where_it_stood_and_not_to_today() -> None:
    router = _router(1)
    recorded = NOW - 10**11
    _route(router, [_value(recorded)])
    router.mark(next_offset=1, now_ms=NOW + IDLE_MS + 7000, at_end=True, roster=ROSTER)
    assert router.watermark == recorded + IDLE_MS + 7000 - LATENESS_MS


def test_a_source_that_lags_is_not_idle_however_long_it_takes() -> None:
    router = _router(1)
    _route(router, [_value(NOW)])
    for second in range(60):
        router.mark(next_offset=1, now_ms=NOW + second * 1000, at_end=False, roster=ROSTER)
    assert not router.idle
    assert router.watermark == NOW - LATENESS_MS


def test_it_is_live_again_with_its_next_record() -> None:
    router = _router(1)
    _route(router, [_value(NOW)])
    router.mark(next_offset=1, now_ms=NOW + 2 * IDLE_MS, at_end=True, roster=ROSTER)
    _, frame = _frames(_route(router, [_value(NOW + 30_000)], first=1, now=NOW + 30_000, broker=NOW + 30_000))[0]
    assert not frame.idle


def test_a_partition_without_events_hears_the_time_as_well() -> None:
    router = _router(8)
    routed = _route(router, [_value(NOW)])
    assert sorted(place for place, _ in routed.frames) == list(range(8))
    soon = _route(router, [_value(NOW)], first=1, now=NOW + MARK_EVERY_MS - 1)
    assert len(soon.frames) == 1


def test_marks_are_paced() -> None:
    router = _router(3)
    marks = [
        len(router.mark(next_offset=0, now_ms=NOW + ms, at_end=True, roster=ROSTER).frames)
        for ms in range(0, 2000, 100)
    ]
    assert sum(marks) <= 3 * (2000 // MARK_EVERY_MS + 1)


def test_the_end_of_a_recorded_stream_closes_every_partition() -> None:
    router = _router(3)
    frames = _frames(router.finish(next_offset=9, until_ms=NOW, roster=ROSTER))
    assert [(place, frame.idle, frame.watermark) for place, frame in frames] == [(n, True, NOW) for n in range(3)]


def test_records_that_are_no_events_do_not_keep_a_source_from_being_idle() -> None:
    config = Input.model_validate({"topic": "views", "metric": "view", "keep": [{"path": "actor", "exists": True}]})
    router = Router(config=config, partition=0, time=Time(lateness_seconds=10, idle_seconds=10), partitions=1)
    _route(router, [_value(NOW, "v1")])
    heartbeat = b'{"kind":"heartbeat"}'
    for seconds in range(1, 12):
        now = NOW + seconds * 1000
        routed = _route(router, [heartbeat], first=seconds, now=now, broker=now)
        assert (routed.dead, routed.events, routed.skipped) == ([], 0, {"filtered": 1})
        router.mark(next_offset=seconds + 1, now_ms=now + 500, at_end=True, roster=ROSTER)
    assert router.idle
    assert router.watermark > NOW
    _route(router, [_value(NOW + 12_000, "v1")], first=12, now=NOW + 12_000, broker=NOW + 12_000)
    assert not router.idle


def test_for_five_seconds_after_it_woke_a_sources_time_goes_with_the_wall_clock() -> None:
    router = _router(1)
    _route(router, [_value(NOW)], broker=NOW + 10**6)
    before = router.watermark
    router.wake(NOW)
    for since, watermark in ((1_000, before + 1_000), (WAKE_MS - 1, before + WAKE_MS - 1), (WAKE_MS, before + 60_000)):
        _route(router, [_value(NOW + 60_000)], first=since, now=NOW + since, broker=NOW + 10**6)
        assert router.watermark == watermark


def test_a_source_that_had_no_time_when_it_woke_has_none_for_five_seconds() -> None:
    router = _router(1)
    router.wake(NOW)
    _route(router, [_value(NOW)], now=NOW + WAKE_MS - 1)
    assert router.watermark == -1
    router.mark(next_offset=1, now_ms=NOW + WAKE_MS + MARK_EVERY_MS, at_end=False, roster=ROSTER)
    assert router.watermark == NOW - LATENESS_MS


def test_a_source_is_idle_from_the_end_of_its_time_on_and_not_before() -> None:
    router = _router(1)
    _route(router, [_value(NOW)], now=NOW)
    idle = []
    for since in (IDLE_MS - 1, IDLE_MS - 1 + MARK_EVERY_MS):
        router.mark(next_offset=1, now_ms=NOW + since, at_end=True, roster=ROSTER)
        idle.append(router.idle)
    assert idle == [False, True]
    exactly = _router(1)
    exactly.mark(next_offset=0, now_ms=NOW, at_end=True, roster=ROSTER)
    exactly.mark(next_offset=0, now_ms=NOW + IDLE_MS, at_end=True, roster=ROSTER)
    assert exactly.idle
    assert exactly.watermark == -1, "who has read nothing knows no time"


def test_a_mark_comes_half_a_second_after_the_last_word_and_not_before() -> None:
    router = _router(2)
    _route(router, [_value(NOW)])
    marks = [
        len(router.mark(next_offset=1, now_ms=NOW + ms, at_end=False, roster=ROSTER).frames)
        for ms in (MARK_EVERY_MS - 1, MARK_EVERY_MS, 2 * MARK_EVERY_MS - 1, 2 * MARK_EVERY_MS)
    ]
    assert marks == [0, 2, 0, 2]


def test_a_mark_says_up_to_where_the_source_was_read() -> None:
    ((_, frame),) = _frames(_router(1).mark(next_offset=7, now_ms=NOW, at_end=False, roster=ROSTER))
    assert (frame.source, frame.first, frame.next, frame.roster, len(frame.target)) == ("views/0", 7, 7, ROSTER, 0)


def test_how_far_events_are_behind_others_is_known_across_batches() -> None:
    router = _router(1)
    deltas = [[0, -700, 300, 200], [-100], [900, 900]]
    behind = [_route(router, [_value(NOW + delta) for delta in batch], first=10 * n) for n, batch in enumerate(deltas)]
    assert [routed.behind_ms for routed in behind] == [700, 400, 0]
    assert router.last_ts() == router.max_ts == NOW + 900


def test_the_last_event_of_a_source_of_history_is_known_and_moves_no_time() -> None:
    router = _router(1)
    assert router.last_ts() == -1
    old = [msgspec.json.encode(Event(ts=NOW - ago, actor="a", target="v", history=True)) for ago in (500, 200, 400)]
    _route(router, old)
    assert (router.last_ts(), router.max_ts, router.only_history) == (NOW - 200, -1, True)
    mixed = [old[0], _value(NOW - 300)]
    routed = _route(router, mixed, first=3)
    assert (router.last_ts(), router.only_history, routed.behind_ms) == (NOW - 300, False, 0)


def test_what_was_left_out_and_passed_over_is_counted_over_all_stretches() -> None:
    values = [_value(NOW, ip="no address"), b'{"ts":1}', _value(NOW, country="c" * 2000)] * 500 + [_value(NOW)]
    routed = _route(_router(1), values)
    assert (routed.events, len(routed.dead)) == (1001, 500)
    assert routed.unread == {("ip", "bad_address"): 500, ("country", "too_long"): 500}


def test_the_end_of_a_recorded_stream_takes_no_time_back() -> None:
    router = _router(1)
    _route(router, [_value(NOW)])
    router.finish(next_offset=1, until_ms=NOW - 10**6, roster=ROSTER)
    assert router.watermark == NOW - LATENESS_MS


def test_a_source_that_is_held_has_the_time_of_before_and_is_waited_for() -> None:
    router = _router()
    _route(router, [_value(NOW)])
    router.mark(next_offset=1, now_ms=NOW + IDLE_MS, at_end=True, roster=ROSTER)
    assert router.idle
    before = router.watermark
    router.held = True
    held = _frames(router.mark(next_offset=1, now_ms=NOW + 5 * IDLE_MS, at_end=True, roster=ROSTER))
    held += _frames(
        _route(router, [_value(NOW + 6 * IDLE_MS)], first=1, now=NOW + 6 * IDLE_MS, broker=NOW + 6 * IDLE_MS)
    )
    assert {(frame.idle, frame.watermark) for _, frame in held} == {(False, before)}


@given(st.permutations(range(40)))
def test_events_that_come_in_any_order_while_a_source_is_held_are_not_late(order: list[int]) -> None:
    """Producers send what they kept one after another, so the latest may come first."""
    router = _router(1)
    _route(router, [_value(NOW)])
    router.held = True
    for number, second in enumerate(order):
        now = NOW + 40_000 + number
        ((_, frame),) = _frames(_route(router, [_value(NOW + second * 1000)], first=1 + number, now=now, broker=now))
        assert frame.watermark <= NOW - LATENESS_MS
    router.held = False
    router.mark(next_offset=41, now_ms=NOW + 41_000, at_end=False, roster=ROSTER)
    assert router.watermark == NOW + 39_000 - LATENESS_MS


def test_an_idle_source_keeps_the_time_until_which_the_broker_answered() -> None:
    """Nobody knows what it has got since."""
    router = _router()
    _route(router, [_value(NOW)])
    for seconds in range(11, 1000):
        router.mark(
            next_offset=1, now_ms=NOW + seconds * 1000, at_end=True, roster=ROSTER, unheard_ms=(seconds - 11) * 1000
        )
    assert router.watermark == NOW + 11_000 - LATENESS_MS


ACTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d", None]), st.sampled_from(["v1", "v2"]), st.booleans()),
    min_size=1,
    max_size=40,
)


@given(ACTS, st.integers(1, 5), st.booleans())
def test_by_actor_has_each_event_with_an_actor_once_in_the_partition_of_the_actor(
    acts: list[tuple[str | None, str, bool]], partitions: int, pseudonyms: bool
) -> None:
    values = [
        msgspec.json.encode(Event(ts=NOW + n, actor=actor, target=target, owner="o", undo=undo, actor_created_at=n))
        for n, (actor, target, undo) in enumerate(acts)
    ]
    routed = _route(_router(3, ActorLog(partitions, pseudonyms)), values, first=1000)
    found = []
    for place, value in routed.actor_frames:
        frame = decode_actor_frame(value)
        assert (frame.first, frame.next) == (1000, 1000 + len(acts))
        assert (frame.name is None) == (pseudonyms or not frame.target)
        if not frame.target:
            continue
        hashed = numbers(frame, "actor")
        assert set(actor_partitions(hashed, partitions).tolist()) == {place}
        undo = numbers(frame, "undo").tolist() if frame.undo else [0] * len(hashed)
        names: list[str | None] = [None] * len(hashed) if frame.name is None else [*frame.name]
        found += list(zip(offsets(frame).tolist(), hashed.tolist(), frame.target, undo, names, strict=True))
        assert {frame.agent, frame.referrer, frame.ident, frame.session} == {b"", None}
    expected = [
        (1000 + n, int(actor_hashes([actor])[0]) | 1, target, int(undo), None if pseudonyms else actor)
        for n, (actor, target, undo) in enumerate(acts)
        if actor is not None
    ]
    assert sorted(found) == expected


def test_every_partition_of_by_actor_gets_the_watermarks_of_a_source() -> None:
    router = _router(2, ActorLog(3))
    routed = _route(router, [_value(NOW)])
    assert sorted(place for place, _ in routed.actor_frames) == [0, 1, 2]
    marked = router.mark(next_offset=1, now_ms=NOW + MARK_EVERY_MS, at_end=False, roster=ROSTER)
    ended = router.finish(next_offset=1, until_ms=NOW, roster=ROSTER)
    for each in (routed, marked, ended):
        watermarks = {decode_actor_frame(value).watermark for _, value in each.actor_frames}
        assert watermarks == {decode(value).watermark for _, value in each.frames}


def test_without_actors_nothing_is_routed_by_actor_and_by_target_is_the_same() -> None:
    plain, both = _route(_router(), [_value(NOW)]), _route(_router(4, ActorLog(4)), [_value(NOW)])
    assert plain.actor_frames == []
    assert plain.frames == both.frames
