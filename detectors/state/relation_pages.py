"""Persisted: pages of relations. A page has the actors of one target and metric whose hashes end in the same bits.

A target has as many pages as its relations need, about LOAD relations each, so a changed relation costs one small
record. Pages are numbered, and split one after the other as the target grows (linear hashing, Litwin 1980): page ``p``
of 2**n + m pages has the actors whose lowest n bits are p, or n + 1 bits if page p has been split. So the number of
pages is all that a reader must know, and a page never changes its name.

A relation takes 8 to 10 bytes: the actor's hash without the bits that the page's number gives, and in 2 bytes when it
was created, in spans of five minutes before the newest relation of the page (0xFFFF: 227 days or more).
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Protocol

from detectors.events.key import Key

LOAD = 28
"""Mean relations of a page. A changed relation rewrites a page, so this bounds the bytes written for each byte stored
(at most 32 with splits); smaller pages cost more for their names."""
FEW_MAX = 12
"""Most relations that are in the target's own record. Nine in ten targets have no more."""

SPAN_MS = 300_000
OLDEST = 0xFFFF
"""Largest age of a relation in spans; it includes all larger ones."""

ACCOUNT_BITS = 1
"""The lowest bit of an actor's hash is the account bit, which relations ignore."""
HASH_BYTES = 8

Page = dict[int, int]
"""Actor, without account bit → span in which the relation was created."""

_HEAD = struct.Struct("<IB")
"""The newest span, and the number of lowest bytes of the hashes that are left out."""


class RelationPages(Protocol):
    """The pages of all targets of a partition, by name. An implementation may store them on disk."""

    def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """The page of each name, None if there is none. Raises MachineError."""
        ...

    def put(self, name: str, page: bytes) -> None:
        """Store a page. Raises MachineError."""
        ...

    def take_changed(self) -> Iterable[tuple[str, bytes]]:
        """Pages that have changed since the last call, in order, without those that are already on disk."""
        ...

    def load(self, name: str, page: bytes) -> None:
        """Load a stored page. It does not count as changed."""
        ...

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        ...


class MemoryPages:
    """All pages in memory."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self._changed: set[str] = set()

    def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """See RelationPages."""
        return list(map(self.pages.get, names))

    def put(self, name: str, page: bytes) -> None:
        """See RelationPages."""
        self.pages[name] = page
        self._changed.add(name)

    def take_changed(self) -> Iterable[tuple[str, bytes]]:
        """See RelationPages."""
        changed, self._changed = self._changed, set()
        return [(name, self.pages[name]) for name in sorted(changed)]

    def load(self, name: str, page: bytes) -> None:
        """See RelationPages."""
        self.pages[name] = page

    def memory_bytes(self) -> int:
        """See RelationPages: these pages belong to nobody's budget."""
        return 0


def name_of(key: Key, number: int) -> str:
    """The name of a key's page.

    >>> name_of(Key("2c/7"), 300), key_of_page("12c/2c/7")
    ('12c/2c/7', '2c/7')
    """
    return f"{number:x}/{key}"


def key_of_page(name: str) -> Key:
    """The key to which a page belongs."""
    return Key(name.partition("/")[2])


def page_of(actor: int, pages: int) -> int:
    """The number of an actor's page among ``pages``.

    >>> [page_of(number << ACCOUNT_BITS, 6) for number in range(10)]
    [0, 1, 2, 3, 4, 5, 2, 3, 0, 1]
    """
    bits = pages.bit_length()
    number = (actor >> ACCOUNT_BITS) & ((1 << bits) - 1)
    return number if number < pages else number & ((1 << (bits - 1)) - 1)


def bits_of(number: int, pages: int) -> int:
    """How many bits of their hashes the actors of a page have in common.

    >>> [bits_of(number, 6) for number in range(6)]
    [3, 3, 2, 2, 3, 3]
    """
    bits = pages.bit_length() - 1
    return bits + (number < pages - (1 << bits) or number >= 1 << bits)


