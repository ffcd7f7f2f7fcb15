"""Which acts are states: likes and follows of an actor who is known, of inputs whose acts are not repeated."""

from __future__ import annotations

from typing import NamedTuple

from detectors.events.actor import without_account
from detectors.events.block import EventBlock
from detectors.events.key import VIEW
from detectors.intake.rules.reasons import EXEMPT

UNRELATED = -3
"""In place of a watch time: an act of an input without relations. UNDONE is -2, "not given" -1."""

CHUNK_ACTS = 2048
"""Acts of a tick that are handed over together, as objects."""


class RelatedAct(NamedTuple):
    """A like or follow in a closing tick."""

    target: str
    actor: int
    """without the account bit"""
    at: int
    """ms since the tick began"""
    place: int
    caught: bool
    """whether a rule that compares acts has caught it"""


def related(block: EventBlock, index: int) -> tuple[tuple[int, int], ...]:
    """Actor (without account bit) and time of an act or undo, if it is of a state; else nothing."""
    actor = int(block.actor[index])
    if block.metric[index] == VIEW or actor < 0 or (block.unrelated is not None and block.unrelated[index]):
        return ()
    if block.rule is not None and block.rule[index] == EXEMPT:
        return ()
    return ((without_account(actor), int(block.ts[index])),)
