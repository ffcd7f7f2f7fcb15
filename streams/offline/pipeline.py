"""Audits a recorded file without a broker, with the objects that workers use, and writes four NDJSON files."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from io import SEEK_END
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

import orjson

from detectors.cases.statuses import OPENED
from detectors.records import Outcome
from detectors.state.case import EXPLAINED
from detectors.state.removals import RULE
from detectors.state.target_states import MemoryTargetStates
from streams.deadletters import DeadLetter, Why
from streams.engine.task import StepError
from streams.ingest.router import Routed, Router
from streams.ingest.rules.tagging import Tagger
from streams.offline.recorded.decoding import batched, records_of, rows_by_time, unreadable
from streams.offline.recorded.file import RecordedFile
from streams.offline.recorded.losses import Losses
from streams.offline.recorded.row import Row
from streams.settings.inputs import Input
from streams.settings.section import SettingsError
from streams.settings.settings import Settings
from streams.targets.outputs import correction_value, count_value, flag_value
from streams.targets.step import PartitionAudit, audit_settings
from streams.targets.unjudged import Failed

BATCH = 2000
SPOOLED_BYTES = 1 << 20
_LENGTH = struct.Struct("<I")

SOURCE = "recorded"
FILES = ("flagged-events", "audited-counts", "corrections", "dead-letters")


@dataclass(slots=True)
class Summary:
    """Result of an offline replay."""

    records: int = 0
    events: int = 0
    dead_letters: int = 0
    late: int = 0
    historic: int = 0
    duplicates: int = 0
    raw: int = 0
    valid: int = 0
    quarantined: int = 0
    invalid: dict[str, int] = field(default_factory=dict)
    targets: int = 0
    flags: int = 0
    flagged_targets: int = 0
    corrections: int = 0
    explained: int = 0
    """surges with an honest explanation; they are not counted as flags"""
    rule_bursts: int = 0
    """flags of rules that removed unusually many events of a target; they are not counted as flags"""
    refused: dict[str, int] = field(default_factory=dict)
    """dead letters by reason"""
    skipped: dict[str, int] = field(default_factory=dict)
    """records that are not events on purpose, by reason"""
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    """optional values that were left out or cut, by field and reason; their events are counted"""
    sorted: bool = False
    """whether the file had to be sorted by time"""
    most_frequent: dict[str, Any] | None = None
    """the most frequent reason of a dead letter, with an example"""
    unjudged: int = 0
    """counted events of which a window was not judged because detection failed"""
    failures: dict[str, int] = field(default_factory=dict)
    """exceptions in detection that were contained, by part"""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


class NotInOrderError(Exception):
    """An event of a file is later than ``time.lateness_seconds`` allows."""


class Offline:
    """A router and all partitions in one process; sinks take (file name, line)."""

    def __init__(
        self,
        settings: Settings,
        sink: Callable[[str, bytes], None],
        *,
        config: Input | None = None,
        clock_ms: int | None = None,
    ) -> None:
        """``config`` is the input that the records belong to; by default one of native events.

        ``clock_ms`` is the broker's clock; by default now. An event more than ``time.future_skew_seconds`` ahead of it
        is a dead letter.
        """
        self._settings = settings
        self._sink = sink
        self._config = Input(topic=SOURCE) if config is None else config
        self._clock_ms = int(time.time() * 1000) if clock_ms is None else clock_ms
        self._router = Router(
            config=self._config,
            partition=0,
            time=settings.time,
            partitions=settings.partitions,
            tagger=Tagger(settings.rules),
        )
        self._roster = {self._config.topic: 1}
        self._failed: list[Failed] = [{} for _ in range(settings.partitions)]
        self._target_states = [MemoryTargetStates() for _ in range(settings.partitions)]
        self._audits = [self._audit(partition) for partition in range(settings.partitions)]
        self._frames = [_Frames() for _ in range(settings.partitions)]
        self._offsets = [0] * settings.partitions
        self._flagged: set[tuple[str, str]] = set()
        self.summary = Summary()
        self.losses = Losses()
        self.may_be_late = True
        """whether late events are counted as late; if not, they raise NotInOrderError"""
        self.log: list[list[bytes]] | None = None
        """frames of each partition, as in by-target; recorded if a caller sets this to lists"""

    def run(self, values: Iterable[bytes], progress: Callable[[int], None] = lambda _: None) -> Summary:
        """Feed values of records in their order, then close the last windows. Returns the summary."""
        rows = (Row(value, value, number) for number, value in enumerate(values))
        return self.replay(rows, progress)

    def replay(self, rows: Iterable[Row], progress: Callable[[int], None] = lambda _: None) -> Summary:
        """Feed rows in their order, then close the last windows. Returns the summary.

        Raises NotInOrderError at a late event unless ``may_be_late``.
        """
        try:
            self._feed(rows, progress)
        finally:
            for frames in self._frames:
                frames.close()
        self._close()
        return self.summary

    def _feed(self, rows: Iterable[Row], progress: Callable[[int], None]) -> None:
        offset = 0
        for batch in batched(rows, BATCH):
            documents = [row for row in batch if row.value is not None]
            for row in batch if len(documents) < len(batch) else ():
                if row.value is None:
                    self._refuse(unreadable(self._config.topic, row), row.lines)
            if documents:
                records = records_of(documents, offset, self._clock_ms)
                next_offset = offset + len(documents)
                self._take(
                    self._router.route(records, next_offset=next_offset, now_ms=next_offset, roster=self._roster)
                )
                offset = next_offset
            self.summary.records += len(batch)
            progress(self.summary.records)
        margin = (self._settings.time.tick_seconds + self._settings.time.counts_seconds) * 1000
        until = self._router.last_ts() + margin
        self._take(self._router.finish(next_offset=offset, until_ms=until, roster=self._roster))

    def _refuse(self, letter: DeadLetter, lines: int = 1) -> None:
        self.summary.dead_letters += 1
        line = letter.offset if letter.line is None else letter.line
        self.losses.refuse(str(letter.reason), line, letter.value or b"", letter.message, lines)
        self._sink("dead-letters", orjson.dumps(letter.as_line()))

    def _take(self, routed: Routed) -> None:
        if routed.behind_ms > self._settings.time.lateness_seconds * 1000 and not self.may_be_late:
            raise NotInOrderError
        self.summary.events += routed.events
        self.losses.skip(routed.skipped)
        self.losses.leave_unread(routed.unread)
        for letter in routed.dead:
            # Report the line in the file, not the record's number after sorting.
            self._refuse(replace(letter, offset=letter.offset if letter.line is None else letter.line))
        for partition, frame in routed.frames:
            self._frames[partition].append(frame)
            outcome = self._applied(partition, frame)
            self._offsets[partition] += 1
            if self.log is not None:
                self.log[partition].append(frame)
            self._write(outcome)
            for position, value, message in outcome.uncounted:
                self._refuse(DeadLetter("by-target", partition, position, None, value, Why.UNCOUNTABLE, message))

    def _audit(self, partition: int) -> PartitionAudit:
        target_states = self._target_states[partition] = MemoryTargetStates()
        return PartitionAudit(audit_settings(self._settings, partition), target_states, self._failed[partition])

    def _applied(self, partition: int, frame: bytes) -> Outcome:
        """Outcome of a frame. If it fails, the partition's log is audited again, as after the restart of a worker."""
        offset, failed = self._offsets[partition], False
        while True:
            try:
                if failed:
                    audit = self._audits[partition] = self._audit(partition)
                    for position, before in enumerate(self._frames[partition].first(offset)):
                        audit.apply(before, position, Outcome())
                outcome = Outcome()
                self._audits[partition].apply(frame, offset, outcome)
            except StepError:
                failed = True
            else:
                return outcome

    def _write(self, outcome: Outcome) -> None:
        summary = self.summary
        summary.late += outcome.late
        summary.historic += outcome.historic
        summary.duplicates += outcome.duplicates
        for part, failures in outcome.failures.items():
            summary.failures[part] = summary.failures.get(part, 0) + failures
        for flag in outcome.flags:
            self._sink("flagged-events", flag_value(flag))
            if flag.status == OPENED and flag.verdict == EXPLAINED:
                summary.explained += 1
            elif flag.status == OPENED and flag.verdict == RULE:
                summary.rule_bursts += 1
            elif flag.status == OPENED:
                summary.flags += 1
                self._flagged.add((flag.target, flag.metric))
        for correction in outcome.corrections:
            summary.corrections += 1
            self._sink("corrections", correction_value(correction))
        for count in outcome.counts:
            self._sink("audited-counts", count_value(count))

    def _close(self) -> None:
        summary = self.summary
        for target_states in self._target_states:
            for state in target_states.states.values():
                ledger = state.ledger
                summary.targets += 1
                summary.raw += ledger.raw
                summary.valid += ledger.valid
                summary.quarantined += ledger.quarantined
                summary.unjudged += state.unjudged
                for reason, count in ledger.invalid.items():
                    summary.invalid[reason] = summary.invalid.get(reason, 0) + count
        summary.flagged_targets = len(self._flagged)
        losses = self.losses
        losses.records, losses.events, losses.late = summary.records, summary.events, summary.late
        summary.refused, summary.skipped, summary.unread = losses.refused, losses.skipped, losses.unread
        summary.most_frequent = losses.as_dict()


