"""Reads and changes the relations of targets: those in the target's record, and those in pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from detectors.events.key import Key
from detectors.intake.related import RelatedAct
from detectors.state.relation_pages import (
    ACCOUNT_BITS,
    FEW_MAX,
    HASH_BYTES,
    LOAD,
    Page,
    RelationPages,
    bits_of,
    decode,
    encode,
    name_of,
    page_of,
    with_relation,
)
from detectors.state.relations import Relations

SAMPLED_PAGES = 8
"""Pages that a sample reads at once."""

_WIDTH = 8 * HASH_BYTES - ACCOUNT_BITS


class RelationSet:
    """The relations of one target and metric, as far as they were read. ``write`` stores what has changed.

    A page to which relations are only added is not decoded.
    """

    __slots__ = ("_changed", "_encoded", "_key", "_pages", "_relations", "count")

    def __init__(self, key: Key, relations: Relations) -> None:
        self._key = key
        self._relations = relations
        self._encoded: dict[int, bytes] = {} if relations.pages else {0: relations.few}
        """the pages that were read and not decoded, by number; without pages, the few relations are page 0"""
        self._pages: dict[int, Page] = {}
        """the other pages that were read"""
        self._changed: set[int] = set()
        self.count = relations.current

    def wanted(self, actors: Iterable[int]) -> set[int]:
        """The numbers of the pages that these actors need and that were not read."""
        pages = self._relations.pages
        if not pages:
            return set()
        return {page_of(actor, pages) for actor in actors} - self._pages.keys() - self._encoded.keys()

    def set_page(self, number: int, page: bytes | None) -> None:
        """Set a page that was read."""
        self._encoded[number] = page or b""

    def _page(self, number: int) -> Page:
        """A page that was read, decoded."""
        page = self._pages.get(number)
        if page is None:
            encoded = self._encoded.pop(number)
            page = self._pages[number] = decode(encoded, number) if encoded else {}
        return page

    def created(self, actor: int) -> int | None:
        """The span in which an actor's relation was created, None if it has none. Its page must be read."""
        return self._page(self._number(actor)).get(actor)

    def add(self, actor: int, span: int) -> None:
        """Add a relation that is not there."""
        number = self._number(actor)
        self._page(number)[actor] = max(0, span)
        self._changed.add(number)
        self.count += 1

    def add_all(self, acts: Sequence[RelatedAct], span: int) -> list[int]:
        """Add the relations of different actors' acts. Returns the places of acts whose actor has one already.

        An act that a rule has caught adds nothing.
        """
        already, encoded, pages = list[int](), self._encoded, self._relations.pages
        fits = self.count + len(acts) <= (pages * LOAD if pages else FEW_MAX)  # no page will be split
        for _, actor, _, place, caught in acts:
            number = page_of(actor, pages) if pages else 0
            if caught or not fits or number not in encoded:
                page = self._page(number)
                known = actor in page
                if not (known or caught):
                    page[actor] = span
            else:
                before = encoded[number]
                longer = with_relation(before, actor, span, 0 if before or not pages else bits_of(number, pages))
                known = longer is None
                encoded[number] = longer or before
            if known:
                already.append(place)
            elif not caught:
                self._changed.add(number)
                self.count += 1
        return already

    def remove(self, actor: int) -> None:
        """Remove a relation."""
        number = self._number(actor)
        del self._page(number)[actor]
        self._changed.add(number)
        self.count -= 1

    def _number(self, actor: int) -> int:
        pages = self._relations.pages
        return page_of(actor, pages) if pages else 0

    def write(self, store: RelationPages) -> None:
        """Store what has changed, and split pages if there are more relations than they should have."""
        if not self._changed:
            return
        relations, encoded = self._relations, self._encoded
        relations.current = self.count
        if not relations.pages:
            if 0 in encoded:
                relations.few = encoded[0]
                return
            page = self._pages[0]
            if len(page) <= FEW_MAX:
                relations.few = encode(page) if page else b""
                return
            relations.few, relations.pages = b"", 1
        while relations.pages * LOAD < self.count:
            self._split(store)
        for number in sorted(self._changed):
            page_bytes = encoded.get(number)
            if page_bytes is None:
                page_bytes = encode(self._pages[number], bits_of(number, relations.pages))
            store.put(name_of(self._key, number), page_bytes)

    def _split(self, store: RelationPages) -> None:
        """Split the next page: every second of its hashes goes to a new page."""
        relations = self._relations
        new = relations.pages
        old = new - (1 << (new.bit_length() - 1))
        if old not in self._pages and old not in self._encoded:
            self.set_page(old, store.get_many([name_of(self._key, old)])[0])
        relations.pages += 1
        page, bit = self._page(old), (new ^ old) << ACCOUNT_BITS
        self._pages[old] = {actor: span for actor, span in page.items() if not actor & bit}
        self._pages[new] = {actor: span for actor, span in page.items() if actor & bit}
        self._changed.update((old, new))


def open_all(wanted: Sequence[tuple[Key, Relations, Iterable[int]]], store: RelationPages) -> list[RelationSet]:
    """The relations of keys, with the pages of the given actors (without account bit), which are read together."""
    opened = [RelationSet(key, relations) for key, relations, _ in wanted]
    missing: list[tuple[RelationSet, int, str]] = []
    for relation_set, (key, relations, actors) in zip(opened, wanted, strict=True):
        if relations.pages:
            missing += [(relation_set, number, name_of(key, number)) for number in sorted(relation_set.wanted(actors))]
    if missing:
        for (relation_set, number, _), page in zip(
            missing, store.get_many([name for *_, name in missing]), strict=True
        ):
            relation_set.set_page(number, page)
    return opened


def sample(key: Key, relations: Relations | None, store: RelationPages, size: int) -> list[int]:
    """The first ``size`` actors of a target with a current relation, in the order of their hashes with reversed bits.

    It is a random sample of them, correct after undos, and does not depend on the order in which they came. Samples of
    several targets prefer the same actors, so they can be compared. Actors are hashes without the account bit.
    """
    if relations is None or size <= 0:
        return []
    found = list(decode(relations.few)) if relations.few else []
    numbers = _in_order(relations.pages)
    while len(found) < size and (some := list(islice(numbers, SAMPLED_PAGES))):
        for number, page in zip(some, store.get_many([name_of(key, number) for number in some]), strict=True):
            found += [] if page is None else decode(page, number)
    return sorted(found, key=lambda actor: _reversed(actor >> ACCOUNT_BITS, _WIDTH))[:size]


def _in_order(pages: int) -> Iterator[int]:
    """The numbers of all pages, in the order of their actors' reversed hashes.

    >>> list(_in_order(6)), list(_in_order(0))
    ([0, 4, 2, 1, 5, 3], [])
    """
    bits = pages.bit_length() - 1
    whole = 1 << bits if pages else 0
    for place in range(whole):
        number = _reversed(place, bits)
        yield number
        if number < pages - whole:
            yield number + whole


def _reversed(number: int, bits: int) -> int:
    """A number of so many bits with their order reversed.

    >>> _reversed(0b0011, 4), _reversed(0, 0)
    (12, 0)
    """
    return int(f"{number:0{bits}b}"[::-1], 2) if bits else 0
