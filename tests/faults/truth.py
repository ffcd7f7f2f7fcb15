"""What must come out: an independent count of the input topics, and the same input through an undisturbed audit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from detectors.records import Outcome
from streams.ingest.mapping.records import Records
from streams.ingest.router import Routed, Router
from streams.settings.settings import Settings
from streams.targets.outputs import correction_value, count_value, flag_value
from streams.targets.step import PartitionAudit, audit_settings
from tests.faults.traffic import CLOSING_TARGET, MINUTE_MS


class TargetMetric(NamedTuple):
    """One metric of one target, by its name."""

    target: str
    metric: str


DOUBLE_CLICK_MS = 30_000

TURN_MS = 500
"""Pretended time between batches: watermarks go to every partition with each."""


@dataclass
class Tally:
    """An independent count: no code of truecount has a part in it."""

    records: int = 0
    bad: int = 0
    events: Counter[TargetMetric] = field(default_factory=Counter)
    """all but undos, copies included: what raw must be"""
    copies: Counter[TargetMetric] = field(default_factory=Counter)
    undos: Counter[TargetMetric] = field(default_factory=Counter)
    views: dict[TargetMetric, dict[str, list[int]]] = field(default_factory=dict)
    """times of each actor's views, copies left out"""
    states: dict[TargetMetric, dict[str, list[tuple[int, bool]]]] = field(default_factory=dict)
    """times of each actor's likes or follows, and whether they are undos, copies left out"""
    _ids: set[tuple[str, bool]] = field(default_factory=set)

    def add(self, metric: str, value: bytes) -> None:
        """Count a record of a metric's topic."""
        self.records += 1
        try:
            event = orjson.loads(value)
            key = TargetMetric(str(event["target"]), metric)
            if not isinstance(event["ts"], int):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            self.bad += 1
            return
        if key.target.startswith(CLOSING_TARGET):
            return
        undo = bool(event.get("undo"))
        if (event["id"], undo) in self._ids:
            self.copies[key] += not undo
            self.events[key] += not undo
            return
        self._ids.add((event["id"], undo))
        if undo:
            self.undos[key] += 1
        else:
            self.events[key] += 1
        if metric != "view":
            self.states.setdefault(key, {}).setdefault(event["actor"], []).append((event["ts"], undo))
        elif not undo:
            self.views.setdefault(key, {}).setdefault(event["actor"], []).append(event["ts"])

    def double_clicks(self, key: TargetMetric) -> int:
        """Views less than thirty seconds after the same actor's, two at the same full minute left out."""
        return sum(
            later - before < DOUBLE_CLICK_MS and (later > before or later % MINUTE_MS > 0)
            for times in self.views.get(key, {}).values()
            for before, later in pairwise(sorted(times))
        )

    def settled(self, key: TargetMetric) -> Counter[str]:
        """Of likes or follows: those that their actor had already, and those that were undone.

        Within a millisecond, what changes the state comes first.
        """
        found: Counter[str] = Counter()
        for acts in self.states.get(key, {}).values():
            liked = False
            for ts in sorted({ts for ts, _ in acts}):
                now = Counter(undo for at, undo in acts if at == ts)
                while +now:
                    undo = liked if now[liked] else not liked
                    now[undo] -= 1
                    found["undone"] += undo and liked
                    found["already_counted"] += not undo and liked
                    liked = not undo
        return found

    def parts(self, key: TargetMetric) -> dict[str, Any]:
        """The count of a target that was never under suspicion."""
        invalid = {
            "duplicate_id": self.copies[key],
            "undone": self.settled(key)["undone"],
            "already_counted": self.settled(key)["already_counted"],
            "double_click": self.double_clicks(key),
        }
        invalid = {reason: count for reason, count in invalid.items() if count}
        return {
            "raw": self.events[key],
            "valid": self.events[key] - sum(invalid.values()),
            "quarantined": 0,
            "invalid": invalid,
        }


@dataclass
class Published:
    """Flags, corrections and latest counts, by their ids; what came twice under an id."""

    flags: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    corrections: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[TargetMetric, dict[str, Any]] = field(default_factory=dict)
    dead_letters: int = 0
    repeated: list[str] = field(default_factory=list)
    late: int = 0

    def flag(self, value: bytes) -> None:
        """Take in a flag; which offsets of the log it rests on depends on the interleaving of sources."""
        flag = orjson.loads(value)
        del flag["log"]
        ident = flag["flag_id"], flag["revision"]
        if ident in self.flags:
            self.repeated.append(f"flag {ident[0]} revision {ident[1]}")
        self.flags[ident] = flag

    def correction(self, value: bytes) -> None:
        """Take in a correction."""
        correction = orjson.loads(value)
        ident = correction["correction_id"]
        if ident in self.corrections:
            self.repeated.append(f"correction {ident}")
        self.corrections[ident] = correction

    def count(self, value: bytes) -> None:
        """Take in a count; the last one stands."""
        count = orjson.loads(value)
        self.counts[TargetMetric(count["target"], count["metric"])] = count


Record = tuple[int, int, bytes]
"""Offset, the time at which it was sent in ms, value."""


def undisturbed(settings: Settings, sources: dict[tuple[str, int], list[Record]]) -> Published:
    """The input through routers and audits without Kafka, state or faults: topic and partition → its records."""
    roster: dict[str, int] = {}
    for topic, _ in sources:
        roster[topic] = roster.get(topic, 0) + 1
    configs = {i.topic: i for i in settings.inputs}
    routers = {
        (topic, partition): Router(
            config=configs[topic], partition=partition, time=settings.time, partitions=settings.partitions
        )
        for topic, partition in sources
    }
    audits = [PartitionAudit(audit_settings(settings, partition)) for partition in range(settings.partitions)]
    offsets = [0] * settings.partitions
    said = Published()

    def take(routed: Routed) -> None:
        said.dead_letters += len(routed.dead)
        for place, frame in routed.frames:
            outcome = Outcome()
            audits[place].apply(frame, offsets[place], outcome)
            offsets[place] += 1
            said.late += outcome.late
            for flag in outcome.flags:
                said.flag(flag_value(flag))
            for correction in outcome.corrections:
                said.correction(correction_value(correction))
            for count in outcome.counts:
                said.count(count_value(count))

    now = 0
    for turn in _turns(sources):
        for source, records in turn.items():
            now += TURN_MS
            rows = [(offset, None, value, sent) for offset, sent, value in records]
            take(routers[source].route(Records.of(rows), next_offset=rows[-1][0] + 1, now_ms=now, roster=roster))
    return said


def _turns(sources: dict[tuple[str, int], list[Record]]) -> list[dict[tuple[str, int], list[Record]]]:
    """Records that were sent at the same time together, so that no source runs ahead."""
    turns: dict[int, dict[tuple[str, int], list[Record]]] = {}
    for source, records in sources.items():
        for record in records:
            turns.setdefault(record[1], {}).setdefault(source, []).append(record)
    return [turns[sent] for sent in sorted(turns)]
