"""Converts events to the columns that an audit reads, as the frames of ``streams`` do, with hashes of the stdlib.

Bucket numbers differ from the worker's, which uses another hash. Detectors must not depend on them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from hashlib import blake2b

from detectors.events.actor import with_account, without_account
from detectors.events.block import EventBlock
from detectors.events.buckets import MIX_BUCKETS, NETWORK_BUCKETS, OWNER_SPACE, account_bucket, network_bucket
from detectors.events.event import METRIC_INDEX, NOBODY, Event
from detectors.events.watch_buckets import watch_bucket
from detectors.windows.crowd import HASH_SPACE

CACHE_ENTRIES = 400_000


class Packer:
    """Packs events into one block per partition. ``without`` are fields that the platform does not send."""

    def __init__(self, partitions: int, without: Iterable[str] = ()) -> None:
        self._partitions = partitions
        self._without = frozenset(without)
        self._places = Numbered(text_hash, partitions)
        self._actors = Numbered(text_hash, HASH_SPACE)
        self._networks = Numbered(lambda ip: text_hash(network_of(ip)), NETWORK_BUCKETS)
        self._agents = Numbered(text_hash, MIX_BUCKETS)
        self._referrers = Numbered(lambda text: text_hash(referring_host(text)), MIX_BUCKETS)
        self._countries = Numbered(text_hash, MIX_BUCKETS)

    def pack(self, events: Iterable[Event]) -> list[tuple[int, EventBlock]]:
        """Pairs of (partition, block), in order of partitions."""
        by_place: dict[int, list[Event]] = {}
        place = self._places.number
        for event in events:
            by_place.setdefault(place(event.target), []).append(event)
        return [(number, self._block(rows)) for number, rows in sorted(by_place.items())]

    def _block(self, rows: list[Event]) -> EventBlock:
        undo, history = [e.undo for e in rows], [e.history for e in rows]
        return EventBlock(
            target=[e.target for e in rows],
            metric=[METRIC_INDEX[e.metric or "view"] for e in rows],
            ts=[e.ts for e in rows],
            actor=[self._actor(e) for e in rows],
            ident=self._column("id", rows, lambda e: -1 if e.id is None else text_hash(e.id) % HASH_SPACE),
            network=self._column("ip", rows, self._network),
            agent=self._column("user_agent", rows, lambda e: self._agents.number(e.user_agent)),
            referrer=self._column("referrer", rows, lambda e: self._referrers.number(e.referrer)),
            country=self._column("country", rows, lambda e: self._countries.number(e.country)),
            account=self._column("actor_created_at", rows, lambda e: account_bucket(e.actor_created_at, e.ts)),
            watch=self._column("watch_ms", rows, lambda e: watch_bucket(e.watch_ms, e.duration_ms)),
            owner=self._column("owner", rows, lambda e: -1 if e.owner is None else text_hash(e.owner) % OWNER_SPACE),
            undo=undo if True in undo else None,
            spent=self._column("watch_ms", rows, lambda e: -1 if e.watch_ms is None else e.watch_ms),
            history=history if True in history else None,
        )

    def _actor(self, event: Event) -> int:
        if event.actor is None:
            return NOBODY
        given = event.actor_created_at is not None and "actor_created_at" not in self._without
        return with_account(without_account(self._actors.number(event.actor)), given)

    def _network(self, event: Event) -> int:
        country = -1 if "country" in self._without else self._countries.number(event.country)
        return network_bucket(self._networks.number(event.ip), country)

    def _column(self, name: str, rows: list[Event], number: Callable[[Event], int]) -> list[int] | None:
        if name in self._without:
            return None
        column = [number(e) for e in rows]
        return None if column.count(-1) == len(column) else column


class Numbered:
    """Maps texts to numbers below ``size``, with a bounded cache; -1 for None."""

    def __init__(self, derive: Callable[[str], int], size: int) -> None:
        self._derive = derive
        self._size = size
        self._known: dict[str | None, int] = {None: -1}

    def number(self, text: str | None) -> int:
        """The text's number."""
        found = self._known.get(text)
        if found is None and text is not None:
            if len(self._known) > CACHE_ENTRIES:
                self._known = {None: -1}
            found = self._known[text] = self._derive(text) % self._size
        return -1 if found is None else found


def network_of(ip: str) -> str:
    """The IPv4 /24 or IPv6 /48 network of an address.

    >>> network_of("203.0.113.77"), network_of("2001:db8:1:2::3")
    ('203.0.113', '2001:db8:1::/48')
    """
    if ":" not in ip:
        return ip.rpartition(".")[0]
    return str(ipaddress.ip_network((ip, 48), strict=False))


def referring_host(referrer: str) -> str:
    """The host of a URL, or the text itself.

    >>> referring_host("https://news.example/story"), referring_host("search")
    ('news.example', 'search')
    """
    return referrer.split("/")[2] if "://" in referrer else referrer


def text_hash(text: str) -> int:
    """The 63-bit hash of a text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
