"""Sentences on what differs once a siege has drained: from the truth, and between the inputs and the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from detectors.cases.statuses import OPENED
from detectors.state.case import SUSPECT
from streams.log.controls import is_control
from streams.log.frames import offsets
from streams.log.versions import FrameError, decode, decode_actor_frame
from tests.faults.traffic import BAD, CLOSING_TARGET
from tests.faults.truth import Published, Record, Tally, TargetMetric

SHOWN = 5


def log_problems(
    role: str, log: Iterable[Any], taken: dict[tuple[str, int], int], sources: dict[tuple[str, int], list[Record]]
) -> list[str]:
    """Every event of the inputs must be in a frame of a role's log, and no event beyond what is ``taken`` of it."""
    problems = []
    logged: dict[str, set[int]] = {f"{topic}/{place}": set() for topic, place in sources}
    for record in log:
        if is_control(record.value):
            continue
        where = f"the log of {role}/{record.partition} at {record.offset}"
        try:
            frame = decode(record.value) if role == "targets" else decode_actor_frame(record.value)
        except FrameError as error:
            problems.append(f"{where}: {error}")
            continue
        logged[frame.source].update(offsets(frame).tolist())
        events = [t for t in frame.target if not t.startswith(CLOSING_TARGET)]
        if events and record.offset >= taken[role, record.partition]:
            problems.append(f"{where}: {len(events)} events not taken")
    for (topic, place), records in sources.items():
        source = f"{topic}/{place}"
        missing = [offset for offset, _, value in records if offset not in logged[source] and value not in BAD]
        if missing:
            problems.append(f"{source}: {len(missing)} events from offset {missing[0]} are not in the log of {role}")
    return problems


def differences(tally: Tally, expected: Published, said: Published, *, exact: bool) -> list[str]:
    """Sentences on what differs between what came out, the independent count and the undisturbed run.

    The undisturbed run has no role actors, so revisions of its flags may have other figures: the same flags must be
    opened. The figures of flagged targets are compared with what the logs give (``replay``); here only ``raw`` is.
    """
    problems: list[str] = []
    if expected.late:
        problems.append(f"the undisturbed run itself had {expected.late} late events: it is no yardstick")
    flagged = {
        TargetMetric(flag["target"], flag["metric"]) for flag in (*expected.flags.values(), *said.flags.values())
    }
    keys = tally.events.keys() | tally.undos.keys()
    counts = {key: _parts(c) for key, c in said.counts.items() if not key.target.startswith(CLOSING_TARGET)}
    truth = {key: tally.parts(key) for key in keys if key not in flagged}
    problems += _differ("raw", {key: tally.events[key] for key in keys}, {key: c["raw"] for key, c in counts.items()})
    problems += _differ("count", truth, {key: parts for key, parts in counts.items() if key not in flagged})
    if exact:
        problems += [f"twice: {what}" for what in said.repeated]
    problems += _differ("opened flag", _opened(expected), _opened(said))
    if said.dead_letters != tally.bad:
        problems.append(f"{said.dead_letters} dead letters for {tally.bad} bad records")
    return problems


def _opened(published: Published) -> dict[tuple[str, str, str], int]:
    """The onsets of flags that were opened by more than one kind of evidence, which waits for no accounts."""
    return {
        (flag["target"], flag["metric"], flag["verdict"]): flag["onset"]
        for flag in published.flags.values()
        if flag["status"] == OPENED and flag["verdict"] != SUSPECT
    }


def _parts(count: dict[str, Any]) -> dict[str, Any]:
    return {name: count[name] for name in ("raw", "valid", "quarantined", "invalid")}


def _differ(what: str, expected: dict[Any, Any], found: dict[Any, Any]) -> list[str]:
    differ = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))
    shown = [f"{what} {key}: expected {expected.get(key)}, found {found.get(key)}" for key in differ[:SHOWN]]
    more = len(differ) - SHOWN
    return shown + ([f"{what}: {more} more differ"] if more > 0 else [])
