"""What names become on their way to the detectors: partitions, hashes, networks, hosts.

All hashes are XXH3-64 of the UTF-8 bytes: the same in every process and version, which replay needs.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

import numpy as np
import xxhash
from numpy.typing import NDArray

from detectors.events.actor import without_account
from detectors.events.event import NOBODY
from detectors.windows.crowd import HASH_SPACE

CACHE_ENTRIES = 100_000
AGENT_CHARS = 256
"""User agents are told apart by what comes up to here."""
HOST_CHARS = 128

MIX_MASK = (1 << 31) - 1
"""Of the name of a network, an agent, a referrer or a country 31 bits travel; buckets are their lowest."""

_hash = xxhash.xxh3_64_intdigest
_ID_MASK = np.uint64(HASH_SPACE - 1)
_ACTOR_MASK = np.uint64(without_account(HASH_SPACE - 1))
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Keeps a target's hash and an id's from cancelling each other where they are the same text."""

Hashes = NDArray[np.uint64]


def hashes(texts: Sequence[str]) -> Hashes:
    """Hashes of texts."""
    return np.fromiter(map(_hash, map(str.encode, texts)), np.uint64, len(texts))


def partition_of(target: str, partitions: int) -> int:
    """The partition of ``by-target`` that a target's events go to: its hash modulo their number."""
    return _hash(target.encode()) % partitions


def actor_hashes(actors: Sequence[str | None]) -> NDArray[np.int64]:
    """Actors as 63-bit hashes without the bit that tells accounts (detectors.events.actor); NOBODY for None."""
    try:
        whole = hashes(actors)  # type: ignore[arg-type]  # a None raises TypeError, which is the test
    except TypeError:
        hashed = actor_hashes([actor or "" for actor in actors])
        hashed[[actor is None for actor in actors]] = NOBODY
        return hashed
    return (whole & _ACTOR_MASK).astype(np.int64)


def identities(ids: Sequence[str | None], targets: Hashes, metric: NDArray[np.int8]) -> NDArray[np.int64]:
    """Ids as 63-bit hashes, -1 where there is none. An id counts once per target and metric."""
    missing = None in ids
    given: Sequence[str] = [ident or "" for ident in ids] if missing else ids  # type: ignore[assignment]  # no None is left
    places = targets * _ODD + metric.astype(np.uint64)
    idents: NDArray[np.int64] = ((hashes(given) ^ places) & _ID_MASK).astype(np.int64)
    if missing:
        idents[[ident is None for ident in ids]] = -1
    return idents


class Mix:
    """Names of one kind into 31-bit hashes of what is ``derived`` from them, remembered up to a bound; None is -1."""

    def __init__(self, derived: Callable[[str], str | None]) -> None:
        self._derived = derived
        self._known: dict[str | None, int] = {None: -1}

    def column(self, names: Sequence[str | None]) -> NDArray[np.int32]:
        """Hashes of a column of names."""
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
                known[name] = mix_hash(self._derived(name))
        return np.fromiter(map(known.__getitem__, names), np.int32, len(names))


class Networks:
    """As ``Mix``, for addresses. Those of IPv4, which nearly all are, are hashed anew.

    There are tens of thousands of networks: to find one in a dict costs several times its hash, in cache misses.
    """

    def __init__(self) -> None:
        self._others = Mix(network_of)

    def column(self, addresses: Sequence[str | None]) -> NDArray[np.int32]:
        """Hashes of the addresses' networks; -1 where there is none."""
        dotted = [address for address in addresses if address is not None and ":" not in address]
        if not dotted or not all_ipv4(dotted):
            return self._others.column(addresses)
        hashed = self.plain_column(dotted)
        if len(dotted) == len(addresses):
            return hashed
        is_dotted = [address is not None and ":" not in address for address in addresses]
        column = self._others.column([None if v4 else a for v4, a in zip(is_dotted, addresses, strict=True)])
        column[is_dotted] = hashed
        return column

    @staticmethod
    def plain_column(addresses: Sequence[str]) -> NDArray[np.int32]:
        """``column`` of addresses that are all known to be IPv4."""
        networks = hashes([f"{address.rpartition('.')[0]}.0/24" for address in addresses])
        hashed: NDArray[np.int32] = (networks & np.uint64(MIX_MASK)).astype(np.int32)
        return hashed