def audit_file(
    settings: Settings,
    recorded: RecordedFile,
    files: Files,
    clock_ms: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Offline:
    """Audit a recorded file. Returns the audit, with its summary. Raises SettingsError.

    The file is audited in its own order. If an event is late, the file is sorted by time and audited again from the
    beginning. Most files are in order: a check before the audit would cost every replay a second reading.
    """
    offline = Offline(settings, files.write, config=recorded.input, clock_ms=clock_ms)
    offline.may_be_late = False
    try:
        with closing(recorded.rows()) as rows:
            offline.replay(rows, progress)
    except NotInOrderError:
        files.empty()
        offline = Offline(settings, files.write, config=recorded.input, clock_ms=clock_ms)
        offline.summary.sorted = True
        with rows_by_time(recorded, settings.time, clock_ms) as ordered:
            offline.replay(ordered, progress)
    return offline


class _Frames:
    """A partition's log so far, to read again when a record fails; on disk from SPOOLED_BYTES on."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(SPOOLED_BYTES)  # noqa: SIM115  # open as long as the replay

    def append(self, frame: bytes) -> None:
        self._file.write(_LENGTH.pack(len(frame)))
        self._file.write(frame)

    def first(self, count: int) -> Iterator[bytes]:
        """The first ``count`` frames."""
        self._file.seek(0)
        for _ in range(count):
            (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
            yield self._file.read(length)
        self._file.seek(0, SEEK_END)

    def close(self) -> None:
        self._file.close()


class Files:
    """The four output files of a directory."""

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._files: dict[str, BinaryIO] = {
                name: (directory / f"{name}.ndjson").open("wb", buffering=1 << 20) for name in FILES
            }
        except OSError as error:
            raise SettingsError(f"cannot write to directory {directory}: {error.strerror}") from None

    def write(self, name: str, line: bytes) -> None:
        """Append a line to a file."""
        self._files[name].write(line + b"\n")

    def empty(self) -> None:
        """Remove everything that was written."""
        for file in self._files.values():
            file.seek(0)
            file.truncate()

    def close(self) -> None:
        """Flush and close."""
        for file in self._files.values():
            file.close()
