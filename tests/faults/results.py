"""The comparison after a siege: what was published, with an undisturbed run, and with what the logs give."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from bench.testbed.workers import Installation
from detectors.state.case import ARTIFICIAL
from tests.faults.comparison import SHOWN, differences, log_problems
from tests.faults.replay import Outputs, replayed, ruling_line, sent_controls, unequal
from tests.faults.truth import Published, Record, Tally, undisturbed

PARTITIONS = 3

Sources = dict[tuple[str, int], list[Record]]
"""Input topic and partition → its records."""


@dataclass
class Report:
    """What came of a siege. ``problems`` is empty if everything was equal."""

    name: str
    records: int = 0
    events: int = 0
    faults: int = 0
    kills: int = 0
    flags: int = 0
    corrections: int = 0
    controls: int = 0
    """control frames of both logs"""
    kinds: dict[str, int] = field(default_factory=dict)
    """control records of both logs by their kind"""
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


class Results:
    """What an installation has read and published, once all is drained. ``exact``: nothing may come twice."""

    def __init__(self, installation: Installation, *, exact: bool) -> None:
        self.installation = installation
        self._servers = installation.broker.servers
        self._exact = exact

    async def reader(self, *topics: str) -> Any:
        """A consumer at the beginning of all partitions of some topics."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            isolation_level="read_committed",
            max_partition_fetch_bytes=8_000_000,
            fetch_max_bytes=64_000_000,
            enable_auto_commit=False,
        )
        await consumer.start()
        await consumer._client.force_metadata_update()  # partitions_for_topic answers from memory
        for topic in topics:
            await consumer.topics()
            consumer._client.add_topic(topic)  # as above
        await consumer._client.force_metadata_update()  # as above
        partitions = [TopicPartition(t, p) for t in topics for p in sorted(consumer.partitions_for_topic(t))]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        return consumer

    async def records(self, topic: str) -> list[Any]:
        """All committed records of a topic, each partition in order."""
        consumer = await self.reader(topic)
        try:
            ends = await consumer.end_offsets(list(consumer.assignment()))
            got: list[Any] = []
            while True:
                behind = [tp for tp, end in ends.items() if await consumer.position(tp) < end]
                if not behind:
                    return got
                for records in (await consumer.getmany(*behind, timeout_ms=500)).values():
                    got += records
        finally:
            await consumer.stop()

    async def sources(self, inputs: dict[str, int]) -> tuple[Tally, Sources]:
        """What the inputs (topic → number of partitions) have."""
        tally, sources = Tally(), Sources()
        for metric, topic in self.installation.inputs.items():
            for place in range(inputs[topic]):
                sources[topic, place] = []
            for record in await self.records(topic):
                tally.add(metric, record.value)
                sources[topic, record.partition].append((record.offset, record.timestamp, record.value))
        return tally, sources

    async def compare(self, report: Report, tally: Tally, sources: Sources, sent: Sources) -> None:
        """Add to the report what differs. ``sent`` are the sources as they would be without a disturbance."""
        report.events = sum(tally.events.values()) + sum(tally.undos.values())
        published = await self._published()
        expected = await asyncio.to_thread(undisturbed, self.installation.settings, sent)
        report.flags, report.corrections = len(published.flags), len(published.corrections)
        problems = report.problems
        states = sum(map(tally.settled, tally.events), Counter[str]())
        likes = [flag for flag in published.flags.values() if (flag["metric"], flag["verdict"]) == ("like", ARTIFICIAL)]
        problems += [] if likes else ["no bought likes were found"]
        problems += [f"no like or follow was {what}" for what in ("undone", "already_counted") if not states[what]]
        problems += differences(tally, expected, published, exact=self._exact)
        problems += await self._logs(report, sources)

    async def _published(self) -> Published:
        published, topics = Published(), self.installation.topics
        for record in await self.records(topics.flagged_events):
            published.flag(record.value)
        for record in await self.records(topics.corrections):
            published.correction(record.value)
        for record in await self.records(topics.audited_counts):
            published.count(record.value)
        letters = await self.records(topics.dead_letters)
        places = [tuple(dict(r.headers)[name] for name in ("topic", "partition", "offset")) for r in letters]
        published.dead_letters = len(set(places))
        published.repeated += sorted(f"dead letter {place}" for place, n in Counter(places).items() if n > 1)[:SHOWN]
        return published

    async def _logs(self, report: Report, sources: Sources) -> list[str]:
        """Input must be committed to its end and be in both logs, and the logs must give all that was published.

        What is not taken of a log may only be time and control records.
        """
        settings, topics = self.installation.settings, self.installation.topics
        logs = {"targets": topics.by_target, "actors": topics.by_actor}
        consumer = AIOKafkaConsumer(bootstrap_servers=self._servers, group_id=settings.app, enable_auto_commit=False)
        await consumer.start()
        try:
            problems = []
            for (topic, place), records in sources.items():
                committed, end = await consumer.committed(TopicPartition(topic, place)), records[-1][0] + 1
                if committed != end:
                    problems.append(f"{topic}/{place}: committed {committed}, the end is {end}")
            taken = {
                (role, place): await consumer.committed(TopicPartition(topic, place)) or 0
                for role, topic in logs.items()
                for place in range(PARTITIONS)
            }
        finally:
            await consumer.stop()
        by_target, by_actor = await self.records(topics.by_target), await self.records(topics.by_actor)
        problems += log_problems("targets", by_target, taken, sources)
        problems += log_problems("actors", by_actor, taken, sources)
        outputs = await asyncio.to_thread(replayed, settings, by_target, by_actor, taken)
        report.controls = sum(map(len, (*outputs.to_targets.values(), *outputs.to_actors.values())))
        report.kinds = dict(outputs.controls)
        return problems + await self._differences(outputs, by_target, by_actor)

    async def _differences(self, outputs: Outputs, by_target: list[Any], by_actor: list[Any]) -> list[str]:
        """Where the topics are not what the logs give."""
        topics, found = self.installation.topics, []
        for what, expected, topic in (
            ("flags", outputs.flags, topics.flagged_events),
            ("corrections", outputs.corrections, topics.corrections),
            ("counts", outputs.counts, topics.audited_counts),
            ("rulings", outputs.rulings, topics.actors),
        ):
            values: dict[int, list[bytes]] = {}
            for record in await self.records(topic):
                line = ruling_line(record.key, record.value) if what == "rulings" else record.value
                values.setdefault(record.partition, []).append(line)
            found += unequal(what, expected, values, exact=self._exact)
        found += unequal("controls in by-target", outputs.to_targets, sent_controls(by_target), exact=self._exact)
        found += unequal("controls in by-actor", outputs.to_actors, sent_controls(by_actor), exact=self._exact)
        found += [f"contained: {part} failed {times} times" for part, times in outputs.failures.items()]
        if outputs.late:
            found.append(f"{outputs.late} events were late")
        return found
