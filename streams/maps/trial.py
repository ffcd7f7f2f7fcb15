"""Tries a map on records: the events of each record, or the reason why it has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from detectors.events.event import FIELDS, METRICS
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Records
from streams.maps.sample import Draft
from streams.settings.inputs import Input

DUPLICATES_MAX = 0.05
"""Largest share of a sample's events that may be duplicates by their id: streams deliver some events twice."""
SHOWN_CHARS = 2000
"""Largest length of a record's text that is shown; a longer one is cut."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One record, and its events."""

    before: str
    events: list[dict[str, Any]]
    refused: str | None = None
    """reason and message, if the record is refused"""
    skipped: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)
    """"field: reason" → optional values that were dropped or cut"""
    line: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(slots=True)
class Totals:
    """Totals over all records."""

    records: int = 0
    events: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """refused records by reason"""
    examples: dict[str, str] = field(default_factory=dict)
    """reason → message of the first refusal"""
    skipped: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        counted = {"refused": self.refused, "skipped": self.skipped, "unread": self.unread}
        return {"records": self.records, "events": self.events, **{k: dict(v) for k, v in counted.items()}}

    def most_refused(self) -> str:
        """The most frequent reason for a refusal, with an example; empty if there is none."""
        if not self.refused:
            return ""
        reason, count = self.refused.most_common(1)[0]
        return f"{reason} ({count:,} of {self.records:,} records): {self.examples[reason]}"


class Trial:
    """Decodes records one by one, and counts their events and refusals."""

    def __init__(self, decoder: EventDecoder, latest_ms: int) -> None:
        self._decoder = decoder
        self._latest_ms = latest_ms
        self.totals = Totals()

    def try_all(self, records: Records) -> Iterable[Tried]:
        """Try each record in turn, and add it to the totals."""
        for place in range(len(records.value)):
            yield self._try_one(records.part(place, place + 1))

    def _try_one(self, record: Records) -> Tried:
        decoded = self._decoder.decode(record, np.array([self._latest_ms]))
        good = decoded.good
        events = [] if good is None else [_event(good.fields, int(good.metric[n]), n) for n in range(len(good.ts))]
        totals = self.totals
        totals.records += 1
        totals.events += len(events)
        totals.skipped.update(decoded.skipped)
        unread = {f"{name}: {why}": count for (name, why), count in decoded.unread.items()}
        totals.unread.update(unread)
        refused = None
        for refusal in decoded.refused:
            refused = f"{refusal.reason}: {refusal.message}"
            totals.refused[str(refusal.reason)] += 1
            totals.examples.setdefault(str(refusal.reason), refusal.message)
        original = record.value[0] if record.original is None else record.original[0]
        line = None if record.line is None else record.line[0]
        return Tried(_text(original), events, refused, dict(decoded.skipped), unread, line)


def note_losses(made: Draft, source: Input, records: Records, latest_ms: int) -> None:
    """Note on a draft how many of its sample's records it refuses, and how many ids come again.

    ``source`` is the input with the drafted map.
    """
    size = len(records.value)
    decoded = EventDecoder(source).decode(records, np.full(size, latest_ms))
    if decoded.refused:
        why, count = Counter(str(refusal.reason) for refusal in decoded.refused).most_common(1)[0]
        message = next(refusal.message for refusal in decoded.refused if str(refusal.reason) == why)
        refused = f"{len(decoded.refused):,} of {size:,} records"
        made.notes.append(f"this map refuses {refused}, most of them ({count:,}) as {why}: {message}")
    if decoded.good is not None and "id" in made.choices:
        columns = (decoded.good.fields[name] for name in ("id", "target", "metric", "undo"))
        acts = [act for act in zip(*columns, strict=True) if act[0] is not None]
        again = len(acts) - len(set(acts))
        if again > DUPLICATES_MAX * len(acts):
            made.notes.append(f"{again:,} of {len(acts):,} events have the id of another, and are duplicates: check id")


def _event(fields: dict[str, Any], metric: int, place: int) -> dict[str, Any]:
    """An event as native JSON, without absent fields."""
    event = {name: fields[name][place] for name in FIELDS if fields[name][place] is not None}
    event["metric"] = METRICS[metric]
    return {name: value for name, value in event.items() if value is not False}


def _text(value: bytes | None) -> str:
    text = "" if value is None else value[: SHOWN_CHARS * 4].decode("utf-8", "replace")
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
