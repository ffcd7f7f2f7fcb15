"""Audits a recorded file without a broker, with the objects that workers use, and writes NDJSON files."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson

from detectors.windows.scales import HOUR_MS
from streams.deadletters import DeadLetter, Why
from streams.ingest.router import ActorLog, Routed, Router
from streams.ingest.rules.tagging import Tagger
from streams.offline.accounts import ACTORS, PROFILES, AccountReplay
from streams.offline.partitions import Audited, Auditors, Frames, InProcess, Totals
from streams.offline.processes import Processes
from streams.offline.reached import Reached, SortedProgress
from streams.offline.recorded.decoding import batched, records_of, rows_by_time, unreadable
from streams.offline.recorded.file import RecordedFile
from streams.offline.recorded.losses import Losses
from streams.offline.recorded.row import Row
from streams.offline.summary import Summary
from streams.settings.inputs import Input
from streams.settings.section import SettingsError
from streams.settings.settings import Settings

BATCH = 2000
STEPS_MAX = 32
"""Steps that processes may be behind the reader: enough for all of them to have work while windows of some close."""
HELD_BYTES_MAX = 64 << 20
"""Bytes of refused records that wait for the results before them."""

SOURCE = "recorded"
FILES = ("flagged-events", "audited-counts", "corrections", "dead-letters")
"""The output files, without that of rulings on actors."""


class NotInOrderError(Exception):
    """An event of a file is later than ``time.lateness_seconds`` allows."""


class Step(NamedTuple):
    """A step of ingest whose audit has not been written: its refused records, each with its number of lines."""

    letters: list[tuple[DeadLetter, int]]

    def size_bytes(self) -> int:
        """Bytes of the refused records."""
        return sum(len(letter.value or b"") for letter, _ in self.letters)


class Offline:
    """A router, and the audit of all partitions in one or several processes; sinks take (file name, line).

    Results are the same for any number of processes, byte for byte and in the same order.
    """

    def __init__(
        self,
        settings: Settings,
        sink: Callable[[str, bytes], None],
        *,
        config: Input | None = None,
        clock_ms: int | None = None,
        jobs: int = 1,
    ) -> None:
        """``config`` is the input that the records belong to; by default one of native events.

        ``clock_ms`` is the broker's clock; by default now. An event more than ``time.future_skew_seconds`` ahead of it
        is a dead letter. ``jobs`` is the number of processes beside this one; with 1, this one does everything.
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
            actor_log=ActorLog(settings.partitions, settings.actors.pseudonyms) if settings.actors.enabled else None,
        )
        self._roster = {self._config.topic: 1}
        jobs = min(jobs, settings.partitions)
        self._auditors: Auditors = InProcess(settings) if jobs == 1 else Processes(settings, jobs)
        self._accounts = AccountReplay(settings, sink) if settings.actors.enabled else None
        self._controls: Frames = []
        """control frames of accounts, for the next step"""
        self._requests: Frames = []
        """control frames of audits, for the next whole hour"""
        self._hour = -1
        self._steps: deque[Step] = deque()
        self._held_bytes = 0
        self._flagged: set[tuple[str, str]] = set()
        self.summary = Summary()
        self.losses = Losses()
        self.may_be_late = True
        """whether late events are counted as late; if not, they raise NotInOrderError"""
        self.log: list[list[bytes]] | None = None
        """frames of each partition, as in by-target; recorded if a caller sets this to lists"""
        self.actor_log: list[list[bytes]] | None = None
        """as ``log``, of by-actor"""

    def run(self, values: Iterable[bytes], progress: Callable[[int], None] = lambda _: None) -> Summary:
        """Feed values of records in their order, then close the last windows. Returns the summary."""
        rows = (Row(value, value, number) for number, value in enumerate(values))
        return self.replay(rows, progress)

    def replay(self, rows: Iterable[Row], progress: Callable[[int], None] = lambda _: None) -> Summary:
        """Feed rows in their order, then close the last windows. Returns the summary.

        Raises NotInOrderError at a late event unless ``may_be_late``. With several processes, it raises
        ProcessEndedError or PartitionError if one of them fails.
        """
        try:
            self._feed(rows, progress)
            self._close(self._auditors.totals())
            if self._accounts is not None:
                self._accounts.write_profiles()
        finally:
            self._auditors.close()
            if self._accounts is not None:
                self._accounts.close()
        return self.summary

    def _feed(self, rows: Iterable[Row], progress: Callable[[int], None]) -> None:
        offset = 0
        for batch in batched(rows, BATCH):
            documents = [row for row in batch if row.value is not None]
            refused = [(unreadable(self._config.topic, row), row.lines) for row in batch if row.value is None]
            routed = Routed()
            if documents:
                records = records_of(documents, offset, self._clock_ms)
                next_offset = offset + len(documents)
                routed = self._router.route(records, next_offset=next_offset, now_ms=next_offset, roster=self._roster)
                offset = next_offset
            self._take(routed, refused)
            self.summary.records += len(batch)
            progress(self.summary.records)
        margin = (self._settings.time.tick_seconds + self._settings.time.counts_seconds) * 1000
        until = self._router.last_ts() + margin
        self._take(self._router.finish(next_offset=offset, until_ms=until, roster=self._roster), [])
        self._write(0)

    def _take(self, routed: Routed, refused: list[tuple[DeadLetter, int]]) -> None:
        if routed.behind_ms > self._settings.time.lateness_seconds * 1000 and not self.may_be_late:
            raise NotInOrderError
        self.summary.events += routed.events
        self.losses.skip(routed.skipped)
        self.losses.leave_unread(routed.unread)
        # Report the line in the file, not the record's number after sorting.
        frames = self._with_controls(routed)
        letters = (
            replace(letter, offset=letter.offset if letter.line is None else letter.line) for letter in routed.dead
        )
        step = Step([*refused, *((letter, 1) for letter in letters)])
        self._steps.append(step)
        self._held_bytes += step.size_bytes()
        if self.log is not None:
            for partition, frame in frames:
                self.log[partition].append(frame)
        self._auditors.send(frames)
        self._write(STEPS_MAX if self._held_bytes < HELD_BYTES_MAX else 0)

    def _with_controls(self, routed: Routed) -> Frames:
        """The frames of by-target, and before them the control frames of the steps before. See offline/accounts.py."""
        if self._accounts is None:
            return routed.frames
        frames = self._controls + routed.frames
        actor_frames = routed.actor_frames
        hour = self._router.watermark // HOUR_MS
        if hour > self._hour:
            self._hour = hour
            self._write(0)
            actor_frames = self._requests + actor_frames
            self._requests = []
        if self.actor_log is not None:
            for partition, frame in actor_frames:
                self.actor_log[partition].append(frame)
        self._controls = self._accounts.take(actor_frames)
        return frames

    def _write(self, open_max: int) -> None:
        """Write results in the order of the steps. Waits until at most ``open_max`` steps are not written."""
        for results in self._auditors.results(open_max):
            step = self._steps.popleft()
            self._held_bytes -= step.size_bytes()
            for letter, lines in step.letters:
                self._refuse(letter, lines)
            for audited in results:
                self._write_audited(audited)

    def _refuse(self, letter: DeadLetter, lines: int = 1) -> None:
        self.summary.dead_letters += 1
        line = letter.offset if letter.line is None else letter.line
        self.losses.refuse(str(letter.reason), line, letter.value or b"", letter.message, lines)
        self._sink("dead-letters", orjson.dumps(letter.as_line()))

    def _write_audited(self, audited: Audited) -> None:
        summary = self.summary
        self._requests += audited.requests
        summary.late += audited.late
        summary.historic += audited.historic
        summary.duplicates += audited.duplicates
        summary.unmatched_undos += audited.unmatched_undos
        for part, failures in audited.failures.items():
            summary.failures[part] = summary.failures.get(part, 0) + failures
        summary.explained += audited.explained
        summary.rule_bursts += audited.rule_bursts
        summary.flags += len(audited.flagged)
        self._flagged.update(audited.flagged)
        summary.corrections += len(audited.corrections)
        for line in audited.flags:
            self._sink("flagged-events", line)
        for line in audited.corrections:
            self._sink("corrections", line)
        for line in audited.counts:
            self._sink("audited-counts", line)
        for position, value, message in audited.uncounted:
            self._refuse(DeadLetter("by-target", audited.partition, position, None, value, Why.UNCOUNTABLE, message))

    def _close(self, partitions: list[Totals]) -> None:
        summary = self.summary
        for totals in partitions:
            summary.targets += totals.targets
            summary.raw += totals.raw
            summary.valid += totals.valid
            summary.quarantined += totals.quarantined
            summary.unjudged += totals.unjudged
            for reason, count in totals.invalid.items():
                summary.invalid[reason] = summary.invalid.get(reason, 0) + count
        summary.flagged_targets = len(self._flagged)
        if self._accounts is not None:
            summary.rulings = dict(sorted(self._accounts.rulings.items()))
            summary.reversed_rulings = dict(sorted(self._accounts.reversed.items()))
            for part, failures in self._accounts.failures.items():
                summary.failures[part] = summary.failures.get(part, 0) + failures
        losses = self.losses
        losses.records, losses.events, losses.late = summary.records, summary.events, summary.late
        summary.refused, summary.skipped, summary.unread = losses.refused, losses.skipped, losses.unread
        summary.most_frequent = losses.as_dict()


