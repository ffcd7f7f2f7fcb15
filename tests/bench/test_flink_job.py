"""The Flink job of the benchmark counts what was sent: built from its sources, on a real Kafka, exactly once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench import topic
from bench.events import Traffic
from bench.flink import building, job
from bench.measured import PartError
from bench.testbed.brokers import KafkaServer

WINDOW_MS = 10_000
LATENESS_MS = 10_000
DAY_MS = 86_400_000
EVENTS = 20_000


class Aged(Traffic):
    """Traffic of which half the events say how old the account is; some targets need escapes in JSON."""

    def chunks(self) -> Iterator[list[bytes]]:
        """The events of ``Traffic``, changed."""
        for chunk in super().chunks():
            yield [self._changed(place, value) for place, value in enumerate(chunk)]

    @staticmethod
    def _changed(place: int, value: bytes) -> bytes:
        event = msgspec.json.decode(value)
        if place % 2:
            event["actor_created_at"] = event["ts"] - (1 + place % 90) * DAY_MS
        if place % 100 == 0:
            event["target"] = 'a "quoted" é\n'
            del event["watch_ms"]
            event["labels"] = {"target": "of a nested object", "list": [1, {"ts": 2}]}
        return msgspec.json.encode(event)


def _expected(traffic: Traffic) -> dict[tuple[str, int], dict[str, Any]]:
    windows: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for chunk in traffic.chunks():
        for value in chunk:
            event = msgspec.json.decode(value)
            key = event["target"], event["ts"] - event["ts"] % WINDOW_MS
            windows.setdefault(key, []).append(event)
    return {key: _summary(events) for key, events in windows.items()}


def _summary(events: list[dict[str, Any]]) -> dict[str, Any]:
    ages = [event["ts"] - event["actor_created_at"] for event in events if "actor_created_at" in event]
    watch = [0] * 16
    for event in events:
        if "watch_ms" in event:
            watch[min((event["watch_ms"] // 1000).bit_length(), 15)] += 1
    return {
        "count": len(events),
        "actors": len({event["actor"] for event in events}),
        "new_share": sum(age < 30 * DAY_MS for age in ages) / len(ages) if ages else None,
        "watch": watch,
    }


@pytest.mark.slow
@pytest.mark.timeout(900)  # with the build of the job
def test_every_window_has_the_right_figures(kafka_server: KafkaServer, tmp_path: Path) -> None:
    missing = building.flink_is_missing()
    if missing is not None:
        pytest.skip(missing)
    traffic = Aged(EVENTS, targets=500, span_seconds=40)
    servers = kafka_server.address.servers
    topic.fill(servers, traffic, traffic.last_ts_ms() + LATENESS_MS + 2 * WINDOW_MS)
    directory = tmp_path / "flink"
    (measured,) = job.measure(servers, topic.TOPIC, EVENTS, directory, deadline_seconds=120, outputs=["counts"])
    assert measured.events == EVENTS
    assert measured.cpu_seconds > 0
    assert 0 < measured.seconds < 120
    found = {(one.target, one.start): one for one in job.summaries(servers, "counts")}
    wanted = _expected(traffic)
    assert found.keys() == wanted.keys()
    for key, fields in wanted.items():
        one = found[key]
        assert {name: getattr(one, name) for name in fields} == fields, key


def test_a_machine_without_a_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    here = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "javac" else here(name))
    assert "there is no javac" in (building.flink_is_missing() or "")
    with pytest.raises(PartError, match=r"needs a JDK 17\+"):
        building.flink_classpath()
