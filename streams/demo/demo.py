"""Runs the demo: an embedded broker, a worker process and a day of traffic, until all events are counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from detectors.cases.statuses import ACCUSING
from detectors.state.case import EXPLAINED
from streams.demo.view import LiveView, PlainView, View
from streams.evidence.flag_text import flag_lines
from streams.kafka.embedded import EmbeddedBroker, free_port
from streams.kafka.errors import BrokerError
from streams.kafka.reader import Reader
from streams.kafka.sender import Sender
from streams.kafka.topics import Topics, create
from streams.offline.simulation import Story, demo_story
from streams.roles import plan
from streams.settings.broker import Broker
from streams.settings.event_time import Time
from streams.settings.section import SettingsError
from streams.settings.settings import Settings, Web

RATE = 4500
"""Events sent per second: kafka-python and a worker process this easily on two cores."""
WORKER_START_SECONDS = 60.0
SETTLE_SECONDS = 45.0
"""Time after the last event within which the counts must equal what was sent."""
PARTITIONS = 4


@dataclass(slots=True)
class Result:
    """Result of the demo."""

    sent: int = 0
    undos: int = 0
    raw: int = 0
    flags: int = 0
    bought_flagged: bool = False
    viral_flagged: bool = False
    bought_events: int = 0
    quarantined: int = 0
    others_flagged: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the burst was flagged, the viral hit was not, and every event was counted exactly once."""
        return self.bought_flagged and not self.viral_flagged and self.raw == self.sent - self.undos

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "passed": self.passed}


