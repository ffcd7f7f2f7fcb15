"""Frames of ``by-actor`` into blocks: the events of a frame in the form in which accounts read them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.accounts.block import ActorBlock
from detectors.events.actor import ACCOUNT_BIT, without_account
from detectors.intake.rules.reasons import DECLARED_ROBOT, TAGS
from detectors.windows.crowd import HASH_SPACE
from streams.log.frames import ActorFrame, numbers, offsets, part_of, times, wide
from streams.log.hashing import NameHasher, hashes

ROBOT_TAG = TAGS.index(DECLARED_ROBOT)

_TARGET_MASK = np.uint64(HASH_SPACE - 1)
_owners = NameHasher(str)


def pseudonym(actor: int) -> str:
    """The name of an actor in a log without ids: its hash, without the account bit.

    >>> pseudonym(254)
    '00000000000000fe'
    """
    return f"{actor:016x}"


def actor_block_of(frame: ActorFrame, seen_offset: int) -> ActorBlock | None:
    """Make the block of a frame's events; None if there are none.

    Events below ``seen_offset`` of their source are left out, and so are historic events: nobody knows when they were
    read, so they say nothing of an account's conduct.
    """
    if not frame.target:
        return None
    kept: NDArray[np.bool_] | None = None
    if frame.first < seen_offset:
        kept = offsets(frame) >= seen_offset
    if frame.history:
        live = numbers(frame, "history") == 0
        kept = live if kept is None else kept & live
    if kept is not None and not kept.all():
        frame = part_of(frame, np.flatnonzero(kept))
        if not frame.target:
            return None
    marked = numbers(frame, "actor")
    actor = without_account(marked.astype(np.int64, copy=False))
    return ActorBlock(
        actor=actor,
        account=(marked & ACCOUNT_BIT).astype(np.bool_),
        name=list(map(pseudonym, actor.tolist())) if frame.name is None else frame.name,
        target=(hashes(frame.target) & _TARGET_MASK).astype(np.int64),
        target_name=frame.target,
        metric=numbers(frame, "metric").astype(np.int8, copy=False),
        ts=times(frame),
        owner=None if frame.owner is None else _owners.column(frame.owner).astype(np.int64),
        network=_given(frame, "network"),
        created=_given(frame, "created"),
        watch_ms=_given(frame, "watch_ms"),
        duration_ms=_given(frame, "duration_ms"),
        undo=numbers(frame, "undo").astype(np.bool_) if frame.undo else None,
        robot=numbers(frame, "rule") == ROBOT_TAG if frame.rule else None,
    )


def _given(frame: ActorFrame, name: str) -> NDArray[np.int64] | None:
    return wide(frame, name) if getattr(frame, name) else None
