"""Hashes of names, and what is derived from names first: partitions, networks, hosts.

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
"""A user agent is hashed up to this length."""
HOST_CHARS = 128

NAME_MASK = (1 << 31) - 1
"""Frames have 31 bits of the hash of a network, an agent, a referrer or a country; buckets are the lowest of them."""

_hash = xxhash.xxh3_64_intdigest
_ID_MASK = np.uint64(HASH_SPACE - 1)
_ACTOR_MASK = np.uint64(without_account(HASH_SPACE - 1))
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Multiplies the target's hash: otherwise the hashes of a target and an id of the same text cancel each other."""

Hashes = NDArray[np.uint64]


def hashes(texts: Sequence[str]) -> Hashes:
    """Hash texts."""
    return np.fromiter(map(_hash, map(str.encode, texts)), np.uint64, len(texts))


def partition_of(target: str, partitions: int) -> int:
    """The partition of ``by-target`` for a target: its hash modulo the number of partitions."""
    return _hash(target.encode()) % partitions


def actor_partitions(actors: NDArray[np.int64], partitions: int) -> NDArray[np.intp]:
    """The partition of ``by-actor`` for each actor's hash. The account bit does not matter."""
    return ((actors >> 1) % partitions).astype(np.intp, copy=False)


def actor_partition(actor: int, partitions: int) -> int:
    """As ``actor_partitions``, of one hash."""
    return (actor >> 1) % partitions


def actor_hash(name: str) -> int:
    """The hash of an actor, without the account bit."""
    return int(_hash(name.encode()) & int(_ACTOR_MASK))


def target_hash(target: str) -> int:
    """The hash of a target in the blocks of accounts: 63 bits, of which the lowest are those of ``name_hash``."""
    return int(_hash(target.encode()) & (HASH_SPACE - 1))


def actor_hashes(actors: Sequence[str | None]) -> NDArray[np.int64]:
    """Hash actors to 63 bits, without the bit that marks accounts (detectors.events.actor). None becomes NOBODY."""
    try:
        whole = hashes(actors)  # type: ignore[arg-type]  # a None raises TypeError, which is the test
    except TypeError:
        hashed = actor_hashes([actor or "" for actor in actors])
        hashed[[actor is None for actor in actors]] = NOBODY
        return hashed
    return (whole & _ACTOR_MASK).astype(np.int64)


def identities(ids: Sequence[str | None], targets: Hashes, metric: NDArray[np.int8]) -> NDArray[np.int64]:
    """Hash ids with target and metric to 63 bits: an id counts once for each of these. None becomes -1."""
    missing = None in ids
    given: Sequence[str] = [ident or "" for ident in ids] if missing else ids  # type: ignore[assignment]  # no None is left
    places = targets * _ODD + metric.astype(np.uint64)
    idents: NDArray[np.int64] = ((hashes(given) ^ places) & _ID_MASK).astype(np.int64)
    if missing:
        idents[[ident is None for ident in ids]] = -1
    return idents


class NameHasher:
    """Hashes names of one kind to 31 bits, after ``derived`` has reduced them. None becomes -1.

    It caches up to CACHE_ENTRIES names.
    """

    def __init__(self, derived: Callable[[str], str | None]) -> None:
        self._derived = derived
        self._known: dict[str | None, int] = {None: -1}

    def column(self, names: Sequence[str | None]) -> NDArray[np.int32]:
        """Hash a column of names."""
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
                known[name] = name_hash(self._derived(name))
        return np.fromiter(map(known.__getitem__, names), np.int32, len(names))


class NetworkHasher:
    """As ``NameHasher``, for the networks of addresses. IPv4, which nearly all addresses are, is not cached.

    There are tens of thousands of networks. To find one in a dict costs several times its hash, in cache misses.
    """

    def __init__(self) -> None:
        self._others = NameHasher(network_of)

    def column(self, addresses: Sequence[str | None]) -> NDArray[np.int32]:
        """Hash the networks of addresses; -1 where there is none."""
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
        """As ``column``, for addresses that are all known to be IPv4."""
        networks = hashes([f"{address.rpartition('.')[0]}.0/24" for address in addresses])
        hashed: NDArray[np.int32] = (networks & np.uint64(NAME_MASK)).astype(np.int32)
        return hashed


_DIGIT, _DOT, _COMMA = b"0.,"
_QUAD = np.array([_DOT, _DOT, _DOT, _COMMA], np.uint8)
"""The characters after the four numbers of an address, if a comma follows each address."""


def all_ipv4(addresses: Sequence[str]) -> bool:
    """Whether all are IPv4 addresses: four numbers up to 255 without leading zeros. ``addresses`` must not be empty.

    >>> all_ipv4(["203.0.113.77", "0.0.0.0"]), all_ipv4(["203.0.113.077"]), all_ipv4(["203.0.113.256"])
    (True, False, False)
    """
    listed = ",".join(addresses)
    if not listed.isascii():
        return False
    text = np.frombuffer(f"{listed},00".encode(), np.uint8)  # two more, so that three digits can be read from any place
    marks = np.flatnonzero((text == _DOT) | (text == _COMMA))
    if len(marks) != 4 * len(addresses) or not (text[marks].reshape(-1, 4) == _QUAD).all():
        return False
    digits = text - np.uint8(_DIGIT)  # what is below b"0" wraps round, and is no digit then
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


def name_hash(name: str | None) -> int:
    """Hash a name to 31 bits; None becomes -1."""
    return -1 if name is None else _hash(name.encode()) & NAME_MASK


def agent_of(agent: str) -> str:
    """The part of a user agent that is hashed."""
    return agent[:AGENT_CHARS]


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"({_OCTET}\.{_OCTET}\.{_OCTET})\.{_OCTET}").fullmatch
"""Nearly every address is plain IPv4. An address object would cost 18 µs."""


_MAPPED = bytes(10) + b"\xff\xff"
"""Beginning of an IPv4 address that is written as IPv6."""


def network_of(ip: str) -> str | None:
    """The IPv4 /24 or IPv6 /48 network of an address; None if the text is no address.

    >>> network_of("203.0.113.77"), network_of("2001:db8:1:2::3"), network_of("somewhere")
    ('203.0.113.0/24', '2001:db8:1::/48', None)
    """
    found = _IPV4(ip)
    if found is not None:
        return f"{found[1]}.0/24"
    if ":" in ip and "." not in ip and "%" not in ip:  # plain IPv6: takes a thirtieth of the time of an address object
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
    """Parse an address; None if the text is no address. IPv4 that is written as IPv6 becomes IPv4.

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