_DIGIT, _DOT, _COMMA = b"0.,"
_QUAD = np.array([_DOT, _DOT, _DOT, _COMMA], np.uint8)
"""What the four numbers of an address are followed by, in a list of addresses with a comma behind each."""


def all_ipv4(addresses: Sequence[str]) -> bool:
    """Whether all are IPv4 addresses: four numbers up to 255 without leading zeros. There must be some.

    >>> all_ipv4(["203.0.113.77", "0.0.0.0"]), all_ipv4(["203.0.113.077"]), all_ipv4(["203.0.113.256"])
    (True, False, False)
    """
    listed = ",".join(addresses)
    if not listed.isascii():
        return False
    text = np.frombuffer(f"{listed},00".encode(), np.uint8)  # two more, so that three can be looked at anywhere
    marks = np.flatnonzero((text == _DOT) | (text == _COMMA))
    if len(marks) != 4 * len(addresses) or not (text[marks].reshape(-1, 4) == _QUAD).all():
        return False
    digits = text - np.uint8(_DIGIT)  # below it, it wraps: no digit either way
    starts = np.concatenate(([0], marks[:-1] + 1))
    lengths = marks - starts
    if np.count_nonzero(digits < 10) != len(text) - len(marks) or lengths.min() < 1 or lengths.max() > 3:
        return False
    if (digits[starts[lengths > 1]] == 0).any():
        return False
    first = starts[lengths == 3]
    hundreds, tens, ones = (digits[first + place].astype(np.int32) for place in range(3))
    values = hundreds * 100 + tens * 10 + ones
    return not (values > 255).any()


def mix_hash(name: str | None) -> int:
    """31 bits of the hash of a name, -1 for None."""
    return -1 if name is None else _hash(name.encode()) & MIX_MASK


def agent_of(agent: str) -> str:
    """What of a user agent counts."""
    return agent[:AGENT_CHARS]


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"({_OCTET}\.{_OCTET}\.{_OCTET})\.{_OCTET}").fullmatch
"""What nearly every address is, without building an address object (18 µs)."""


_MAPPED = bytes(10) + b"\xff\xff"
"""How an IPv4 address begins that is written as one of IPv6."""


def network_of(ip: str) -> str | None:
    """The IPv4 /24 or IPv6 /48 of an address, None if it is none.

    >>> network_of("203.0.113.77"), network_of("2001:db8:1:2::3"), network_of("somewhere")
    ('203.0.113.0/24', '2001:db8:1::/48', None)
    """
    found = _IPV4(ip)
    if found is not None:
        return f"{found[1]}.0/24"
    if ":" in ip and "." not in ip and "%" not in ip:  # plain IPv6: a thirtieth of an address object's time
        try:
            packed = socket.inet_pton(socket.AF_INET6, ip)
        except (OSError, ValueError):
            return None
        if not packed.startswith(_MAPPED):
            return _ipv6_network(packed[:6])
    address = address_of(ip)
    if address is None:
        return None
    prefix = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, prefix), strict=False))


def address_of(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, None if it is none. One of IPv4 that is written as one of IPv6 is one of IPv4.

    >>> address_of("::ffff:203.0.113.77"), address_of("somewhere")
    (IPv4Address('203.0.113.77'), None)
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


@lru_cache(CACHE_ENTRIES)
def _ipv6_network(prefix: bytes) -> str:
    return str(ipaddress.ip_network((prefix + bytes(10), 48)))


def referrer_host(referrer: str) -> str | None:
    """The host of a referrer, or the text itself if it is not a URL.

    >>> referrer_host("https://news.example/a?b"), referrer_host("search")
    ('news.example', 'search')
    """
    try:
        return (urlsplit(referrer).hostname or referrer)[:HOST_CHARS]
    except ValueError:
        return referrer[:HOST_CHARS]
