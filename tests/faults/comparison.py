"""Sentences on what differs once a siege has drained: from the truth, and between the inputs and the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.log.frames import offsets
from streams.log.versions import FrameError, decode
from tests.faults.traffic import BAD, CLOSING_TARGET
from tests.faults.truth import Published, Record, Tally, TargetMetric

SHOWN = 5


def log_problems(log: Iterable[Any], taken: dict[int, int], sources: dict[tuple[str, int], list[Record]]) -> list[str]:
    """Every event of the inputs must stand in a frame, and no event beyond what is ``taken`` of each partition."""
    problems = []
    logged: dict[str, set[int]] = {f"{topic}/{place}": set() for topic, place in sources}
    for record in log:
        try:
            frame = decode(record.value)
        except FrameError as error:
            problems.append(f"by-target/{record.partition} at {record.offset}: {error}")
            continue
        logged[frame.source].update(offsets(frame).tolist())
        events = [t for t in frame.target if not t.startswith(CLOSING_TARGET)]
        if events and record.offset >= taken[record.partition]:
            problems.append(f"by-target/{record.partition} at {record.offset}: {len(events)} events not taken")
    for (topic, place), records in sources.items():
        source = f"{topic}/{place}"
        missing = [offset for offset, _, value in records if offset not in logged[source] and value not in BAD]
        if missing:
            problems.append(f"{source}: {len(missing)} events from offset {missing[0]} on are not in the log")
    return problems


def differences(tally: Tally, expected: Published, said: Published, *, exact: bool) -> list[str]:
    """Sentences on what differs between what came out, the independent count and the undisturbed run."""
    problems: list[str] = []
    if expected.late:
        problems.append(f"the undisturbed run itself had {expected.late} late events: it is no yardstick")
    flagged = {TargetMetric(flag["target"], flag["metric"]) for flag in expected.flags.values()}
    keys = tally.events.keys() | tally.undos.keys()
    counts = {key: _parts(c) for key, c in said.counts.items() if not key.target.startswith(CLOSING_TARGET)}
    truth = {key: _parts(expected.counts[key]) if key in flagged else tally.parts(key) for key in keys}
    problems += [
        f"{key}: the undisturbed run itself counts {truth[key]}, input has {tally.events[key]}"
        for key in keys
        if truth[key]["raw"] != tally.events[key]
    ]
    problems += _differ("count", truth, counts)
    if exact:
        problems += [f"twice: {what}" for what in said.repeated]
    problems += _differ("flag", expected.flags, said.flags)
    problems += _differ("correction", expected.corrections, said.corrections)
    if said.dead_letters != tally.bad:
        problems.append(f"{said.dead_letters} dead letters for {tally.bad} bad records")
    return problems


def _parts(count: dict[str, Any]) -> dict[str, Any]:
    return {name: count[name] for name in ("raw", "valid", "quarantined", "invalid")}


def _differ(what: str, expected: dict[Any, Any], found: dict[Any, Any]) -> list[str]:
    differ = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))
    shown = [f"{what} {key}: expected {expected.get(key)}, found {found.get(key)}" for key in differ[:SHOWN]]
    more = len(differ) - SHOWN
    return shown + ([f"{what}: {more} more differ"] if more > 0 else [])
