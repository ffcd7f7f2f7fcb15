"""Accounts in an offline replay: the same bytes for any number of processes, and from the two logs alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import orjson
import pytest

from detectors.audit import Audit
from detectors.controls import Answered, Asked, Control
from detectors.events.event import Event
from detectors.records import Outcome
from streams.actors.outputs import ruling_value
from streams.actors.step import PartitionAccounts, account_settings
from streams.log.controls import decode_controls, is_control, to_actors
from streams.log.hashing import actor_hash, actor_partition
from streams.offline.pipeline import Offline
from streams.settings.settings import Settings
from streams.targets.step import PartitionAudit, audit_settings
from tests.crowds import MINUTE_MS, START_MS, bought, in_order, ordinary
from tests.streams.pipeline import said

CLOCK_MS = START_MS + 30 * 24 * 60 * MINUTE_MS
ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PARTITIONS = 3
SETTINGS = Settings.model_validate({"partitions": PARTITIONS, "actors": {"enabled": True}})
OFF = Settings.model_validate({"partitions": PARTITIONS, "actors": {"enabled": False}})


@cache
def lines() -> tuple[bytes, ...]:
    """Some hours of views with a bought burst, and declared robots."""
    robots = [
        Event(ts=START_MS + 7_000 * n, actor=f"robot-{n % 5}", target=f"v{n % 7}", user_agent=ROBOT) for n in range(900)
    ]
    crowd = in_order(ordinary(1, minutes=150), bought(2, "v3", begin=START_MS + 80 * MINUTE_MS), robots)
    return tuple(msgspec.json.encode(msgspec.structs.replace(event, metric="view")) for event in crowd)


def replayed(settings: Settings, jobs: int = 1) -> tuple[dict[str, list[bytes]], Offline]:
    """The lines of each output file, and the replay with its logs."""
    out: dict[str, list[bytes]] = {}
    offline = Offline(settings, lambda name, line: out.setdefault(name, []).append(line), clock_ms=CLOCK_MS, jobs=jobs)
    offline.log = [[] for _ in range(settings.partitions)]
    offline.actor_log = [[] for _ in range(settings.partitions)]
    offline.run(lines())
    return out, offline


@pytest.mark.timeout(120)
def test_any_number_of_processes_writes_the_same_bytes() -> None:
    one, offline = replayed(SETTINGS)
    several, again = replayed(SETTINGS, jobs=3)
    assert several == one
    assert again.actor_log == offline.actor_log
    assert again.summary.as_dict() == offline.summary.as_dict()
    rulings = [orjson.loads(line) for line in one["actors"]]
    assert {ruling["actor"] for ruling in rulings if ruling["ruling"] == "declared_robot"} == {
        f"robot-{n}" for n in range(5)
    }
    assert offline.summary.rulings == {"declared_robot": 5}
    assert offline.summary.reversed_rulings == {}


def test_switched_off_there_is_nothing_of_actors() -> None:
    out, offline = replayed(OFF)
    assert "actors" not in out
    assert offline.actor_log == [[]] * PARTITIONS
    assert not any("rulings" in name for name in offline.summary.as_dict())
    assert not any(is_control(frame) for log in offline.log or () for frame in log)


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Control, int]]:
    """Audits that ask about three accounts at each flag. Gives the control records that they are given."""
    given: list[tuple[Control, int]] = []
    advance = Audit.steps

    def steps(audit: Audit, now_ms: int, outcome: Outcome) -> Any:
        before = len(outcome.flags)
        yield from advance(audit, now_ms, outcome)
        for flag in outcome.flags[before:]:
            actors = [actor_hash(name) for name in ("robot-1", "robot-2", "nobody")]
            due = now_ms + 10 * MINUTE_MS
            outcome.requests.append(
                Asked(flag.flag_id, f"0{flag.target}", audit.settings.partition, -1, 1, now_ms, due, actors)
            )

    def control(_audit: Audit, record: Any, position: int, _outcome: Outcome) -> None:
        given.append((record, position))

    monkeypatch.setattr(Audit, "steps", steps)
    monkeypatch.setattr(Audit, "control", control)
    return given


def test_questions_are_handed_over_and_the_two_logs_reproduce_every_output(asking: list[tuple[Control, int]]) -> None:
    out, offline = replayed(SETTINGS)
    given, asking[:] = list(asking), []
    answers = [record for record, _ in given if isinstance(record, Answered)]
    assert out["flagged-events"]
    asked_partitions = {actor_partition(actor_hash(name), PARTITIONS) for name in ("robot-1", "robot-2", "nobody")}
    per_case: dict[str, int] = {}
    for answer in answers:
        per_case[answer.case] = per_case.get(answer.case, 0) + 1
    assert answers
    assert set(per_case.values()) == {len(asked_partitions)}
    assert sum(answer.acted for answer in answers) == 2 * len(per_case)
    assert sum(answer.unknown for answer in answers) == len(per_case)

    lines_again: list[bytes] = []
    for partition, log in enumerate(offline.log or ()):
        audit, outcome = PartitionAudit(audit_settings(SETTINGS, partition)), Outcome()
        for position, frame in enumerate(log):
            audit.apply(frame, position, outcome)
        lines_again += said(outcome)
    live = [line for name in ("flagged-events", "corrections", "audited-counts") for line in out[name]]
    assert sorted(lines_again) == sorted(live)
    key = repr
    assert sorted(asking, key=key) == sorted(given, key=key)

    rulings: list[bytes] = []
    controls: list[bytes] = []
    for partition, log in enumerate(offline.actor_log or ()):
        accounts = PartitionAccounts(account_settings(SETTINGS), partition=partition, target_partitions=PARTITIONS)
        for position, frame in enumerate(log):
            said_of = accounts.apply(frame, position)
            controls += [value for _, value in accounts.controls_of(said_of, position)]
            rulings += map(ruling_value, said_of.rulings)
    assert sorted(rulings) == sorted(out["actors"])
    in_log = [frame for log in offline.log or () for frame in log if is_control(frame)]
    assert set(in_log) <= set(controls)
    assert [
        record
        for log in offline.actor_log or ()
        for frame in log
        if is_control(frame)
        for record in to_actors(decode_controls(frame))
    ]