class Demo:
    """One run of the demo. It stops everything that it starts."""

    def __init__(self, *, seed: int, metrics_port: int, plain: bool, quiet: bool) -> None:
        self._seed = seed
        self._port = metrics_port or free_port()
        self._view: View = PlainView(quiet=quiet) if plain else LiveView()
        self._result = Result()
        self._counts: dict[bytes, dict[str, Any]] = {}
        self._flagged: dict[str, dict[str, Any]] = {}

    def run(self) -> Result:
        """Run the demo. Raises BrokerError, EmbeddedBrokerError."""
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="truecount-demo-") as directory, EmbeddedBroker() as broker:
            settings = self._settings(broker.address, Path(directory))
            create(settings, plan(settings, inputs=True))
            worker = _start_worker(settings, Path(directory))
            try:
                with self._view:
                    self._view.show(f"broker {broker.address} (embedded: in memory only, at-least-once)")
                    self._view.show(f"metrics http://127.0.0.1:{self._port}/metrics")
                    story = demo_story(self._seed)
                    self._view.show(
                        f"{story.bought} will get {story.bought_events:,} bought views; "
                        f"{story.viral} will go viral honestly with {story.viral_events:,} events"
                    )
                    self._wait_ready(worker, Path(directory))
                    self._play(settings, story, worker)
            finally:
                _stop(worker)
        self._result.seconds = time.monotonic() - began
        self._conclude(story)
        return self._result

    def _settings(self, address: str, directory: Path) -> Settings:
        return Settings(
            app="truecount-demo",
            partitions=PARTITIONS,
            processing="at_least_once",
            checkpoint_seconds=1.0,
            broker=Broker(servers=address, session_timeout_seconds=6),
            time=Time(idle_seconds=3.0),
            web=Web(port=self._port),
            state={"directory": directory / "state"},  # type: ignore[arg-type]  # pydantic makes a State of it
        )

    def _wait_ready(self, worker: subprocess.Popen[bytes], directory: Path) -> None:
        deadline = time.monotonic() + WORKER_START_SECONDS
        while time.monotonic() < deadline:
            if worker.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=1):
                    self._view.show("worker is ready")
                    return
            except OSError:
                time.sleep(0.2)
        tail = (directory / "worker.log").read_text(errors="replace")[-2000:]
        if worker.poll() == SettingsError.exit_code:
            raise SettingsError(f"the demo's worker ended: {tail.rstrip().splitlines()[-1]}")
        raise BrokerError(f"the demo's worker did not become ready; the end of its log:\n{tail}")

    def _play(self, settings: Settings, story: Story, worker: subprocess.Popen[bytes]) -> None:
        topics = Topics.of(settings)
        flags, counts = Reader(settings, topics.flagged_events), Reader(settings, topics.audited_counts)
        total = len(story.events)
        self._result.undos = sum(event.undo for event in story.events)
        failed: list[BaseException] = []
        sender = threading.Thread(target=self._send, args=(settings, story, failed), daemon=True)
        sender.start()
        settled_by = 0.0
        try:
            while True:
                self._read_outputs(flags, counts)
                self._view.update(self._result.sent, total, self._result.raw, self._counts, self._flagged)
                if failed:
                    raise failed[0]
                if worker.poll() is not None:
                    raise BrokerError(f"the demo's worker ended with code {worker.returncode}")
                if not sender.is_alive():
                    settled_by = settled_by or time.monotonic() + SETTLE_SECONDS
                    if self._result.raw >= total - self._result.undos or time.monotonic() > settled_by:
                        break
                time.sleep(0.1)
            self._read_outputs(flags, counts)
            self._view.update(self._result.sent, total, self._result.raw, self._counts, self._flagged)
        finally:
            flags.close()
            counts.close()

    def _send(self, settings: Settings, story: Story, failed: list[BaseException]) -> None:
        try:
            with Sender(settings, idempotent=False) as sender:
                began = time.monotonic()
                for number, event in enumerate(story.events, 1):
                    sender.send_event(event)
                    if number % 200 == 0:
                        self._result.sent = number
                        ahead = number / RATE - (time.monotonic() - began)
                        if ahead > 0:
                            time.sleep(ahead)
                sender.flush()
                self._result.sent = sender.sent
        except Exception as error:  # noqa: BLE001  # handed to the main thread, which raises it
            failed.append(error)

    def _read_outputs(self, flags: Reader, counts: Reader) -> None:
        for record in counts.poll():
            self._counts[record.key] = orjson.loads(record.value)
        for record in flags.poll():
            flag = orjson.loads(record.value)
            if flag["status"] in ("opened", "closed"):
                self._view.show("\n".join(flag_lines(flag)))
            if flag["verdict"] == EXPLAINED:
                if flag["status"] == "opened":
                    self._result.explained.append(flag["target"])
            elif flag["verdict"] in ACCUSING:
                self._flagged[flag["flag_id"]] = flag
        self._result.raw = sum(count["raw"] for count in self._counts.values())

    def _conclude(self, story: Story) -> None:
        result = self._result
        flags = self._flagged.values()
        result.flags = len(self._flagged)
        result.bought_events = story.bought_events
        result.bought_flagged = any(f["target"] == story.bought and f["metric"] == "view" for f in flags)
        result.viral_flagged = any(f["target"] == story.viral for f in flags)
        result.quarantined = sum(f["artificial"]["value"] for f in flags if f["target"] == story.bought)
        result.others_flagged = sorted({f["target"] for f in flags} - {story.bought, story.viral})
        show = self._view.show
        show("")
        show(
            f"{result.sent:,} events sent ({result.undos:,} of them undos), {result.raw:,} counted, "
            f"{result.flags} flags, {result.seconds:.0f} s"
        )
        show(
            f"bought burst on {story.bought}: {'FLAGGED' if result.bought_flagged else 'MISSED'}"
            f" ({result.quarantined:,} of {result.bought_events:,} bought views taken out of its count)"
        )
        outcome = "FLAGGED, which is wrong" if result.viral_flagged else "not flagged, which is right"
        if story.viral in result.explained:
            outcome += "; its surge is explained"
        show(f"viral hit on {story.viral}: {outcome}")
        if result.others_flagged:
            show(f"also flagged: {', '.join(result.others_flagged)}")
        show("the demo passed" if result.passed else "the demo FAILED")


def _start_worker(settings: Settings, directory: Path) -> subprocess.Popen[bytes]:
    config = directory / "demo.json"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRUECOUNT_")}
    config.write_text(json.dumps(settings.model_dump(mode="json", exclude={"broker": {"password"}})))
    with (directory / "worker.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "streams.demo.worker", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )


def _stop(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(15)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
