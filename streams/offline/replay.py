"""Sends a recorded file to the input topics: decoded with its map, as native events in order of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from detectors.events.event import METRICS, Event
from streams.deadletters import DeadLetter
from streams.kafka.sender import Sender
from streams.offline.reached import Reached, SortedProgress
from streams.offline.recorded.decoding import RowDecoder, events_of, in_order, rows_by_time, unreadable
from streams.offline.recorded.file import RecordedFile
from streams.offline.recorded.losses import Losses
from streams.offline.recorded.row import Row
from streams.settings.section import SettingsError
from streams.settings.settings import Settings

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Sent:
    """Result of a replay into topics."""

    records: int = 0
    events: int = 0
    dead_letters: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """dead letters by reason"""
    skipped: dict[str, int] = field(default_factory=dict)
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    historic: int = 0
    sorted: bool = False
    """whether the file had to be sorted by time"""
    most_frequent: dict[str, Any] | None = None
    """the most frequent reason of a dead letter, with an example"""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


class Replay:
    """Sends a recorded file. Records that its map refuses go to the dead letters, as from a worker with that map."""

    def __init__(
        self, settings: Settings, recorded: RecordedFile, sender: Sender, *, speed: float, clock_ms: int
    ) -> None:
        """``speed`` is event seconds per second, 0 as fast as possible; ``clock_ms`` is the time of the start.

        Raises SettingsError if the workers would refuse event times that the map allows.
        """
        self._time = settings.time
        self._recorded = recorded
        _check_floor(settings, recorded)
        self._sender = sender
        self._speed = speed
        self._clock_ms = clock_ms
        self._began = 0.0
        self._first_ts: int | None = None
        self._sent = Sent()
        self.losses = Losses()

    def run(self, progress: Callable[[Reached], None] = lambda _: None) -> Sent:
        """Send the whole file; returns when everything is delivered. Raises SettingsError, BrokerError."""
        sent, losses, recorded = self._sent, self.losses, self._recorded

        def reading(records: int) -> None:
            progress(Reached("reading times", records, recorded.share_read()))

        # Sent events cannot be taken back, so the order is checked first.
        sent.sorted = not in_order(recorded, self._time, self._clock_ms, progress=reading)
        if sent.sorted:
            shown = SortedProgress(recorded, "sending", progress)
            with rows_by_time(recorded, self._time, self._clock_ms, progress=shown.sorting) as ordered:
                self._send(ordered, lambda: shown.using(sent.records, sent.events))
        else:
            with closing(recorded.rows()) as rows:
                self._send(rows, lambda: progress(Reached("sending", sent.events, recorded.share_read())))
        self._sender.flush()
        losses.records, losses.events = sent.records, sent.events
        sent.refused, sent.skipped, sent.unread = losses.refused, losses.skipped, losses.unread
        sent.most_frequent = losses.as_dict()
        return sent

    def _send(self, rows: Iterable[Row], progress: Callable[[], None]) -> None:
        topic = self._recorded.name
        self._began = time.monotonic()
        decoder = RowDecoder(self._recorded.input, self._time, self._clock_ms)
        for batch, documents, decoded in decoder.batches(rows):
            for row in batch:
                if row.value is None:
                    self._refuse(unreadable(topic, row), row.lines)
            for refusal in decoded.refused:
                row = documents[refusal.index]
                self._refuse(
                    DeadLetter(topic, 0, row.line, None, row.original, refusal.reason, refusal.message, row.line)
                )
            self.losses.skip(decoded.skipped)
            self.losses.leave_unread(decoded.unread)
            if decoded.good is not None:
                for _, event in events_of(decoded.good):
                    self._wait(event)
                    self._sender.send(event.metric, _encode(event))
                    self._sent.historic += event.history
                self._sent.events += len(decoded.good.ts)
            self._sent.records += len(batch)
            progress()

    def _refuse(self, letter: DeadLetter, lines: int = 1) -> None:
        self._sent.dead_letters += 1
        self.losses.refuse(str(letter.reason), letter.offset, letter.value or b"", letter.message, lines)
        self._sender.send_letter(letter)

    def _wait(self, event: Event) -> None:
        if self._speed <= 0:
            return
        if self._first_ts is None:
            self._first_ts = event.ts
        ahead = (event.ts - self._first_ts) / 1000 / self._speed - (time.monotonic() - self._began)
        if ahead > 0:
            time.sleep(ahead)


def _check_floor(settings: Settings, recorded: RecordedFile) -> None:
    """Raise SettingsError if an input's earliest time is after that of the map: workers would refuse sent events."""
    allowed = recorded.input.earliest
    for metric in METRICS:
        target = settings.input_for(metric)
        floor = settings.time.earliest if target is None or target.earliest is None else target.earliest
        if allowed is not None and target is not None and allowed < floor:
            raise SettingsError(
                f"the map allows events from {allowed} ms on, input {target.topic} refuses those before {floor} ms; "
                f"set earliest = {allowed} there or under [time], also in the workers' configuration"
            )
