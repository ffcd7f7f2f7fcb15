"""A frame carries events unchanged, and a reader can tell which of them it has seen."""

from __future__ import annotations

import ipaddress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events import COHORT_BUCKETS, MAX_TS_MS, MIX_BUCKETS, NETWORK_BUCKETS, Event
from detectors.windows import HASH_SPACE
from streams.frames import (
    FRAME_VERSION,
    Frame,
    FrameError,
    block_of,
    decode,
    encode,
    fill,
    network_of,
    partition_of,
    referrer_host,
)
from streams.rules.config import Rules
from streams.rules.tagging import Tagger

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
times = st.integers(0, MAX_TS_MS)
events = st.builds(
    Event,
    ts=times,
    actor=texts,
    target=texts,
    id=st.none() | texts,
    owner=st.none() | texts,
    ip=st.none() | st.ip_addresses().map(str) | texts,
    user_agent=st.none() | st.text(st.characters(codec="utf-8"), max_size=400),
    session=st.none() | texts,
    watch_ms=st.none() | st.integers(0, 10**9),
    duration_ms=st.none() | st.integers(0, 10**9),
    referrer=st.none() | texts,
    country=st.none() | texts,
    actor_created_at=st.none() | times,
    undo=st.booleans(),
)
batches = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), events), min_size=1, max_size=20)


def _frame(rows: list[tuple[int, int, Event]], first: int = 100) -> Frame:
    """A frame of rows whose offsets are given as gaps."""
    placed, offset = [], first
    for gap, metric, event in rows:
        offset += gap
        placed.append((offset, metric, event))
        offset += 1
    frame = Frame(FRAME_VERSION, "views/3", first, offset, 77, False, {"views": 4})
    fill(frame, placed, Tagger(Rules()))
    return frame


@given(batches)
def test_what_was_packed_comes_out_equal(rows: list[tuple[int, int, Event]]) -> None:
    frame = decode(encode(_frame(rows)))
    assert frame == _frame(rows)
    assert (frame.source, frame.watermark, frame.roster) == ("views/3", 77, {"views": 4})
    assert frame.target == [event.target for _, _, event in rows]
    assert frame.metric == [metric for _, metric, _ in rows]
    assert frame.ts == [event.ts for _, _, event in rows]
    assert [undo or False for undo in frame.undo or [False] * len(rows)] == [event.undo for _, _, event in rows]


@given(batches)
def test_a_block_has_whole_columns_within_their_ranges(rows: list[tuple[int, int, Event]]) -> None:
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
def test_what_nobody_sent_is_no_column(rows: list[tuple[int, int, Event]]) -> None:
    bare = [(gap, metric, Event(ts=e.ts, actor=e.actor, target=e.target)) for gap, metric, e in rows]
    block = block_of(_frame(bare), 0)
    assert block is not None
    columns = ("ident", "network", "agent", "referrer", "country", "account", "watch", "undo")
    assert [getattr(block, name) for name in columns] == [None] * len(columns)


@given(batches, st.integers(0, 160))
def test_a_reader_skips_what_it_has_seen_and_no_more(rows: list[tuple[int, int, Event]], seen: int) -> None:
    frame = _frame(rows)
    kept = [i for i, delta in enumerate(frame.offset) if frame.first + delta >= seen]
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


@pytest.mark.parametrize("column", ["offset", "metric", "actor", "ip", "country", "undo"])
def test_a_frame_whose_columns_differ_in_length_is_no_frame(column: str) -> None:
    row = (0, 0, Event(ts=1, actor="a", target="v", ip="10.0.0.1", country="de", undo=True))
    frame = _frame([row, row])
    name = "network" if column == "ip" else column
    broken = msgspec.structs.replace(frame, **{name: getattr(frame, name)[:1]})
    with pytest.raises(FrameError):
        decode(encode(broken))


@pytest.mark.parametrize("metric", [-1, 3])
def test_a_frame_with_a_metric_that_is_not_known_is_no_frame(metric: int) -> None:
    with pytest.raises(FrameError):
        decode(encode(_frame([(0, metric, Event(ts=1, actor="a", target="v"))])))
