"""Frames: what travels in ``by-target``. Events of one source for one partition, packed in columns, and a watermark.

A frame tells from which input offsets it was made (``first`` ≤ offset < ``next``), so a reader that has seen a
source up to an offset skips what comes again; and how far its source's time has come, so quiet partitions still close.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from detectors.events import (
    METRICS,
    MIX_BUCKETS,
    NETWORK_BUCKETS,
    Event,
    EventBlock,
    account_bucket,
    country_offset,
)
from detectors.features import watch_bucket
from detectors.rules.reasons import TAGS
from detectors.windows import HASH_SPACE
from streams.rules.tagging import Tagger

FRAME_VERSION = 1
CACHE_ENTRIES = 100_000
AGENT_CHARS = 256
"""User agents are kept up to here; what tells them apart comes earlier."""


class Frame(msgspec.Struct, array_like=True, gc=False):
    """See the module. Columns are equally long; an optional column nobody filled is None."""

    version: int
    source: str
    first: int
    next: int
    watermark: int
    idle: bool
    roster: dict[str, int]
    offset: list[int] = []
    target: list[str] = []
    metric: list[int] = []
    ts: list[int] = []
    actor: list[str] = []
    id: list[str | None] | None = None
    network: list[str | None] | None = None
    agent: list[str | None] | None = None
    referrer: list[str | None] | None = None
    country: list[str | None] | None = None
    created: list[int | None] | None = None
    watch_ms: list[int | None] | None = None
    duration_ms: list[int | None] | None = None
    session: list[str | None] | None = None
    owner: list[str | None] | None = None
    undo: list[bool] | None = None
    rule: list[int] | None = None
    """what ingest found out for the rules (detectors.rules.reasons.TAGS)"""


COLUMNS = Frame.__struct_fields__[7:]


class FrameError(ValueError):
    """A record in the log that is no frame this version can read."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """Frame to bytes."""
    return _encoder.encode(frame)


def decode(value: bytes | None) -> Frame:
    """Bytes to frame. Raises FrameError."""
    try:
        frame = _decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError(f"not a frame: {error}") from None
    if frame.version != FRAME_VERSION:
        raise FrameError(f"frame version {frame.version}; this worker reads {FRAME_VERSION}")
    size = len(frame.target)
    for name in COLUMNS:
        column = getattr(frame, name)
        if column is not None and len(column) != size:
            raise FrameError(f"column {name} has {len(column)} values for {size} events")
    if frame.rule is not None and size and not 0 <= min(frame.rule) <= max(frame.rule) < len(TAGS):
        raise FrameError("a rule that this version does not know")
    if size and not 0 <= min(frame.metric) <= max(frame.metric) < len(METRICS):
        raise FrameError("a metric that this version does not know")
    return frame


def partition_of(target: str, partitions: int) -> int:
    """The partition of ``by-target`` that a target's events go to: XXH3-64 of the id."""
    return xxhash.xxh3_64_intdigest(target.encode()) % partitions


def fill(frame: Frame, rows: list[tuple[int, int, Event]], tagger: Tagger) -> None:
    """Set a frame's columns from (offset, metric index, event) rows."""
    events = [row[2] for row in rows]
    frame.offset = [row[0] - frame.first for row in rows]
    frame.metric = [row[1] for row in rows]
    frame.target = [e.target for e in events]
    frame.ts = [e.ts for e in events]
    frame.actor = [e.actor for e in events]
    frame.id = _given([e.id for e in events])
    ips, agents = [e.ip for e in events], [e.user_agent for e in events]
    frame.rule = tagger.tags(ips, agents)
    frame.network = _derived(ips, _networks, network_of)
    frame.agent = _given([agent and agent[:AGENT_CHARS] for agent in agents])
    frame.referrer = _derived([e.referrer for e in events], _referrers, referrer_host)
    frame.country = _given([e.country for e in events])
    frame.created = _given([e.actor_created_at for e in events])
    frame.watch_ms = _given([e.watch_ms for e in events])
    frame.duration_ms = _given([e.duration_ms for e in events])
    frame.session = _given([e.session for e in events])
    frame.owner = _given([e.owner for e in events])
    undo = [e.undo for e in events]
    frame.undo = undo if True in undo else None


def _given(column: list[Any]) -> list[Any] | None:
    return None if column.count(None) == len(column) else column


_networks: dict[str, str | None] = {}
_referrers: dict[str, str | None] = {}


def _derived(column: list[str | None], cache: dict[str, str | None], derive: Any) -> list[str | None] | None:
    if column.count(None) == len(column):
        return None
    derived: list[str | None] = []
    for value in column:
        if value is None:
            derived.append(None)
            continue
        found = _IPV4(value) if derive is network_of else None
        if found is not None:  # quicker than the cache, which a platform's worth of addresses overflows
            derived.append(f"{found[1]}.0/24")
            continue
        try:
            derived.append(cache[value])
        except KeyError:
            if len(cache) >= CACHE_ENTRIES:
                cache.clear()
            cache[value] = result = derive(value)
            derived.append(result)
    return _given(derived)


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"({_OCTET}\.{_OCTET}\.{_OCTET})\.{_OCTET}").fullmatch
"""What nearly every address is, without building an address object (18 µs)."""


