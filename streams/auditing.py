"""The targets step without Kafka: records of one ``by-target`` partition in, the audit's outcome out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from detectors.audit import Audit, AuditSettings
from detectors.records import Outcome
from detectors.watched import Watches
from detectors.windows import Clock, SourceTime
from streams.decoding import FrameError, decode
from streams.frames import block_of
from streams.rules.standing import Standing, rule_settings
from streams.settings import Settings


def audit_settings(settings: Settings, partition: int) -> AuditSettings:
    """What the audit of a partition is told by the settings."""
    return AuditSettings(
        tick_seconds=settings.time.tick_seconds,
        counts_seconds=settings.time.counts_seconds,
        dedupe_ids=settings.state.dedupe_ids,
        partition=partition,
        config=settings.version(),
        shadow=frozenset(settings.detection.shadow),
        rules=rule_settings(settings.rules),
        models=settings.detection.choices(),
        rulebook=settings.detection.rulebook(),
        explained=settings.detection.explained,
        promotions=settings.detection.announced(),
    )


class PartitionAudit:
    """The log of one partition, applied in order. The same log gives the same outcome, byte for byte."""

    def __init__(self, settings: AuditSettings, watches: Watches | None = None) -> None:
        self.clock = Clock()
        self.audit = Audit(settings, watches)
        self._standing = Standing(settings.rules)
        self.events = 0
        self.skipped = 0
        self.broken = 0
        self._marks: dict[int, dict[str, int]] = {}
        self._replayed: dict[str, int] = {}

    def apply(self, value: bytes | None, offset: int, outcome: Outcome) -> None:
        """Apply the record at ``offset``. A record that is no frame is counted as broken and passed over."""
        for _ in self.steps(value, offset, outcome):
            pass

    def steps(self, value: bytes | None, offset: int, outcome: Outcome) -> Iterator[None]:
        """As ``apply``, pausing now and then (see ``Audit.steps``)."""
        try:
            frame = decode(value)
        except FrameError:
            self.broken += 1
            return
        known = self.clock.sources.get(frame.source)
        block = self._standing.ruled(block_of(frame, known.next_offset if known is not None else 0))
        taken = 0 if block is None else len(block.target)
        self.skipped += len(frame.target) - taken
        self.events += taken
        if block is not None:
            self.audit.observe(block, offset, outcome)
            self._mark(offset)
        heard = SourceTime(frame.next, frame.watermark, frame.idle)
        now = self.clock.hear(frame.source, heard, frame.roster)
        if now > self.audit.now:
            yield from self.audit.steps(now, outcome)

    # ------------------------------------------------------------ state

    def dump(self, position: int) -> dict[str, Any]:
        """All that is not keyed, at ``position`` of the log, as msgspec-encodable builtins."""
        replay_from = self.audit.intake.replay_start(position)
        kept = self.audit.intake.starts()
        self._marks = {offset: mark for offset, mark in self._marks.items() if offset in kept}
        return {
            "audit": self.audit.dump(),
            "clock": [self.clock.now, self.clock.sources, self.clock.roster],
            "replay_from": replay_from,
            "replay_sources": self._marks.get(replay_from, {}),
            "marks": self._marks,
        }

    def load(self, state: dict[str, Any]) -> int:
        """Take dumped state (the watches are loaded already); answers where the log must be replayed from."""
        self.clock.now, sources, self.clock.roster = state["clock"]
        self.clock.sources = msgspec.convert(sources, dict[str, SourceTime])
        self._replayed = dict(state["replay_sources"])
        self._marks = {int(offset): mark for offset, mark in state["marks"].items()}
        self.audit.load(state["audit"])
        return int(state["replay_from"])

    def replay(self, value: bytes | None, offset: int) -> None:
        """Apply again a record between ``replay_from`` and the position of the loaded state."""
        try:
            frame = decode(value)
        except FrameError:
            return
        block = self._standing.ruled(block_of(frame, self._replayed.get(frame.source, 0)))
        self._replayed[frame.source] = max(frame.next, self._replayed.get(frame.source, 0))
        if block is not None:
            self.audit.replay(block, offset)

    def _mark(self, offset: int) -> None:
        """Where a tick or a generation of ids begins, note what had been seen of each source before."""
        if self.audit.intake.begins_at(offset):
            self._marks[offset] = {source: s.next_offset for source, s in self.clock.sources.items()}
