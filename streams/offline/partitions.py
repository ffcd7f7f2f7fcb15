"""Audits the log of each partition of an offline replay, and collects what is written of it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from io import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import Protocol

import msgspec

from detectors.cases.statuses import OPENED
from detectors.records import Outcome
from detectors.state.case import EXPLAINED
from detectors.state.removals import RULE
from detectors.state.target_states import MemoryTargetStates
from streams.engine.failed_records import Failed
from streams.engine.step_error import StepError
from streams.settings.settings import Settings
from streams.targets.outputs import correction_value, count_value, flag_value
from streams.targets.step import PartitionAudit, audit_settings

SPOOLED_BYTES = 1 << 20
_LENGTH = struct.Struct("<I")

Frames = list[tuple[int, bytes]]
"""Frames of a step of ingest, each with its partition."""


class Audited(msgspec.Struct, array_like=True):
    """What the audit of a frame gives: lines of the output files, and numbers of the summary."""

    partition: int
    flags: list[bytes]
    corrections: list[bytes]
    counts: list[bytes]
    late: int
    historic: int
    duplicates: int
    unmatched_undos: int
    explained: int
    rule_bursts: int
    flagged: list[tuple[str, str]]
    """target and metric of each flag that was opened and is neither explained nor of a rule"""
    failures: dict[str, int]
    uncounted: list[tuple[int, bytes | None, str]]
    """records of the log whose events could not be counted: position, value, and why"""
    requests: Frames = []
    """control frames for by-actor"""


class Totals(msgspec.Struct, array_like=True):
    """Sums over the targets of a partition at the end."""

    targets: int = 0
    raw: int = 0
    valid: int = 0
    quarantined: int = 0
    unjudged: int = 0
    invalid: dict[str, int] = {}


class Auditors(Protocol):
    """Audits the frames of ingest, step by step. Results have the order of the frames."""

    def send(self, frames: Frames) -> None:
        """Take the frames of the next step. Never waits for their audit."""
        ...

    def results(self, open_max: int) -> Iterator[Iterable[Audited]]:
        """Results of the earliest steps without one. Waits until at most ``open_max`` steps have none."""
        ...

    def totals(self) -> list[Totals]:
        """The totals of all partitions, in their order. Called once, when all steps have results."""
        ...

    def close(self) -> None:
        """Free everything, also after an exception."""
        ...


class PartitionReplay:
    """The audit of a partition, and its log so far."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self.partition = partition
        self._settings = settings
        self._actor_partitions = settings.partitions if settings.actors.enabled else 0
        self._failed: Failed = {}
        self._frames = LogSoFar()
        self._offset = 0
        self._restart()

    def _restart(self) -> None:
        self._states = MemoryTargetStates()
        self._audit = PartitionAudit(audit_settings(self._settings, self.partition), self._states, self._failed)

    def apply(self, frame: bytes) -> Audited:
        """Audit the next frame of the log."""
        self._frames.append(frame)
        outcome = self._applied(frame)
        requests = self._audit.requests_of(outcome, self._offset, self._actor_partitions)
        self._offset += 1
        opened = [flag for flag in outcome.flags if flag.status == OPENED]
        return Audited(
            self.partition,
            list(map(flag_value, outcome.flags)),
            list(map(correction_value, outcome.corrections)),
            list(map(count_value, outcome.counts)),
            outcome.late,
            outcome.historic,
            outcome.duplicates,
            outcome.unmatched_undos,
            sum(flag.verdict == EXPLAINED for flag in opened),
            sum(flag.verdict == RULE for flag in opened),
            [(flag.target, flag.metric) for flag in opened if flag.verdict not in (EXPLAINED, RULE)],
            outcome.failures,
            [(one.position, one.value, one.message) for one in outcome.uncounted],
            requests,
        )

    def _applied(self, frame: bytes) -> Outcome:
        """Outcome of a frame. If it fails, the log so far is audited again, as after the restart of a worker."""
        failed = False
        while True:
            try:
                if failed:
                    self._restart()
                    for position, before in enumerate(self._frames.first(self._offset)):
                        again = Outcome()
                        self._audit.apply(before, position, again)
                        self._audit.requests_of(again, position, self._actor_partitions)
                outcome = Outcome()
                self._audit.apply(frame, self._offset, outcome)
            except StepError:
                failed = True
            else:
                return outcome

    def totals(self) -> Totals:
        """Sums over all targets."""
        found = Totals()
        for state in self._states.states.values():
            ledger = state.ledger
            found.targets += 1
            found.raw += ledger.raw
            found.valid += ledger.valid
            found.quarantined += ledger.quarantined
            found.unjudged += state.unjudged
            for reason, count in ledger.invalid.items():
                found.invalid[reason] = found.invalid.get(reason, 0) + count
        return found

    def close(self) -> None:
        """Free the log."""
        self._frames.close()


class InProcess:
    """Audits all partitions in this process; each frame when its result is read."""

    def __init__(self, settings: Settings) -> None:
        self._partitions = [PartitionReplay(settings, partition) for partition in range(settings.partitions)]
        self._steps: list[Frames] = []

    def send(self, frames: Frames) -> None:
        """See Auditors."""
        self._steps.append(frames)

    def results(self, open_max: int) -> Iterator[Iterable[Audited]]:  # none is left open
        """See Auditors."""
        steps, self._steps = self._steps, []
        for frames in steps:
            yield (self._partitions[partition].apply(frame) for partition, frame in frames)

    def totals(self) -> list[Totals]:
        """See Auditors."""
        return [partition.totals() for partition in self._partitions]

    def close(self) -> None:
        """See Auditors."""
        for partition in self._partitions:
            partition.close()


class LogSoFar:
    """The log of a partition so far, to read again when a record fails; on disk from SPOOLED_BYTES on."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(SPOOLED_BYTES)  # noqa: SIM115  # open as long as the replay

    def append(self, frame: bytes) -> None:
        """Append a record."""
        self._file.write(_LENGTH.pack(len(frame)))
        self._file.write(frame)

    def first(self, count: int) -> Iterator[bytes]:
        """The first ``count`` records."""
        self._file.seek(0)
        for _ in range(count):
            (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
            yield self._file.read(length)
        self._file.seek(0, SEEK_END)

    def close(self) -> None:
        """Free it."""
        self._file.close()