def encode(page: Page, bits: int = 0) -> bytes:
    """Encode a page whose actors have ``bits`` lowest bits in common, besides the account bit."""
    actors = sorted(page)
    newest, oldest = max(page.values(), default=0), min(page.values(), default=0)
    skipped = (bits + ACCOUNT_BITS) // 8
    packed = _hashes(len(actors)).pack(*actors)
    planes = [packed[plane::HASH_BYTES] for plane in range(skipped, HASH_BYTES)]
    if newest == oldest:
        ages = bytes(2 * len(actors))
    else:
        kept = [newest - page[actor] for actor in actors]
        if newest - oldest > OLDEST:
            kept = [min(age, OLDEST) for age in kept]
        ages = _ages(len(kept)).pack(*kept)
    return b"".join((_HEAD.pack(newest, skipped), *planes, ages))


def with_relation(page: bytes, actor: int, span: int, bits: int = 0) -> bytes | None:
    """An encoded page with one more relation. None if the actor has one already.

    The same as decoding the page, adding the relation and encoding it, in a fifth of the time (measured). The actors
    are in order, so their highest bytes are: the place of a new one is found among these. ``bits`` is as in ``encode``,
    and used for an empty page (``b""``) only.
    """
    if not page:
        skipped = (bits + ACCOUNT_BITS) // 8
        return _HEAD.pack(span, skipped) + actor.to_bytes(HASH_BYTES, "little")[skipped:] + _age(0)
    newest, skipped = _HEAD.unpack_from(page)
    wide = HASH_BYTES - skipped
    count, rest = divmod(len(page) - _HEAD.size, wide + 2)
    if rest or skipped >= HASH_BYTES:
        raise ValueError(f"{len(page)} bytes are no page")
    name, ages_at = actor.to_bytes(HASH_BYTES, "little")[skipped:], _HEAD.size + wide * count
    highest_at = ages_at - count
    at = bisect_left(page, name[-1], highest_at, ages_at)
    while at < ages_at and page[at] == name[-1]:
        there = page[_HEAD.size + at - highest_at : ages_at : count]
        if there == name:
            return None
        if there[::-1] > name[::-1]:
            break
        at += 1
    place = at - highest_at
    if span > newest:
        page = _HEAD.pack(span, skipped) + page[_HEAD.size : ages_at] + _older(page[ages_at:], span - newest)
    longer = bytearray(page)
    longer[ages_at + 2 * place : ages_at + 2 * place] = _age(max(0, newest - span))
    for plane in range(wide - 1, -1, -1):
        longer.insert(_HEAD.size + plane * count + place, name[plane])
    return bytes(longer)


def _age(spans: int) -> bytes:
    return min(spans, OLDEST).to_bytes(2, "little")


def _older(ages: bytes, spans: int) -> bytes:
    """Encoded ages that are all greater by a number of spans."""
    if max(ages[1::2], default=0) + (spans >> 8) < 0xFF:  # no sum exceeds its two bytes: all are added as one number
        added = int.from_bytes(ages, "little") + spans * _ones(len(ages) // 2)
        return added.to_bytes(len(ages), "little")
    packed = _ages(len(ages) // 2)
    return packed.pack(*(min(age + spans, OLDEST) for age in packed.unpack(ages)))


@cache
def _ones(count: int) -> int:
    """A number whose two-byte digits are all one."""
    return int.from_bytes(b"\1\0" * count, "little")


def decode(page: bytes, number: int = 0) -> Page:
    """Decode the page with this number. Raises ValueError or struct.error if it is no page."""
    newest, skipped = _HEAD.unpack_from(page)
    wide = HASH_BYTES - skipped
    count, rest = divmod(len(page) - _HEAD.size, wide + 2)
    if rest or skipped > HASH_BYTES:
        raise ValueError(f"{len(page)} bytes are no page")
    packed = bytearray(HASH_BYTES * count)
    common = (number << ACCOUNT_BITS).to_bytes(HASH_BYTES, "little")
    at = _HEAD.size
    for plane in range(HASH_BYTES):
        if plane < skipped:
            packed[plane::HASH_BYTES] = common[plane : plane + 1] * count
        else:
            packed[plane::HASH_BYTES] = page[at : at + count]
            at += count
    actors = _hashes(count).unpack(packed)
    if not any(page[at:]):
        return dict.fromkeys(actors, newest)
    return {actor: newest - age for actor, age in zip(actors, _ages(count).unpack_from(page, at), strict=True)}


@cache
def _hashes(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}Q")


@cache
def _ages(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}H")
