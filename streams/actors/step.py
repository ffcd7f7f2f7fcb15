"""The actors step without Kafka: turns the records of one ``by-actor`` partition into the outcome of its accounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

from detectors.accounts.accounts import Accounts
from detectors.accounts.containment import contained
from detectors.accounts.outcome import ACTS, AccountsOutcome
from detectors.accounts.pages import AccountPages
from detectors.accounts.settings import AccountSettings
from detectors.controls import Answered, Followed, Replayed, ToTargets
from detectors.failures import UNCONTAINED
from detectors.windows.clock import EventClock, SourceTime
from streams.engine.failed_records import Failed, FailureCounts, Positions
from streams.engine.step_error import StepError
from streams.log.actor_blocks import actor_block_of, pseudonym
from streams.log.controls import ControlSender, ControlsSeen, decode_controls, is_control, to_actors
from streams.log.frames import ActorFrame
from streams.log.hashing import actor_hash, partition_of, target_hash
from streams.log.versions import FrameError, decode_actor_frame
from streams.settings.settings import Settings

ACTIVE_BYTES = 500
"""Memory of an account that is not in a page, with its id."""
ACTIVE_MIN = 1_000
STORED_MIN = 10_000
"""Least accounts of a partition, however small the budgets are."""


def account_settings(settings: Settings) -> AccountSettings:
    """The settings of the accounts of a partition: of the budgets, each partition has an equal share."""
    actors = settings.actors
    allowed = (pseudonym(actor_hash(name)) for name in actors.allow) if actors.pseudonyms else actors.allow
    return AccountSettings(
        stored_max=max(STORED_MIN, actors.accounts // settings.partitions),
        active_max=max(ACTIVE_MIN, actors.memory_bytes // ACTIVE_BYTES // settings.partitions),
        allow=frozenset(allowed),
    )


class PartitionAccounts:
    """The accounts of the log of one partition, in order. The same log gives the same outcome, byte for byte."""

    def __init__(
        self,
        settings: AccountSettings,
        *,
        partition: int,
        target_partitions: int,
        pages: AccountPages | None = None,
        failed: Failed | None = None,
    ) -> None:
        """``target_partitions`` are those of by-target.

        ``failed`` are the failures of earlier accounts. The caller owns it, and passes it to the next ones.
        """
        self.clock = EventClock()
        self.accounts = Accounts(
            settings,
            pages,
            target_hash=target_hash,
            target_partition=partial(partition_of, partitions=target_partitions),
        )
        self._target_partitions = target_partitions
        self._sender = ControlSender(f"actors/{partition}")
        self._controls_seen = ControlsSeen()
        self._failed: Failed = {} if failed is None else failed
        self.skipped = Positions()
        """positions of records that raised, and were skipped"""
        self.redelivered = 0
        self.broken = 0

    def apply(self, value: bytes | None, offset: int) -> AccountsOutcome:
        """Apply the record at ``offset``. A record that is no frame is counted as broken and skipped.

        Raises StepError; then the accounts cannot be used. New ones with the same ``failed`` skip what raised.
        """
        outcome = AccountsOutcome()
        self._apply(value, offset, outcome)
        return outcome

    def _apply(self, value: bytes | None, offset: int, outcome: AccountsOutcome) -> None:
        try:
            if is_control(value):
                self._control(value or b"", offset, outcome)
                return
            frame = decode_actor_frame(value)
        except FrameError:
            self.broken += 1
            return
        with_events = not self._failed.get(offset, FailureCounts()).events
        try:
            self._observe(frame, offset, outcome, with_events=with_events)
        except UNCONTAINED:
            raise
        except Exception as error:
            raise self._failure(offset, error, events=1) from error
        now = self.clock.update_source(
            frame.source,
            SourceTime(frame.next, frame.watermark, frame.idle, written_ms=frame.written_ms),
            frame.roster,
        )
        if self._failed.get(offset, FailureCounts()).time:
            return
        try:
            self.accounts.advance(now, outcome)
        except UNCONTAINED:
            raise
        except Exception as error:
            raise self._failure(offset, error, time=1) from error

    def _observe(self, frame: ActorFrame, offset: int, outcome: AccountsOutcome, *, with_events: bool) -> None:
        if not frame.target:
            return
        if not with_events:
            self.skipped.add(offset)
        if offset in self.skipped:
            return
        known = self.clock.sources.get(frame.source)
        seen = 0 if known is None else known.next_offset
        if frame.next <= seen:
            self.redelivered += len(frame.target)
            return
        block = None
        with contained(ACTS, outcome):
            block = actor_block_of(frame, seen)
        if block is not None:
            self.accounts.observe(block, outcome)

    def _control(self, value: bytes, offset: int, outcome: AccountsOutcome) -> None:
        frame = decode_controls(value)
        if not self._controls_seen.take(frame):
            self.redelivered += 1
            return
        if offset in self._failed:
            self.skipped.add(offset)
        if offset in self.skipped:
            return
        try:
            for record in to_actors(frame):
                self.accounts.control(record, outcome)
        except UNCONTAINED:
            raise
        except Exception as error:
            raise self._failure(offset, error, events=1) from error

    def _failure(self, offset: int, error: Exception, *, events: int = 0, time: int = 0) -> StepError:
        before = self._failed.get(offset, FailureCounts())
        self._failed[offset] = FailureCounts(before.events + events, before.time + time)
        return StepError(f"the accounts failed at the record at {offset}: {error!r}")

    def complete(self) -> AccountsOutcome:
        """Add the events that wait, before the parts are dumped."""
        outcome = AccountsOutcome()
        self.accounts.complete(outcome)
        return outcome

    def controls_of(self, outcome: AccountsOutcome, offset: int) -> list[tuple[int, bytes]]:
        """The control frames for ``by-target`` (partition, frame) of the record at ``offset``. Called once a record.

        Empties ``outcome.controls``.
        """
        controls, outcome.controls = outcome.controls, []
        if not controls:
            return []
        placed = [(place, record) for to, record in controls for place in self._places(to, record)]
        return self._sender.frames(placed, position=offset, now_ms=self.clock.now)

    def _places(self, to: int | None, record: ToTargets) -> Sequence[int]:
        """The partitions of by-target that get a record."""
        if isinstance(record, Followed | Replayed):
            return (partition_of(record.target, self._target_partitions),)
        if to is None:
            return range(self._target_partitions)
        if isinstance(record, Answered) and to >= self._target_partitions:
            return ()  # asked before the partitions became others
        return (to,)

    # ------------------------------------------------------------ state

    def dump(self) -> dict[str, Any]:
        """The state that is in no part, as builtins that do not change."""
        state: dict[str, Any] = msgspec.to_builtins(
            {
                "clock": [self.clock.now, self.clock.sources, self.clock.roster],
                "controls": [self._controls_seen.dump(), self._sender.epoch],
            }
        )
        return state

    def load(self, state: dict[str, Any], skipped: Iterable[tuple[int, int]] = ()) -> None:
        """Load dumped state, after the parts."""
        now, sources, roster = state["clock"]
        self.clock.restore(now, msgspec.convert(sources, dict[str, SourceTime]), dict(roster))
        seen, self._sender.epoch = state["controls"]
        self._controls_seen = ControlsSeen(seen)
        self.skipped = Positions(skipped)
