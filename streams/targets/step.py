"""The targets step without Kafka: turns the records of one ``by-target`` partition into the outcome of the audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from detectors.audit import Audit, AuditSettings
from detectors.events.block import EventBlock
from detectors.events.key import NO_KEY, Key
from detectors.failures import UNCONTAINED
from detectors.intake.prepared import BlockError
from detectors.records import Outcome, Uncounted
from detectors.state.parts import Part
from detectors.state.target_states import TargetStates
from detectors.windows.clock import EventClock, SourceTime
from streams.engine.failed_records import Failed, FailureCounts, Positions
from streams.engine.step_error import StepError
from streams.log.blocks import block_of, countable
from streams.log.controls import (
    ControlSender,
    ControlsSeen,
    by_actor_partition,
    decode_controls,
    is_control,
    to_targets,
)
from streams.log.frames import Frame
from streams.log.versions import FrameError, decode
from streams.settings.settings import Settings
from streams.targets.tags import EffectiveTags, rule_settings


def audit_settings(settings: Settings, partition: int) -> AuditSettings:
    """The settings of the audit of a partition."""
    return AuditSettings(
        tick_seconds=settings.time.tick_seconds,
        counts_seconds=settings.time.counts_seconds,
        dedupe_ids=settings.state.dedupe_ids,
        partition=partition,
        partitions=settings.partitions,
        config=settings.version(),
        shadow=frozenset(settings.detection.shadow),
        rules=rule_settings(settings.rules),
        models=settings.detection.choices(),
        rulebook=settings.detection.rulebook(),
        explained=settings.detection.explained,
        promotions=settings.detection.announced(),
        settle_hours=settings.actors.settlement_hours if settings.actors.enabled else 0,
    )


class PartitionAudit:
    """Audits the log of one partition, in order. The same log gives the same outcome, byte for byte."""

    def __init__(
        self,
        settings: AuditSettings,
        states: TargetStates | None = None,
        failed: Failed | None = None,
        *,
        app: str = "",
    ) -> None:
        """``failed`` are the failures of earlier audits. The caller owns it, and passes it to the next audit.

        ``app`` is the installation. Two may audit one log: the one before a rebuild, and the one after it.
        """
        self.clock = EventClock()
        self.audit = Audit(settings, states)
        self._effective_tags = EffectiveTags(settings.rules)
        self.events = 0
        self.skipped = 0
        self.broken = 0
        self.counted_only = 0
        self.unjudged = Positions()
        """positions whose events are counted and not judged"""
        self._failed: Failed = {} if failed is None else failed
        self._controls_seen = ControlsSeen()
        self._sender = ControlSender(f"{app}targets/{settings.partition}")
        self._seen_before: dict[int, dict[str, int]] = {}
        """position at which a replay may begin → the next offset of each source there"""
        self._replayed: dict[str, int] = {}

    def apply(self, value: bytes | None, offset: int, outcome: Outcome) -> None:
        """Apply the record at ``offset``. A record that is no frame is counted as broken and skipped.

        After any exception the audit cannot be used. A new one with the same ``failed`` does less with that record.
        """
        for _ in self.steps(value, offset, outcome):
            pass

    def steps(self, value: bytes | None, offset: int, outcome: Outcome) -> Iterator[None]:
        """As ``apply``, in steps (see ``Audit.steps``)."""
        if is_control(value):
            self._control(value or b"", offset, outcome)
            return
        try:
            frame = decode(value)
        except FrameError as error:
            self.broken += 1
            outcome.uncounted.append(Uncounted(offset, value, str(error)))
            return
        failures = self._failed.get(offset, FailureCounts())
        if offset in self._failed:
            self.unjudged.add(offset)
        try:
            self._enter(frame, value, offset, outcome)
        except UNCONTAINED:
            raise
        except Exception as error:
            self._failed[offset] = FailureCounts(failures.events + 1, failures.time)
            raise StepError(f"the events of the record at {offset} could not be audited: {error!r}") from error
        if not failures.advances_time():
            return
        try:
            now = self.clock.update_source(
                frame.source,
                SourceTime(frame.next, frame.watermark, frame.idle, written_ms=frame.written_ms),
                frame.roster,
            )
            if now > self.audit.now:
                yield from (self.audit.steps if failures.judges_windows() else self.audit.skip_judging)(now, outcome)
        except UNCONTAINED:
            raise
        except Exception as error:
            self._failed[offset] = FailureCounts(failures.events, failures.time + 1)
            raise StepError(f"the windows closed by the record at {offset} could not be audited: {error!r}") from error

    def _control(self, value: bytes, offset: int, outcome: Outcome) -> None:
        """Take a control frame. After a failure it is skipped, as in every later audit of this log."""
        try:
            frame = decode_controls(value)
        except FrameError as error:
            self.broken += 1
            outcome.uncounted.append(Uncounted(offset, value, str(error)))
            return
        if not self._controls_seen.take(frame):
            self.skipped += 1
            return
        if offset in self._failed:
            self.unjudged.add(offset)
        if offset in self.unjudged:
            return
        try:
            for record in to_targets(frame):
                self.audit.control(record, offset, outcome)
        except UNCONTAINED:
            raise
        except Exception as error:
            failures = self._failed.get(offset, FailureCounts())
            self._failed[offset] = FailureCounts(failures.events + 1, failures.time)
            raise StepError(f"the control records at {offset} could not be applied: {error!r}") from error

    def _enter(self, frame: Frame, value: bytes | None, offset: int, outcome: Outcome) -> None:
        known = self.clock.sources.get(frame.source)
        seen = known.next_offset if known is not None else 0
        if self._failed.get(offset, FailureCounts()).counts_events():
            taken = self._take(frame, seen, offset, outcome)
            self.skipped += len(frame.target) - taken
            self.events += taken
        elif frame.target:
            outcome.uncounted.append(Uncounted(offset, value, _uncountable(frame)))

    def _take(self, frame: Frame, seen: int, offset: int, outcome: Outcome) -> int:
        """Audit a frame's events, or only count them. Returns their number."""
        if offset not in self.unjudged:
            try:
                block = self._block(frame, seen)
                if block is None:
                    return 0
                self.audit.observe(block, offset, outcome)
            except BlockError as error:
                self.unjudged.add(offset)
                outcome.fail("step", NO_KEY, -1, 0, error)
            else:
                self._note_seen(offset)
                return len(block.target)
        self.counted_only += 1
        block = countable(frame, seen)
        if block is None:
            return 0
        self.audit.count(self._tagged(block), offset, outcome)
        self._note_seen(offset)
        return len(block.target)

    def _block(self, frame: Frame, seen: int) -> EventBlock | None:
        """The new events of a frame. Raises BlockError before anything has changed, so the task can go on."""
        try:
            return self._effective_tags.apply(block_of(frame, seen))
        except UNCONTAINED:
            raise
        except Exception as error:
            raise BlockError(repr(error)) from error

    def _tagged(self, block: EventBlock) -> EventBlock:
        try:
            return self._effective_tags.apply(block) or block
        except UNCONTAINED:
            raise
        except Exception:  # noqa: BLE001  # counted as the log has it
            return block

    def requests_of(self, outcome: Outcome, offset: int, partitions: int) -> list[tuple[int, bytes]]:
        """The control frames for ``by-actor`` (partition, frame) of what the record at ``offset`` requested.

        Empties ``outcome.requests``. ``partitions`` are those of by-actor; with 0 nobody is asked. Called once a
        record, after its last step.
        """
        requests, outcome.requests = outcome.requests, []
        if not requests or not partitions:
            return []
        split = by_actor_partition(requests, partitions)
        return self._sender.frames(split, position=offset, now_ms=self.clock.now)

    # ------------------------------------------------------------ gauges

    @property
    def now_ms(self) -> int:
        """Event time in epoch ms, -1 before there is any."""
        return self.clock.now

    def emits_views_at_start(self) -> bool:
        """Whether this platform emits a view when playback begins, not when it ends."""
        return self.audit.emits_views_at_start()

    def memory_bytes(self) -> int:
        """Estimated bytes in memory, without the states of targets."""
        return self.audit.memory_bytes()

    # ------------------------------------------------------------ state

    def parts(self) -> tuple[Part, ...]:
        """The parts of the audit's state. ``dump`` gives the rest."""
        return self.audit.parts

    def unjudged_from(self, replay_from: int) -> list[tuple[int, int]]:
        """Ranges of positions that were counted and not judged: the last ones, and all that a replay may need."""
        return self.unjudged.ranges(replay_from)

    def restart_key(self, key: Key) -> None:
        """Start a key again without state, because its stored state was lost. Its counts are marked as incomplete."""
        self.audit.restart_key(key)

    def lose_relations(self, key: Key) -> None:
        """Go on without some of a key's relations, because a page of them was lost."""
        self.audit.lose_relations(key)

    def dump(self, position: int) -> dict[str, Any]:
        """The state that is in no part, at ``position`` of the log, as builtins that msgspec encodes."""
        replay_from, needed = self.audit.replay_positions(position)
        self._seen_before = {offset: seen for offset, seen in self._seen_before.items() if offset in needed}
        seen, epoch = self._controls_seen.dump(), self._sender.epoch
        controls = {"controls": [seen, epoch]} if seen or epoch >= 0 else {}
        return {
            "audit": self.audit.dump(),
            "clock": [self.clock.now, self.clock.sources, self.clock.roster],
            "replay_from": replay_from,
            "replay_sources": self._seen_before.get(replay_from, {}),
            "marks": self._seen_before,
            **controls,
        }

    def load(self, state: dict[str, Any], unjudged: Iterable[tuple[int, int]] = ()) -> int:
        """Load dumped state, after the parts. Returns the position from which the log must be replayed."""
        self.unjudged = Positions(unjudged)
        now, sources, roster = state["clock"]
        self.clock.restore(now, msgspec.convert(sources, dict[str, SourceTime]), roster)
        self._replayed = dict(state["replay_sources"])
        self._seen_before = {int(offset): seen for offset, seen in state["marks"].items()}
        seen, self._sender.epoch = state.get("controls", ({}, -1))
        self._controls_seen = ControlsSeen(seen)
        self.audit.load(state["audit"])
        return int(state["replay_from"])

    def replay(self, value: bytes | None, offset: int) -> None:
        """Apply a record between ``replay_from`` and the position of the loaded state again."""
        try:
            self._replay(value, offset)
        except UNCONTAINED:
            raise
        except Exception as error:
            failures = self._failed.get(offset, FailureCounts())
            self._failed[offset] = FailureCounts(failures.events + 1, failures.time)
            raise StepError(f"the record at {offset} could not be read again: {error!r}") from error

    def _replay(self, value: bytes | None, offset: int) -> None:
        if is_control(value):
            return  # all that it has changed is in the stored state
        try:
            frame = decode(value)
        except FrameError:
            return
        seen = self._replayed.get(frame.source, 0)
        self._replayed[frame.source] = max(frame.next, seen)
        if offset in self._failed:
            self.unjudged.add(offset)
        if offset not in self.unjudged:
            try:
                block = self._block(frame, seen)
                if block is not None:
                    self.audit.replay(block, offset)
            except BlockError:
                self.unjudged.add(offset)
            else:
                return
        block = countable(frame, seen) if self._failed.get(offset, FailureCounts()).counts_events() else None
        if block is not None:
            self.audit.count(self._tagged(block), offset, Outcome(), replayed=True)

    def _note_seen(self, offset: int) -> None:
        """Note the next offset of each source, if a tick or a generation of ids begins at this position."""
        if self.audit.begins_at(offset):
            self._seen_before[offset] = {source: s.next_offset for source, s in self.clock.sources.items()}


def _uncountable(frame: Frame) -> str:
    where = f"{frame.source}, offsets {frame.first} to {frame.next - 1}"
    return f"{len(frame.target)} events ({where}) could not even be counted; see the log of the worker"
