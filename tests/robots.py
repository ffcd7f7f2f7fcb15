"""Robots, double clicks and redelivered records for tests of rules and of what they remove."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec

from detectors.audit import Audit, AuditSettings
from detectors.events.block import EventBlock
from detectors.events.event import Event
from detectors.intake.rules.reasons import DECLARED_ROBOT, TAGS
from detectors.lab.traffic.blocks import Packer
from detectors.records import Outcome
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, by_tick, in_order

ROBOT = "Googlebot/2.1"
LATENESS_MS = 10_000


def robots(seed: int, target: str, *, begin: int, count: int = 1_200, minutes: float = 20) -> list[Event]:
    """Views of declared robots, spread over a time."""
    rng = random.Random(seed)
    span = round(minutes * MINUTE_MS)
    times = sorted(begin + rng.randrange(span) for _ in range(count))
    return [
        Event(ts=ts, actor=f"robot{seed}-{n}", target=target, user_agent=ROBOT, ip="192.0.2.7")
        for n, ts in enumerate(times)
    ]


def with_usual(events: Iterable[Event], seed: int, *, robot: float = 0.04, double: float = 0.06) -> list[Event]:
    """Events of which a share is by declared robots, and a share is sent by a double click."""
    rng, found = random.Random(seed), []
    for event in events:
        found.append(event)
        if rng.random() < robot:
            found[-1] = msgspec.structs.replace(event, user_agent=ROBOT)
        elif rng.random() < double:
            found.append(msgspec.structs.replace(event, ts=event.ts + 900, id=f"{event.id}c" if event.id else None))
    return in_order(found)


def tagged(block: EventBlock, rows: list[Event]) -> EventBlock:
    """A block of these events with the tags that ingest gives to robots."""
    return msgspec.structs.replace(
        block, rule=[TAGS.index(DECLARED_ROBOT) if row.user_agent == ROBOT else 0 for row in rows]
    )


def audited(
    events: Iterable[Event], *, until: int | None = None, settings: AuditSettings | None = None
) -> tuple[Audit, Outcome]:
    """Events through one audit, a block every ten seconds, with the tags that ingest gives to robots."""
    audit, outcome, packer = Audit(settings or AuditSettings()), Outcome(), Packer(1)
    end = 0
    for position, (end, rows) in enumerate(by_tick(events)):
        for _, block in packer.pack(rows):
            audit.observe(tagged(block, rows), position, outcome)
        audit.advance(end - LATENESS_MS, outcome)
    audit.advance(max(end, START_MS) + DAY_MS if until is None else until, outcome)
    return audit, outcome
