"""The role actors on a real broker: nothing is lost or repeated, and the log of actors reproduces its outputs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import DRAIN_SECONDS, READY_SECONDS, Installation, Worker, install, run_cli
from detectors.events.event import Event
from streams.actors.outputs import ruling_key, ruling_value
from streams.actors.step import PartitionAccounts, account_settings
from streams.log.controls import ControlsSeen, decode_controls, is_control
from tests.crowds import MINUTE_MS, START_MS, in_order, ordinary
from tests.integration.test_repartition import configure

Unique = Callable[[str], str]

ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
ROBOTS = 40
MINUTES = 30
PARTITIONS = 2


def traffic() -> list[Event]:
    """Half an hour of honest views, in which robots begin one after another."""
    robots = [
        Event(ts=START_MS + minute * MINUTE_MS + n, actor=f"robot-{minute}-{n}", target="v1", user_agent=ROBOT)
        for minute in range(0, MINUTES, 3)
        for n in range(ROBOTS // 10)
    ]
    return in_order(ordinary(1, minutes=MINUTES), robots)


def taken(worker: Worker, topic: str) -> float:
    """Records of a topic that a worker has taken."""
    return sum(v for name, v in worker.metrics().items() if f'topic="{topic}"' in name and "records_total" in name)


def sum_of(worker: Worker, series: str) -> float:
    """The sum of the series that begin so."""
    return sum(v for name, v in worker.metrics().items() if name.startswith(series))


def lag(worker: Worker) -> float:
    """Records that a worker has still to take."""
    return sum_of(worker, "truecount_lag_records")


def by_partition(truecount: Installation, topic: str) -> list[list[Any]]:
    """The records of each partition, in order."""
    places: list[list[Any]] = [[] for _ in range(PARTITIONS)]
    for record in truecount.records(topic):
        places[record.partition].append(record)
    return places


def reproduced(truecount: Installation) -> Iterator[tuple[int, list[tuple[bytes, bytes]], list[tuple[int, bytes]]]]:
    """Partition, rulings (key, value) and control frames (partition of by-target, frame) of the log of actors."""
    for partition, records in enumerate(by_partition(truecount, truecount.topics.by_actor)):
        accounts = PartitionAccounts(
            account_settings(truecount.settings), partition=partition, target_partitions=PARTITIONS
        )
        rulings: list[tuple[bytes, bytes]] = []
        controls: list[tuple[int, bytes]] = []
        for record in records:
            outcome = accounts.apply(record.value, record.offset)
            controls += accounts.controls_of(outcome, record.offset)
            rulings += [(ruling_key(ruling), ruling_value(ruling)) for ruling in outcome.rulings]
        yield partition, rulings, controls


@pytest.mark.timeout(3 * READY_SECONDS + 2 * DRAIN_SECONDS)  # three workers start, on a machine that may be busy
def test_killed_workers_lose_and_repeat_no_ruling_and_no_control_record(
    broker: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(broker, tmp_path, unique, partitions=PARTITIONS, actors=True)
    topics = truecount.topics
    values = [msgspec.json.encode(event) for event in traffic()]
    third = len(values) // 3
    with truecount.worker(name="first") as first:
        truecount.send(truecount.inputs["view"], values[:third])
        first.wait_for(lambda: taken(first, topics.by_actor) > 0, "take records of by-actor")
        first.kill()
    with truecount.worker(name="second") as second:
        truecount.send(truecount.inputs["view"], values[third : 2 * third])
        second.wait_for(lambda: taken(second, topics.by_actor) > 3, "take records of by-actor")
        second.kill()
    with truecount.worker(name="third") as last:
        truecount.send(truecount.inputs["view"], values[2 * third :])
        truecount.wait_drained(len(values))
        last.wait_for(lambda: lag(last) == 0, "read the logs to their ends")
        shown = last.metrics()
    assert sum(count["raw"] for count in truecount.counts().values()) == len(values)
    assert sum(v for name, v in shown.items() if name.startswith("truecount_accounts{")) > ROBOTS

    rulings = by_partition(truecount, topics.actors)
    frames = by_partition(truecount, topics.by_target)
    sent: list[list[bytes]] = [[record.value for record in place if is_control(record.value)] for place in frames]
    expected: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for partition, again, controls in reproduced(truecount):
        written = [(record.key, record.value) for record in rulings[partition]]
        if not broker.transactions:
            written = list(dict.fromkeys(written))  # after a kill they may come again
        assert written == again[: len(written)], "those of the last moments may not be committed"
        assert len(again) - len(written) <= ROBOTS
        for place, frame in controls:
            expected[place].append(frame)
    for place in range(PARTITIONS):
        counted = Counter(sent[place])
        assert set(counted) <= set(expected[place])
        if broker.transactions:
            assert set(counted.values()) <= {1}
        for source in {decode_controls(frame).source for frame in sent[place]}:
            of_source = [frame for frame in map(decode_controls, sent[place]) if frame.source == source]
            seen = ControlsSeen()
            new = [frame.sequence for frame in of_source if seen.take(frame)]
            assert new == sorted({frame.sequence for frame in of_source}), "a repeated one is skipped, and no other"
    found = {json.loads(record.value)["actor"] for place in rulings for record in place}
    assert {actor for actor in found if actor.startswith("robot")} == {
        event.actor for event in traffic() if event.user_agent == ROBOT
    }


def test_the_commands_show_an_actor_and_delete_it(broker: BrokerAddress, tmp_path: Path, unique: Unique) -> None:
    truecount = install(broker, tmp_path, unique, partitions=PARTITIONS, actors=True)
    values = [msgspec.json.encode(event) for event in traffic()]
    ident, other = "robot-3-1", "robot-6-2"
    config = ("--config", str(truecount.config))

    def ruled() -> set[str]:
        listed = run_cli("actors", *config, "--json", "--kind", "declared_robot")
        assert listed.returncode == 0, listed.stderr
        return {json.loads(line)["actor"] for line in listed.stdout.splitlines()}

    def shown(actor: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(run_cli("actor", actor, *config, "--json").stdout)
        return found

    with truecount.worker() as worker:
        truecount.send(truecount.inputs["view"], values)
        truecount.wait_drained(len(values))
        worker.wait_for(lambda: {ident, other} <= ruled(), "rule on the robots")
        worker.wait_for(lambda: shown(ident)["profile"] is not None, "store the accounts")
        text = run_cli("actor", ident, *config).stdout
        assert "declared robot, score 100" in text
        assert "acts in the log: 1" in text
        assert [act["target"] for act in shown(ident)["activity"]["latest"]] == ["v1"]
        forgotten = run_cli("forget", ident, *config, "--json")
        assert forgotten.returncode == 0, forgotten.stderr
        assert json.loads(forgotten.stdout)["deleted"]
        assert ident not in ruled()
        assert other in ruled()
        worker.wait_for(lambda: shown(ident)["profile"] is None, "store the accounts without it")
        assert shown(ident)["activity"]["acts"] == 1, "the log has it until its retention"
        assert shown(other)["profile"]["acts"]["view"] == 1
    nobody = run_cli("actor", "nobody-of-this-name", *config)
    assert nobody.returncode == 1
    assert "nothing is known" in nobody.stderr
    newest = {(r.partition, r.key): r.value or b"" for r in truecount.records(truecount.topics.actors_state)}
    state = b"".join(newest.values())
    assert ident.encode() not in state
    assert other.encode() in state
    later = run_cli("forget", other, *config, "--wait", "0")
    assert later.returncode == 1
    assert "no worker has confirmed it" in later.stderr
    with truecount.worker(name="next") as worker:
        worker.wait_for(lambda: other not in ruled(), "delete what it was asked for")


@pytest.mark.timeout(240)
def test_the_log_of_actors_is_split_and_its_state_is_built_again(
    kafka: BrokerAddress, tmp_path: Path, unique: Unique
) -> None:
    truecount = install(kafka, tmp_path, unique, partitions=PARTITIONS, actors=True)
    values = [msgspec.json.encode(event) for event in traffic()]
    half = len(values) // 2
    with truecount.worker() as worker:
        truecount.send(truecount.inputs["view"], values[:half])
        truecount.wait_drained(half)
        worker.wait_for(lambda: lag(worker) == 0, "read the logs to their ends")
    command = ("--config", str(truecount.config), "--partitions", "4", "--into", unique("grown"))
    for frames in (True, False):
        done = run_cli("repartition", *command, "--json")
        assert done.returncode == 0, done.stderr
        assert (json.loads(done.stdout)["actor_frames"] > 0) == frames, "the second time there is nothing left to do"
    configure(truecount, f"{command[-1]}.", 4)
    with truecount.worker(name="grown") as worker:
        truecount.send(truecount.inputs["view"], values[half:])
        truecount.wait_drained(len(values))
        worker.wait_for(lambda: lag(worker) == 0, "read the logs to their ends")
        worker.wait_for(lambda: sum_of(worker, "truecount_accounts{") > 0, "show its accounts")
        accounts = sum_of(worker, "truecount_accounts{")
    assert accounts == len({event.actor for event in traffic()})
    newest = {(r.key, r.partition): json.loads(r.value) for r in truecount.records(truecount.topics.actors)}
    robots = {event.actor for event in traffic() if event.user_agent == ROBOT}
    assert {key.decode() for key, _ in newest} >= robots
