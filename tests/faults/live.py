"""A siege in real time: producers that send as things happen, the usual settings of event time, and no hurry.

Here late events are possible. Three producers, each as a server of the platform has it, keep what they cannot send and
send it when the broker is back, one earlier than another. The undisturbed run gets every record when it was sent.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from kafka import KafkaProducer

from bench.testbed.brokers import KafkaServer
from streams.settings.broker import Broker
from tests.faults.results import PARTITIONS
from tests.faults.siege import WORKERS, Siege, Timing
from tests.faults.traffic import DAY_MS, MINUTE_MS, Traffic
from tests.faults.truth import Record

USUAL = Timing(lateness_seconds=10, idle_seconds=10, recovery_seconds=40)
"""The defaults."""
PRODUCERS = 3
AGO_MS = 3 * DAY_MS
"""Event time is that much behind the clock, because the end of the traffic is two days later."""
EVENT_TIME = "truecount_event_time_seconds"
TURN_MS = 1000
"""The undisturbed run gets the records of a second together."""


class LiveSiege(Siege):
    """Sends ``traffic`` up to the minute ``live_from`` at once, and the rest as the clock goes."""

    def __init__(self, name: str, kafka: KafkaServer, directory: Path, traffic: Traffic, *, live_from: int) -> None:
        super().__init__(name, kafka, directory, traffic, rate=1.0, timing=USUAL)
        self._live_from = live_from

    def _config(self, slot: int) -> Path:
        """With the default session: the partitions of a worker that was killed are read by nobody for half a minute."""
        path = super()._config(slot)
        usual = f"session_timeout_seconds = {Broker().session_timeout_seconds:.0f}"
        path.write_text(path.read_text().replace("session_timeout_seconds = 6", usual))
        return path

    async def _feed(self) -> None:
        producers = [
            KafkaProducer(bootstrap_servers=self.kafka.address.servers, acks="all", linger_ms=5)
            for _ in range(PRODUCERS)
        ]
        begins_ms = int(time.time() * 1000)
        start_ms = begins_ms - AGO_MS - self._live_from * MINUTE_MS
        self.traffic = replace(self.traffic, start_ms=start_ms)
        futures, sent = [], 0
        try:
            for minute, rows in enumerate(self.traffic.timed()):
                for ts, metric, value in rows:
                    at_ms = ts + AGO_MS
                    ahead_ms = at_ms - time.time() * 1000
                    if minute >= self._live_from and ahead_ms > 0:
                        await asyncio.sleep(ahead_ms / 1000)
                    topic = self.installation.inputs[metric]
                    # What was sent before is in order of time, as a topic without outages is.
                    producer = producers[self.rng.randrange(PRODUCERS) if minute >= self._live_from else 0]
                    place = self.rng.randrange(self.input_partitions[topic])
                    futures.append(producer.send(topic, value, partition=place, timestamp_ms=at_ms))
                    sent += 1
                if minute == self._live_from - 1:
                    await asyncio.to_thread(producers[0].flush)
            for future in futures:
                await asyncio.to_thread(future.get, 120)
            await self.until(lambda: self._event_time_ms() >= self.traffic.end_ms, "reach the end of the traffic", 120)
            late = sum(self.shown(slot, "truecount_late_events_total") for slot in range(WORKERS))
            if late:
                self.report.problems.append(f"{late:.0f} events were late")
            self.report.records = sent
        finally:
            for producer in producers:
                await asyncio.to_thread(producer.close)

    def _event_time_ms(self) -> float:
        """The least event time of the partitions; 0 if not all are shown."""
        shown = [self.series(slot) for slot in range(WORKERS)]
        times = [value for series in shown for name, value in series.items() if name.startswith(EVENT_TIME)]
        return min(times) * 1000 if len(times) == PARTITIONS else 0.0

    def as_sent(self, sources: dict[tuple[str, int], list[Record]]) -> dict[tuple[str, int], list[Record]]:
        """In order of the times at which the producers got the records; offsets are given anew."""
        return {
            source: [
                (offset, sent_ms // TURN_MS * TURN_MS, value)
                for offset, (sent_ms, _, value) in enumerate(
                    sorted((sent_ms, offset, value) for offset, sent_ms, value in records)
                )
            ]
            for source, records in sources.items()
        }
