"""Persisted: who currently likes or follows a target, as far as the target's record has it, and which cases cover it.

An actor's act creates a relation; its undo ends it. Few relations are in the record itself, more are in pages
(``relation_pages``).
"""

from __future__ import annotations

import msgspec

from detectors.state.ledger import QUARANTINED, VALID

COVERED_MAX = 16
"""Cases of one target that are stored with its relations. Undos come mostly in the days after a case; the oldest case
is forgotten, and undos of its relations debit valid events again."""


class Covered(msgspec.Struct, array_like=True, gc=False):
    """The part of a count that one case has moved. A relation created between start and end is covered by it."""

    flag_id: str
    start: int
    end: int
    """epoch ms, end exclusive"""
    part: str
    """where the events are now: quarantined, or a reason of invalidity"""
    left: int
    """of these events, those that no undo has taken back"""


class Relations(msgspec.Struct, array_like=True):
    """The relations of one target and metric."""

    current: int = 0
    """actors with a relation"""
    pages: int = 0
    """number of pages; 0: all relations are in ``few``"""
    few: bytes = b""
    """as one page (``relation_pages.encode``)"""
    covered: list[Covered] = []
    early: list[tuple[int, int, int]] = []
    """undos without an act: actor, time, and until when they wait for an act that was made before and is read later"""


def cover(relations: Relations | None, flag_id: str, movement: tuple[str, str, int], span: tuple[int, int]) -> None:
    """Note that a case has moved events (source, destination, number) of a time span."""
    if relations is None:
        return
    source, to, count = movement
    found = next((one for one in relations.covered if one.flag_id == flag_id), None)
    if to == QUARANTINED:
        if found is None:
            found = Covered(flag_id, span[0], span[1], QUARANTINED, 0)
            relations.covered = [*relations.covered, found][-COVERED_MAX:]
        found.start, found.end = min(found.start, span[0]), max(found.end, span[1])
        found.left += count
    elif source == QUARANTINED and found is not None:
        if to == VALID:
            relations.covered = [one for one in relations.covered if one is not found]
        else:
            found.part, found.left = to, count