def network_of(ip: str) -> str | None:
    """The IPv4 /24 or IPv6 /48 of an address, None if it is none.

    >>> network_of("203.0.113.77"), network_of("2001:db8:1:2::3"), network_of("somewhere")
    ('203.0.113.0/24', '2001:db8:1::/48', None)
    """
    found = _IPV4(ip)
    if found is not None:
        return f"{found[1]}.0/24"
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    prefix = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, prefix), strict=False))


def referrer_host(referrer: str) -> str | None:
    """The host of a referrer, or the text itself if it is not a URL.

    >>> referrer_host("https://news.example/a?b"), referrer_host("search")
    ('news.example', 'search')
    """
    try:
        return (urlsplit(referrer).hostname or referrer)[:128]
    except ValueError:
        return referrer[:128]


_hash = xxhash.xxh3_64_intdigest
_HASH_MASK = np.uint64(HASH_SPACE - 1)
_ACTOR_MASK = np.uint64(HASH_SPACE - 2)
"""Without the lowest bit, which tells accounts (see EventBlock)."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Keeps a target's hash and an id's from cancelling each other where they are the same text."""


class Buckets:
    """Names into hashed buckets, remembered up to a bound."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: dict[str | None, int] = {None: -1}

    def column(self, names: list[str | None] | None) -> NDArray[np.int32] | None:
        """Bucket numbers of a column; -1 where it has None."""
        if names is None:
            return None
        known = self._known
        try:
            return np.fromiter(map(known.__getitem__, names), np.int32, len(names))
        except KeyError:
            pass
        if len(known) > CACHE_ENTRIES:
            known.clear()
            known[None] = -1
        for name in names:
            if name is not None and name not in known:
                known[name] = _hash(name.encode()) % self._size
        return np.fromiter(map(known.__getitem__, names), np.int32, len(names))


_network_buckets = Buckets(NETWORK_BUCKETS)
_agent_buckets = Buckets(MIX_BUCKETS)
_referrer_buckets = Buckets(MIX_BUCKETS)
_country_buckets = Buckets(MIX_BUCKETS)


def block_of(frame: Frame, seen_offset: int) -> EventBlock | None:
    """The frame's events as the detectors read them, less those below ``seen_offset`` of their source."""
    if not frame.target:
        return None
    if frame.first < seen_offset:
        frame = _from_offset(frame, seen_offset)
        if not frame.target:
            return None
    return EventBlock(
        target=frame.target,
        metric=frame.metric,
        ts=frame.ts,
        actor=_actors(frame),
        ident=None if frame.id is None else _identities(frame),
        network=_networks_of(frame),
        agent=_agent_buckets.column(frame.agent),
        referrer=_referrer_buckets.column(frame.referrer),
        country=_country_buckets.column(frame.country),
        account=None if frame.created is None else list(map(account_bucket, frame.created, frame.ts)),
        watch=None if frame.watch_ms is None or frame.duration_ms is None else _watches(frame),
        undo=frame.undo,
        rule=frame.rule,
    )


def _watches(frame: Frame) -> list[int]:
    return [watch_bucket(w, d) for w, d in zip(frame.watch_ms or [], frame.duration_ms or [], strict=True)]


def actor_hashes(actors: list[str]) -> NDArray[np.int64]:
    """Actors as detectors know them, without the lowest bit, which tells accounts (see EventBlock)."""
    hashes: NDArray[np.int64] = (_hashes(actors) & _ACTOR_MASK).astype(np.int64)
    return hashes


def _actors(frame: Frame) -> NDArray[np.int64]:
    actors = actor_hashes(frame.actor)
    if frame.created is not None:
        actors |= np.array([created is not None for created in frame.created], np.int64)
    return actors


def _networks_of(frame: Frame) -> NDArray[np.int32] | None:
    networks, countries = _network_buckets.column(frame.network), _country_buckets.column(frame.country)
    if networks is None or countries is None:
        return networks
    within: NDArray[np.int32] = np.where(networks < 0, networks, networks + country_offset(countries))
    return within


def _hashes(texts: list[str]) -> NDArray[np.uint64]:
    return np.fromiter(map(_hash, map(str.encode, texts)), np.uint64, len(texts))


def _identities(frame: Frame) -> NDArray[np.int64]:
    """An id counts once per target and metric; -1 where there is none."""
    ids = frame.id or []
    targets = _hashes(frame.target) * _ODD + np.array(frame.metric, np.uint64)
    given = ids if None not in ids else [ident or "" for ident in ids]
    idents = ((_hashes(given) ^ targets) & _HASH_MASK).astype(np.int64)  # type: ignore[arg-type]  # no None is left
    if given is not ids:
        idents[[ident is None for ident in ids]] = -1
    return idents


def _from_offset(frame: Frame, offset: int) -> Frame:
    keep = [i for i, delta in enumerate(frame.offset) if frame.first + delta >= offset]
    columns = {}
    for name in COLUMNS:
        column = getattr(frame, name)
        columns[name] = None if column is None else [column[i] for i in keep]
    return msgspec.structs.replace(frame, **columns)
