"""Converts events to the columns that accounts read, as the frames of ``by-actor`` do, with hashes of the stdlib."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from detectors.accounts.block import ActorBlock
from detectors.events.actor import without_account
from detectors.events.buckets import OWNER_SPACE
from detectors.events.event import METRIC_INDEX, Event
from detectors.lab.traffic.blocks import Numbered, network_of, text_hash
from detectors.windows.crowd import HASH_SPACE

NETWORK_SPACE = 1 << 31


def actor_partition(actor: int, partitions: int) -> int:
    """The partition of ``by-actor`` of an actor's hash; its lowest bit (``events.actor``) has no part in it.

    >>> actor_partition(6, 2), actor_partition(7, 2)
    (1, 1)
    """
    return (actor >> 1) % partitions


class ActorPacker:
    """Packs events into one block per partition of ``by-actor``. ``without`` are fields that the platform does not
    send."""

    def __init__(self, partitions: int, without: Iterable[str] = ()) -> None:
        self._partitions = partitions
        self._without = frozenset(without)
        self._actors = Numbered(text_hash, HASH_SPACE)
        self._targets = Numbered(text_hash, HASH_SPACE)
        self._networks = Numbered(lambda ip: text_hash(network_of(ip)), NETWORK_SPACE)

    def pack(self, events: Iterable[Event]) -> list[tuple[int, ActorBlock]]:
        """Pairs of (partition, block), in order of partitions. Events without an actor, and historic ones, are left
        out."""
        by_place: dict[int, list[tuple[int, Event]]] = {}
        for event in events:
            if event.actor is not None and not event.history:
                actor = without_account(self._actors.number(event.actor))
                by_place.setdefault(actor_partition(actor, self._partitions), []).append((actor, event))
        return [(place, self._block(rows)) for place, rows in sorted(by_place.items())]

    def target_hash(self, target: str) -> int:
        """The hash of a target's text in ``ActorBlock.target``."""
        return self._targets.number(target)

    def _block(self, rows: list[tuple[int, Event]]) -> ActorBlock:
        events = [event for _, event in rows]
        aged = "actor_created_at" not in self._without
        undo = np.array([event.undo for event in events])
        return ActorBlock(
            actor=np.array([actor for actor, _ in rows], dtype=np.int64),
            account=np.array([aged and event.actor_created_at is not None for event in events]),
            name=[event.actor or "" for event in events],
            target=np.array([self._targets.number(event.target) for event in events], dtype=np.int64),
            target_name=[event.target for event in events],
            metric=np.array([METRIC_INDEX[event.metric or "view"] for event in events], dtype=np.int8),
            ts=np.array([event.ts for event in events], dtype=np.int64),
            owner=self._column("owner", events, lambda e: -1 if e.owner is None else text_hash(e.owner) % OWNER_SPACE),
            network=self._column("ip", events, lambda e: self._networks.number(e.ip)),
            created=self._column("actor_created_at", events, lambda e: _given(e.actor_created_at)),
            watch_ms=self._column("watch_ms", events, lambda e: _given(e.watch_ms)),
            duration_ms=self._column("duration_ms", events, lambda e: _given(e.duration_ms)),
            undo=undo if undo.any() else None,
        )

    def _column(self, name: str, events: list[Event], number: Callable[[Event], int]) -> NDArray[np.int64] | None:
        if name in self._without:
            return None
        column = np.array([number(event) for event in events], dtype=np.int64)
        return column if (column >= 0).any() else None


def _given(number: int | None) -> int:
    return -1 if number is None else number
