"""Exceptions in the detection of a worker on a real Kafka: nothing is lost, and nobody else is judged differently."""

from __future__ import annotations

import os
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import orjson
import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation, install, run_cli
from detectors.events.event import Event
from streams.engine.failed_records import Positions
from streams.maintenance.doctor import run_checks
from streams.maintenance.unjudged import unjudged_of
from tests.crowds import HISTORY_MINUTES, MINUTE_MS, START_MS, bought, in_order, ordinary

ROOT = Path(__file__).parents[2]
VICTIM, OTHER, POISON = "v3", "v5", "poison"

INJECTION = """
from detectors.catalog.accounts import Accounts
from detectors.events.key import target_of
from detectors.intake.intake import Intake
from detectors.judge import Judge

judging = []
judge, findings, collect = Judge._decide, Accounts.findings, Intake._collect


def decided(self, window, *, judged):
    judging[:] = [target_of(window.key)]
    return judge(self, window, judged=judged)


def found(self, x):
    if judging == ["{victim}"]:
        raise ValueError("injected into a detector")
    return findings(self, x)


def collected(self, block, *rest):
    if "{poison}" in block.target:
        raise ValueError("injected into the intake")
    return collect(self, block, *rest)


Judge._decide, Accounts.findings, Intake._collect = decided, found, collected
"""


def poisoned() -> list[Event]:
    """Views of a target whose records cannot be audited, half an hour after the beginning."""
    begin = START_MS + 30 * MINUTE_MS
    return [Event(ts=begin + 20 * n, actor=f"a{n}", target=POISON, id=f"x{n}") for n in range(40)]


def crowd() -> list[Event]:
    """Honest views, the poisoned ones, and two bought bursts."""
    burst = START_MS + (HISTORY_MINUTES + 1) * MINUTE_MS
    honest = ordinary(1, minutes=HISTORY_MINUTES + 20, ids=True)
    return in_order(
        honest, poisoned(), bought(2, VICTIM, begin=burst, ids=True), bought(3, OTHER, begin=burst, ids=True)
    )


def flagged(truecount: Installation) -> set[tuple[str, str]]:
    """Targets and verdicts of flags."""
    flags = [orjson.loads(record.value) for record in truecount.records(truecount.topics.flagged_events)]
    return {(flag["target"], flag["verdict"]) for flag in flags}


def inject(truecount: Installation, directory: Path) -> None:
    """Let the workers of an installation import exceptions into detection."""
    directory.mkdir()
    code = textwrap.dedent(INJECTION).format(victim=VICTIM, poison=POISON)
    (directory / "sitecustomize.py").write_text(code)
    truecount.environment["PYTHONPATH"] = os.pathsep.join([str(directory), str(ROOT)])


@pytest.mark.slow
def test_exceptions_stop_no_partition_and_cost_no_count(
    kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    truecount = install(kafka, tmp_path, unique, metrics=["view"], tick_seconds=10, counts_seconds=30)
    inject(truecount, tmp_path / "inject")
    events = crowd()
    sent = Counter(event.target for event in events)
    failing = "a record of the log could not be audited"

    killed = truecount.start(name="killed")
    killed.wait_ready()
    truecount.send(truecount.inputs["view"], [msgspec.json.encode(event) for event in events])
    killed.wait_for(lambda: failing in killed.log.read_text(), "fail", 60)
    killed.kill()  # before it could store what failed: the next one fails once more

    with truecount.worker(name="next") as worker:
        counts = truecount.wait_drained(len(events), seconds=120)
        assert {target: count["raw"] for (target, _), count in counts.items()} == sent
        poison = counts[POISON, "view"]
        assert (poison["valid"], poison["unjudged"]) == (sent[POISON], sent[POISON])
        assert counts[VICTIM, "view"]["unjudged"] > 0
        deadline = time.monotonic() + 60
        while (OTHER, "artificial") not in flagged(truecount) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert {target for target, verdict in flagged(truecount) if verdict != "explained"} == {OTHER}
        shown = worker.metrics()
        assert shown["truecount_unjudged_steps_total"] > 0
        assert sum(value for name, value in shown.items() if name.startswith("truecount_unjudged_windows_total")) > 0
        assert shown['truecount_tasks{role="targets"}'] == 2
        text = worker.log.read_text()
        assert "injected into a detector" in text
        records = sum(Positions(some).total() for some in unjudged_of(truecount.settings).values())
        assert text.count(failing) == records  # each failed once, and was only counted then

    unjudged = unjudged_of(truecount.settings)
    assert unjudged
    check = next(one for one in run_checks(truecount.settings) if one.what == "log")
    assert not check.ok
    assert "counted, but not judged" in check.message

    # A restart repeats the decision, and so does a rebuild by a worker in which nothing fails any more.
    truecount.environment.clear()
    with truecount.worker(name="repaired"):
        truecount.send(truecount.inputs["view"], [msgspec.json.encode(event) for event in ordinary(7, minutes=1)])
        time.sleep(3)
    assert unjudged_of(truecount.settings) == unjudged
    into = f"{truecount.settings.app}-v2"
    run = run_cli(
        "rebuild", "--config", str(truecount.config), "--from", "beginning", "--into", into, "--json", seconds=180
    )
    assert run.returncode == 0, run.stderr
    again: dict[str, dict[str, int]] = {}
    for record in truecount.records(f"{into}.audited-counts"):
        count = orjson.loads(record.value)
        again[count["target"]] = count
    assert (again[POISON]["valid"], again[POISON]["unjudged"]) == (sent[POISON], sent[POISON])