def audit_file(
    settings: Settings,
    recorded: RecordedFile,
    files: Files,
    clock_ms: int,
    progress: Callable[[Reached], None] = lambda _: None,
    *,
    jobs: int = 1,
) -> Offline:
    """Audit a recorded file in ``jobs`` processes. Returns the audit, with its summary.

    The file is audited in its own order. If an event is late, the file is sorted by time and audited again from the
    beginning. Most files are in order: a check before the audit would cost every replay a second reading.
    Raises SettingsError, ProcessEndedError, PartitionError.
    """
    offline = Offline(settings, files.write, config=recorded.input, clock_ms=clock_ms, jobs=jobs)
    offline.may_be_late = False
    try:
        with closing(recorded.rows()) as rows:
            offline.replay(rows, lambda _: progress(Reached("auditing", offline.summary.events, recorded.share_read())))
    except NotInOrderError:
        files.empty()
        offline = Offline(settings, files.write, config=recorded.input, clock_ms=clock_ms, jobs=jobs)
        offline.summary.sorted = True
        shown = SortedProgress(recorded, "auditing", progress)
        with rows_by_time(recorded, settings.time, clock_ms, progress=shown.sorting) as ordered:
            offline.replay(ordered, lambda records: shown.using(records, offline.summary.events))
    return offline


class Files:
    """The output files of a directory."""

    def __init__(self, directory: Path, *, actors: bool = False) -> None:
        """``actors``: with the files of rulings and of profiles."""
        names = (*FILES, ACTORS, PROFILES) if actors else FILES
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._files: dict[str, BinaryIO] = {
                name: (directory / f"{name}.ndjson").open("wb", buffering=1 << 20) for name in names
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
