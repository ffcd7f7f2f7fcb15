"""Blocks of events as columns, by actor: the input of ``Accounts``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.events.buckets import OWNER_SPACE

OWNER_MASK = OWNER_SPACE - 1


class ActorBlock(msgspec.Struct, gc=False):
    """Events of one partition of ``by-actor`` in log order, as columns of equal length. -1 means "not given".

    A column that is None has no value in any event. Events without an actor are not part of a block.
    """

    actor: NDArray[np.int64]
    """63-bit hash without the account bit"""
    account: NDArray[np.bool_]
    """whether the event had an account age"""
    name: list[str]
    """text of the actor"""
    target: NDArray[np.int64]
    """63-bit hash. Its lowest 31 bits are the hash that an owner of the same text has in ``owner``"""
    target_name: list[str]
    """text of the target"""
    metric: NDArray[np.int8]
    ts: NDArray[np.int64]
    """epoch ms"""
    owner: NDArray[np.int64] | None = None
    """31-bit hash of the target's owner"""
    network: NDArray[np.int64] | None = None
    """hash of the network, below 2^31"""
    created: NDArray[np.int64] | None = None
    """creation of the account, epoch ms"""
    watch_ms: NDArray[np.int64] | None = None
    duration_ms: NDArray[np.int64] | None = None
    undo: NDArray[np.bool_] | None = None
    robot: NDArray[np.bool_] | None = None
    """whether ingest's rules found a declared robot"""

    def __len__(self) -> int:
        return len(self.name)

    def part(self, begin: int, end: int) -> ActorBlock:
        """The events ``begin`` to ``end`` - 1."""
        cut: dict[str, Any] = {}
        for field in self.__struct_fields__:
            column = getattr(self, field)
            cut[field] = None if column is None else column[begin:end]
        return ActorBlock(**cut)


def joined(blocks: Sequence[ActorBlock]) -> ActorBlock:
    """One block with the events of all, of which there is at least one, in order."""
    if len(blocks) == 1:
        return blocks[0]
    columns: dict[str, Any] = {}
    for field in ActorBlock.__struct_fields__:
        parts = [getattr(block, field) for block in blocks]
        given = next((part for part in parts if part is not None), None)
        if isinstance(given, list):
            columns[field] = list(chain.from_iterable(parts))
        elif given is not None:
            missing = given.dtype.type(0 if given.dtype == np.bool_ else -1)
            columns[field] = np.concatenate(
                [
                    np.full(len(block), missing) if part is None else part
                    for block, part in zip(blocks, parts, strict=True)
                ]
            )
    return ActorBlock(**columns)


class WaitingBlocks:
    """Blocks that wait to be joined into one."""

    def __init__(self) -> None:
        self._blocks: list[ActorBlock] = []
        self._events = 0

    def __len__(self) -> int:
        """Events that wait."""
        return self._events

    def add(self, block: ActorBlock) -> None:
        """Add a block behind the others. It must not change any more."""
        self._blocks.append(block)
        self._events += len(block)

    def take(self) -> ActorBlock:
        """Join all blocks, of which there is at least one. Then none is waiting."""
        blocks, self._blocks, self._events = self._blocks, [], 0
        return joined(blocks)
