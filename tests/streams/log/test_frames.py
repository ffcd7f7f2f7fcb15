"""A frame carries events unchanged, and a reader can tell which of them it has seen."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.buckets import COHORT_BUCKETS, MIX_BUCKETS, NETWORK_BUCKETS, account_bucket, account_buckets
from detectors.events.event import FIELDS, MAX_TS_MS, Event
from detectors.events.watch_buckets import watch_bucket, watch_buckets
from detectors.windows.crowd import HASH_SPACE
from streams.log.blocks import block_of
from streams.log.columns import event_columns, joined
from streams.log.frames import FRAME_VERSION, Frame, encode, numbers, offsets, times
from streams.log.hashing import AGENT_CHARS, NetworkHasher, all_ipv4, name_hash, network_of, partition_of, referrer_host
from streams.log.versions import FrameError, FrameOfTexts, decode

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
times_ms = st.integers(0, MAX_TS_MS)
spans = st.integers(0, 10**9)
events = st.builds(
    Event,
    ts=times_ms,
    actor=st.none() | texts,
    target=texts,
    id=st.none() | texts,
    owner=st.none() | texts,
    ip=st.none() | st.ip_addresses().map(str) | texts,
    user_agent=st.none() | st.text(st.characters(codec="utf-8"), max_size=400),
    session=st.none() | texts,
    watch_ms=st.none() | spans,
    duration_ms=st.none() | spans,
    referrer=st.none() | texts,
    country=st.none() | texts,
    actor_created_at=st.none() | times_ms,
    undo=st.booleans(),
    history=st.booleans(),
)
batches = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), events), min_size=1, max_size=20)


Rows = list[tuple[int, int, Event]]


def _frame(rows: Rows, first: int = 100, *, cut: int = 0) -> Frame:
    """A frame of rows whose offsets are given as gaps, made of two stretches if there is a ``cut``."""
    placed, end = _placed(rows, first)
    frame = Frame(FRAME_VERSION, "views/3", first, end, 77, False, {"views": 4})
    parts = [placed[:cut], placed[cut:]]
    columns = joined(
        [
            event_columns(
                dict(
                    zip(
                        FIELDS, zip(*(msgspec.structs.astuple(event) for _, _, event in part), strict=True), strict=True
                    )
                ),
                offset=np.array([offset for offset, _, _ in part]),
                metric=np.array([metric for _, metric, _ in part], np.int8),
                ts=np.array([event.ts for _, _, event in part]),
            )
            for part in parts
            if part
        ]
    )
    columns.fill(frame, 0, len(rows))
    return frame


def _placed(rows: Rows, first: int) -> tuple[Rows, int]:
    placed, offset = [], first
    for gap, metric, event in rows:
        offset += gap
        placed.append((offset, metric, event))
        offset += 1
    return placed, offset


def _frame_of_texts(rows: Rows, first: int = 100) -> bytes:
    """The same as it was written until version 1."""
    placed, end = _placed(rows, first)
    events = [event for _, _, event in placed]

    def given(column: list[Any]) -> list[Any] | None:
        return None if column.count(None) == len(column) else column

    frame = FrameOfTexts(
        *(1, "views/3", first, end, 77, False, {"views": 4}),
        offset=[offset - first for offset, _, _ in placed],
        target=[e.target for e in events],
        metric=[metric for _, metric, _ in placed],
        ts=[e.ts for e in events],
        actor=[e.actor or "" for e in events],
        id=given([e.id for e in events]),
        network=given([e.ip and network_of(e.ip) for e in events]),
        agent=given([e.user_agent and e.user_agent[:AGENT_CHARS] for e in events]),
        referrer=given([e.referrer and referrer_host(e.referrer) for e in events]),
        country=given([e.country for e in events]),
        created=given([e.actor_created_at for e in events]),
        watch_ms=given([e.watch_ms for e in events]),
        duration_ms=given([e.duration_ms for e in events]),
        session=given([e.session for e in events]),
        owner=given([e.owner for e in events]),
        undo=[e.undo for e in events] if any(e.undo for e in events) else None,
    )
    return msgspec.msgpack.encode(frame)


@given(batches)
def test_what_was_packed_comes_out_equal(rows: Rows) -> None:
    frame = decode(encode(_frame(rows)))
    assert frame == _frame(rows)
    assert (frame.source, frame.watermark, frame.roster) == ("views/3", 77, {"views": 4})
    assert frame.target == [event.target for _, _, event in rows]
    assert numbers(frame, "metric").tolist() == [metric for _, metric, _ in rows]
    assert times(frame).tolist() == [event.ts for _, _, event in rows]
    assert offsets(frame).tolist() == [offset for offset, _, _ in _placed(rows, 100)[0]]
    for name in ("undo", "history"):
        marked = numbers(frame, name).tolist() if getattr(frame, name) else [0] * len(rows)
        assert marked == [getattr(event, name) for _, _, event in rows]
    assert [actor < 0 for actor in numbers(frame, "actor").tolist()] == [event.actor is None for _, _, event in rows]
    for name in ("session", "owner"):
        assert getattr(frame, name) in (None, [getattr(event, name) for _, _, event in rows])


@given(batches, st.integers(0, 20))
def test_a_batch_that_was_read_in_stretches_is_the_same(rows: Rows, cut: int) -> None:
    assert _as_lists(_frame(rows, cut=cut)) == _as_lists(_frame(rows))


named = batches.map(
    lambda rows: [
        (gap, metric, msgspec.structs.replace(event, actor=event.actor or "a", history=False))
        for gap, metric, event in rows
    ]
)
"""What versions of frames until 2 could have: each event had an actor, and none was historic."""


@given(named, st.integers(0, 160))
def test_a_frame_of_version_1_reads_as_it_would_be_written_today(rows: Rows, seen: int) -> None:
    older, today = decode(_frame_of_texts(rows)), _frame(rows)
    assert _as_lists(older, seen) == _as_lists(today, seen)
    assert (older.first, older.next, older.watermark, older.target) == (
        *(today.first, today.next, today.watermark),
        today.target,
    )


VERSION_2 = bytes.fromhex(
    "dc001902a776696577732f3364664dc281a5766965777304cf0000018bcfe5680092a27631a27632c4020001c4020001c4040000f401"
    "c410c962bd4c48892c48e4b8490fc4c00314c410490ba13d3b20fc1fffffffffffffffffc408f1125269ffffffffc40873ebcf4dffff"
    "ffffc4080c087444ffffffffc40856333c5fffffffffc410009e4a948b010000ffffffffffffffffc404b80bffffc40880a90300ffff"
    "ffffc4020001c402000292a173c092a16fc0"
)
"""The two events of the test below, as a worker that wrote version 2 put them into the log."""


def test_a_frame_of_version_2_reads_as_it_would_be_written_today() -> None:
    ann = Event(
        *(1_700_000_000_000, "ann", "v1", None, "1", "o", "192.0.2.7", "A/1", "s", 3000, 240_000),
        *("https://news.example/", "de", 1_699_000_000_000),
    )
    bob = Event(1_700_000_000_500, "bob", "v2", undo=True)
    older, today = decode(VERSION_2), _frame([(0, 0, ann), (0, 1, bob)])
    block, wanted = _as_lists(older), _as_lists(today)
    assert block is not None
    assert wanted is not None
    assert block.pop("rule") == [0, 2]
    assert wanted.pop("rule") is None
    assert block == wanted


def _as_lists(frame: Frame, seen: int = 0) -> dict[str, list[Any] | None] | None:
    block = block_of(frame, seen)
    if block is None:
        return None
    columns = {name: getattr(block, name) for name in block.__struct_fields__}
    return {name: None if column is None else list(column) for name, column in columns.items()}


@given(st.lists(st.tuples(st.just(-1) | times_ms, times_ms, st.just(-1) | spans, st.just(-1) | spans), min_size=1))
def test_columns_have_the_buckets_of_their_values(rows: list[tuple[int, int, int, int]]) -> None:
    created, ts, watched, lasting = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    none = [[None if value < 0 else value for value in row] for row in rows]
    assert account_buckets(created, ts).tolist() == [account_bucket(c, t or 0) for c, t, _, _ in none]
    assert watch_buckets(watched, lasting).tolist() == [watch_bucket(w, d) for _, _, w, d in none]


@given(batches)
def test_a_block_has_whole_columns_within_their_ranges(rows: Rows) -> None:
    block = block_of(_frame(rows), 0)
    assert block is not None
    ranges = {
        "actor": HASH_SPACE,
        "ident": HASH_SPACE,
        "network": NETWORK_BUCKETS * (MIX_BUCKETS + 1),
        "account": 2 * COHORT_BUCKETS,
    }
    ranges |= dict.fromkeys(("agent", "referrer", "country"), MIX_BUCKETS)
    for name, size in ranges.items():
        column = getattr(block, name)
        if column is not None:
            assert len(column) == len(rows)
            assert all(-1 <= value < size for value in column)
    assert block.account is None or len(block.account) == len(rows)


@given(batches)
def test_what_nobody_sent_is_no_column(rows: Rows) -> None:
    bare = [(gap, metric, Event(ts=e.ts, actor=e.actor, target=e.target)) for gap, metric, e in rows]
    block = block_of(_frame(bare), 0)
    assert block is not None
    columns = ("ident", "network", "agent", "referrer", "country", "account", "watch", "undo", "history")
    assert [getattr(block, name) for name in columns] == [None] * len(columns)


@given(batches, st.integers(0, 160))
def test_a_reader_skips_what_it_has_seen_and_no_more(rows: Rows, seen: int) -> None:
    frame = _frame(rows)
    kept = [i for i, offset in enumerate(offsets(frame).tolist()) if offset >= seen]
    whole, rest = block_of(_frame(rows), 0), block_of(decode(encode(frame)), seen)
    assert whole is not None
    if not kept:
        assert rest is None
        return
    assert rest is not None
    for name in rest.__struct_fields__:
        column, part = getattr(whole, name), getattr(rest, name)
        assert (None if part is None else list(part)) == (None if column is None else [column[i] for i in kept])


def test_a_frame_without_events_is_a_watermark() -> None:
    assert block_of(decode(encode(Frame(FRAME_VERSION, "views/0", 5, 5, 9, True, {"views": 1}))), 0) is None


def test_one_id_counts_once_per_target_and_metric() -> None:
    rows = [(0, m, Event(ts=1, actor="a", target=t, id="x")) for m, t in [(0, "v"), (1, "v"), (0, "w"), (0, "v")]]
    block = block_of(_frame(rows), 0)
    assert block is not None
    assert block.ident is not None
    one, other_metric, other_target, again = block.ident
    assert again == one
    assert len({one, other_metric, other_target}) == 3


@given(st.integers(0, (1 << 32) - 1).map(ipaddress.IPv4Address))
def test_an_ipv4_address_belongs_to_its_24(ip: ipaddress.IPv4Address) -> None:
    network = ipaddress.ip_network(network_of(str(ip)) or "")
    assert network.prefixlen == 24
    assert ip in network
    assert network_of(f"::ffff:{ip}") == str(network)


ipv6_addresses = st.integers(1 << 48, (1 << 128) - 1).map(ipaddress.IPv6Address)


@given(ipv6_addresses)
def test_an_ipv6_address_belongs_to_its_48(ip: ipaddress.IPv6Address) -> None:
    network = ipaddress.ip_network(network_of(str(ip)) or "")
    assert network.prefixlen == 48
    assert ip in network


@given(st.text(max_size=40))
def test_anything_else_given_as_an_address_or_referrer_is_no_error(text: str) -> None:
    network_of(text)
    assert len(referrer_host(text) or "") <= 128


addresses = st.none() | st.ip_addresses().map(str) | st.ip_addresses(v=6).map(lambda ip: ip.exploded)
odd_addresses = st.text("0123456789abf.:/% ", max_size=24) | st.sampled_from(
    ["::ffff:9.8.7.6", "fe80::1%a.5", "::", "1.2.3."]
)


near_addresses = st.from_regex(r"[0-9]{1,3}(\.[0-9]{0,3}){3}|[0-9.,]{0,15}", fullmatch=True)


@given(st.lists(near_addresses, min_size=1, max_size=3))
def test_addresses_are_all_of_ipv4_if_the_standard_library_says_so_of_each(ips: list[str]) -> None:
    def is_one(ip: str) -> bool:
        try:
            return ipaddress.ip_address(ip).version == 4
        except ValueError:
            return False

    assert all_ipv4(ips) == all(map(is_one, ips))


@given(st.lists(addresses | odd_addresses | near_addresses, min_size=1, max_size=8))
def test_a_column_of_addresses_is_the_networks_of_each(ips: list[str | None]) -> None:
    assert NetworkHasher().column(ips).tolist() == [name_hash(None if ip is None else network_of(ip)) for ip in ips]


@given(odd_addresses | st.ip_addresses(v=6).map(str))
def test_a_network_is_what_the_standard_library_says(ip: str) -> None:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        assert network_of(ip) is None
        return
    mapped = getattr(address, "ipv4_mapped", None) or address
    prefix = 24 if mapped.version == 4 else 48
    assert network_of(ip) == str(ipaddress.ip_network((mapped, prefix), strict=False))


def test_a_scoped_address_is_its_network() -> None:
    assert network_of("fe80::1%eth0") == "fe80::/48"


@given(texts, st.integers(1, 64))
def test_a_target_has_one_partition(target: str, partitions: int) -> None:
    assert 0 <= partition_of(target, partitions) < partitions
    assert partition_of(target, partitions) == partition_of(target, partitions)


def test_the_partition_of_a_target_is_what_it_was_in_earlier_versions() -> None:
    assert [partition_of(target, 8) for target in ("v1", "v2", "v3", "é")] == [5, 0, 6, 3]


@given(st.binary(max_size=80))
def test_what_is_no_frame_is_named_and_nothing_worse(value: bytes) -> None:
    with pytest.raises(FrameError):
        decode(value)


@pytest.mark.parametrize("value", [None, b"", encode(Frame(99, "views/0", 0, 0, 0, False, {}))])
def test_nothing_and_another_versions_frame_are_no_frames(value: bytes | None) -> None:
    with pytest.raises(FrameError):
        decode(value)


@pytest.mark.parametrize("column", ["offset", "metric", "actor", "network", "country", "undo", "history", "owner"])
def test_a_frame_whose_columns_differ_in_length_is_no_frame(column: str) -> None:
    row = (0, 0, Event(ts=1, actor="a", target="v", ip="10.0.0.1", country="de", owner="o", undo=True, history=True))
    frame = _frame([row, row])
    broken = msgspec.structs.replace(frame, **{column: getattr(frame, column)[:1]})
    with pytest.raises(FrameError):
        decode(encode(broken))


@pytest.mark.parametrize("metric", [-1, 3])
def test_a_frame_with_a_metric_that_is_not_known_is_no_frame(metric: int) -> None:
    with pytest.raises(FrameError):
        decode(encode(_frame([(0, metric, Event(ts=1, actor="a", target="v"))])))
