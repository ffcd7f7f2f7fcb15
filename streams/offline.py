"""A recorded file through the whole pipeline without a broker: the same pure objects, four NDJSON files out."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from io import SEEK_END
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO

import numpy as np
import orjson

from detectors.judge import EXPLAINED
from detectors.records import Outcome
from streams.auditing import PartitionAudit, audit_settings
from streams.deadletters import DeadLetter, Why
from streams.records import correction_value, count_value, flag_value
from streams.routing import Records, Routed, Router
from streams.rules.tagging import Tagger
from streams.settings import Input, Settings
from streams.unjudged import Failed, StepError

BATCH = 2000
NO_BROKER_CLOCK = sys.maxsize // 2
"""Offline there is no broker whose clock an event could be ahead of."""

SPOOLED_BYTES = 1 << 20
_LENGTH = struct.Struct("<I")

SOURCE = "recorded"
FILES = ("flagged-events", "audited-counts", "corrections", "dead-letters")


@dataclass(slots=True)
class Summary:
    """What an offline replay did."""

    records: int = 0
    events: int = 0
    dead_letters: int = 0
    late: int = 0
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
    """surges that were accounted for; no flags of anything wrong"""
    unjudged: int = 0
    """counted events of which a window was not judged because detection failed"""
    failures: dict[str, int] = field(default_factory=dict)
    """exceptions in detection that were contained, by part"""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


class Offline:
    """A router and all partitions in one process; sinks take (file name, line)."""

    def __init__(self, settings: Settings, sink: Callable[[str, bytes], None]) -> None:
        self._settings = settings
        self._sink = sink
        config = Input(topic=SOURCE)
        self._router = Router(
            config=config,
            partition=0,
            time=settings.time,
            partitions=settings.partitions,
            tagger=Tagger(settings.rules),
        )
        self._failed: list[Failed] = [{} for _ in range(settings.partitions)]
        self._audits = [self._audit(partition) for partition in range(settings.partitions)]
        self._frames = [_Frames() for _ in range(settings.partitions)]
        self._offsets = [0] * settings.partitions
        self._flagged: set[tuple[str, str]] = set()
        self.summary = Summary()
        self.log: list[list[bytes]] | None = None
        """the frames of each partition, if a caller sets it to lists: the log as it would stand in by-target"""

    def run(self, values: Iterable[bytes], progress: Callable[[int], None] = lambda _: None) -> Summary:
        """Feed all values in their order; then let time pass over the last windows. Answers the summary."""
        offset = 0
        roster = {SOURCE: 1}
        for batch in _batches(values):
            size = len(batch)
            records = Records(np.arange(offset, offset + size), [None] * size, batch, np.full(size, NO_BROKER_CLOCK))
            offset += size
            self._take(self._router.route(records, next_offset=offset, now_ms=offset, roster=roster))
            self.summary.records = offset
            progress(offset)
        time = self._settings.time
        margin = (time.tick_seconds + time.counts_seconds) * 1000
        until = self._router.max_ts + margin
        self._take(self._router.finish(next_offset=offset, until_ms=until, roster=roster))
        self._close()
        return self.summary

    def _take(self, routed: Routed) -> None:
        self.summary.events += routed.events
        for letter in routed.dead:
            self.summary.dead_letters += 1
            self._sink("dead-letters", orjson.dumps(letter.as_line()))
        for partition, frame in routed.frames:
            self._frames[partition].append(frame)
            outcome = self._applied(partition, frame)
            self._offsets[partition] += 1
            if self.log is not None:
                self.log[partition].append(frame)
            self._write(outcome)
            for position, value, message in outcome.uncounted:
                letter = DeadLetter("by-target", partition, position, None, value, Why.UNCOUNTABLE, message)
                self.summary.dead_letters += 1
                self._sink("dead-letters", orjson.dumps(letter.as_line()))

    def _audit(self, partition: int) -> PartitionAudit:
        return PartitionAudit(audit_settings(self._settings, partition), failed=self._failed[partition])

    def _applied(self, partition: int, frame: bytes) -> Outcome:
        """What a frame brings. Where it fails, the partition's log is audited anew, as by a worker that restarts."""
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
        summary.duplicates += outcome.duplicates
        for part, failures in outcome.failures.items():
            summary.failures[part] = summary.failures.get(part, 0) + failures
        for flag in outcome.flags:
            self._sink("flagged-events", flag_value(flag))
            if flag.status == "opened" and flag.verdict == EXPLAINED:
                summary.explained += 1
            elif flag.status == "opened":
                summary.flags += 1
                self._flagged.add((flag.target, flag.metric))
        for correction in outcome.corrections:
            summary.corrections += 1
            self._sink("corrections", correction_value(correction))
        for count in outcome.counts:
            self._sink("audited-counts", count_value(count))

    def _close(self) -> None:
        summary = self.summary
        for audit in self._audits:
            for watched in audit.audit.watches.values():
                ledger = watched.ledger
                summary.targets += 1
                summary.raw += ledger.raw
                summary.valid += ledger.valid
                summary.quarantined += ledger.quarantined
                summary.unjudged += watched.unjudged
                for reason, count in ledger.invalid.items():
                    summary.invalid[reason] = summary.invalid.get(reason, 0) + count
        summary.flagged_targets = len(self._flagged)
        for frames in self._frames:
            frames.close()


class _Frames:
    """A partition's log so far, to be read again where a record of it fails; on the disk beyond SPOOLED_BYTES."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(SPOOLED_BYTES)  # noqa: SIM115  # open as long as the replay

    def append(self, frame: bytes) -> None:
        self._file.write(_LENGTH.pack(len(frame)))
        self._file.write(frame)

    def first(self, count: int) -> Iterator[bytes]:
        """The first so many frames."""
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
        directory.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, BinaryIO] = {
            name: (directory / f"{name}.ndjson").open("wb", buffering=1 << 20) for name in FILES
        }

    def write(self, name: str, line: bytes) -> None:
        """Append a line to a file."""
        self._files[name].write(line + b"\n")

    def close(self) -> None:
        """Flush and close."""
        for file in self._files.values():
            file.close()


def _batches(values: Iterable[bytes]) -> Iterator[list[bytes]]:
    iterator = iter(values)
    while batch := list(islice(iterator, BATCH)):
        yield batch
