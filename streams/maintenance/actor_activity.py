"""What is known of one actor: its acts in the log of actors, its profile in the stored state, and its ruling."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np

from detectors.accounts.pages import PagesInMemory, Piece
from detectors.accounts.profile import Profile
from detectors.accounts.state import ACCOUNT_PAGES
from detectors.events.actor import without_account
from detectors.events.event import METRICS
from detectors.windows.scales import HOUR_MS
from streams.actors.changelog import load
from streams.actors.pages import piece_key
from streams.actors.step import PartitionAccounts, account_settings
from streams.kafka.bulk_reader import BulkReader, Progress
from streams.kafka.topics import Topics
from streams.log.controls import is_control
from streams.log.frames import ActorFrame, numbers, times
from streams.log.hashing import actor_hash, actor_partition
from streams.log.versions import FrameError, decode_actor_frame
from streams.settings.settings import Settings
from streams.state.sealed import decode

ACTS_MAX = 50
"""Latest acts that are shown."""


class Act(NamedTuple):
    """One act of an actor."""

    ts: int
    """epoch ms"""
    metric: str
    target: str
    undo: bool
    watch_ms: int | None


@dataclass(slots=True)
class Activity:
    """The acts of one actor that the log still has."""

    acts: int = 0
    targets: Counter[str] = field(default_factory=Counter)
    hours: Counter[int] = field(default_factory=Counter)
    """acts by hour, as epoch hours"""
    metrics: Counter[str] = field(default_factory=Counter)
    latest: deque[Act] = field(default_factory=lambda: deque(maxlen=ACTS_MAX))
    """the last ones of the log"""

    def add(self, act: Act) -> None:
        """Add an act."""
        self.acts += 1
        self.targets[act.target] += 1
        self.hours[act.ts // HOUR_MS] += 1
        self.metrics[act.metric] += 1
        self.latest.append(act)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "acts": self.acts,
            "by_metric": dict(self.metrics.most_common()),
            "by_target": [{"target": target, "acts": acts} for target, acts in self.targets.most_common(ACTS_MAX)],
            "by_hour": [{"hour": hour * HOUR_MS, "acts": acts} for hour, acts in sorted(self.hours.items())],
            "latest": [act._asdict() for act in sorted(self.latest, reverse=True)],
        }


class Known(NamedTuple):
    """What is known of an actor."""

    ruling: dict[str, Any] | None
    """as in the topic actors"""
    profile: Profile | None
    activity: Activity | None


async def known_of(settings: Settings, actor: str, progress: Progress | None = None) -> Known:
    """Read what is known of an actor. Raises BrokerError, StateError."""
    topics = Topics.of(settings)
    hashed = actor_hash(actor)
    async with BulkReader(settings, topics.by_actor) as reader:
        spans = await reader.spans()
        partition = actor_partition(hashed, len(spans))
        activity = Activity()
        async for _, records in reader.read({partition: spans[partition]}, progress):
            for record in records:
                add_acts(activity, record.value, hashed)
    profile = await _profile(settings, hashed, partition, len(spans), progress)
    ruling = None if profile is None else msgspec.to_builtins(profile.ruling)
    return Known(ruling, profile, activity)


def add_acts(activity: Activity, value: bytes | None, actor: int) -> None:
    """Add the acts of an actor in one record of the log."""
    if is_control(value):
        return
    try:
        frame = decode_actor_frame(value)
    except FrameError:
        return  # a worker has counted it
    if frame.target:
        for row in np.flatnonzero(without_account(numbers(frame, "actor").astype(np.int64)) == actor).tolist():
            activity.add(_act(frame, row))


def _act(frame: ActorFrame, row: int) -> Act:
    watch = int(numbers(frame, "watch_ms")[row]) if frame.watch_ms else -1
    return Act(
        int(times(frame)[row]),
        METRICS[int(numbers(frame, "metric")[row])],
        frame.target[row],
        bool(frame.undo and numbers(frame, "undo")[row]),
        None if watch < 0 else watch,
    )


class _PieceWantedError(Exception):
    """A piece of a page that was not read."""


class _Pages(PagesInMemory):
    def __missing__(self, number: int) -> Piece:
        raise _PieceWantedError(number)


async def _profile(
    settings: Settings, actor: int, partition: int, partitions: int, progress: Progress | None
) -> Profile | None:
    """The profile in the state of the last full checkpoint. Of the pages of accounts, only one piece is read."""
    saved = await _state(settings, partition, None, progress)
    pages = _Pages()
    accounts = PartitionAccounts(
        account_settings(settings), partition=partition, target_partitions=partitions, pages=pages
    )
    if load(accounts, saved) is None:
        return None
    try:
        return accounts.accounts.profile(actor)
    except _PieceWantedError as wanted:
        number = int(wanted.args[0])
    key = piece_key(number)
    found = await _state(settings, partition, key, progress)
    if key not in found:
        return None  # it was dropped between the two reads
    pages[number] = decode(found[key], Piece)
    return accounts.accounts.profile(actor)


async def _state(
    settings: Settings, partition: int, piece: bytes | None, progress: Progress | None
) -> dict[bytes, bytes]:
    """The newest records of the state: that of one piece of a page, or all but the pages."""
    newest: dict[bytes, bytes | None] = {}
    async with BulkReader(settings, Topics.of(settings).actors_state) as reader:
        span = (await reader.spans())[partition]
        async for _, records in reader.read({partition: span}, progress):
            for record in records:
                if record.key == piece if piece is not None else not record.key.startswith(ACCOUNT_PAGES.prefix):
                    newest[record.key] = record.value
    return {key: value for key, value in newest.items() if value is not None}
