"""A Faust agent that processes one message at a time with the same detectors.

Where the comparison is not exact, it favours Faust: no frames are encoded, there is one audit for all targets, nothing
is sent, and Faust commits at least once, at its own interval.

``python -m bench.per_message SERVERS SECONDS``
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import faust
import msgspec
import xxhash

from bench.measured import Measured, print_result
from bench.names import bucket
from bench.topic import PARTITIONS, TOPIC
from detectors.events.actor import with_account, without_account
from detectors.events.block import EventBlock
from detectors.events.buckets import MIX_BUCKETS, NETWORK_BUCKETS, account_bucket, network_bucket
from detectors.events.event import METRIC_INDEX, Event
from detectors.events.watch_buckets import watch_bucket
from detectors.records import Outcome
from detectors.windows.clock import SourceTime
from detectors.windows.crowd import HASH_SPACE
from streams.ingest.rules.tagging import Tagger
from streams.log.hashing import AGENT_CHARS, network_of
from streams.settings.settings import Settings
from streams.targets.step import PartitionAudit, audit_settings

VIEW = METRIC_INDEX["view"]
ROSTER = {TOPIC: PARTITIONS}
START_SECONDS = 60.0


_hash = xxhash.xxh3_64_intdigest


def block_of_one(event: Event) -> EventBlock:
    """A block of one event, of lists: for one event, arrays would take most of the time."""
    created = event.actor_created_at
    network = None if event.ip is None else network_of(event.ip)
    country = bucket(event.country, MIX_BUCKETS)
    return EventBlock(
        target=[event.target],
        metric=[VIEW],
        ts=[event.ts],
        actor=[with_account(without_account(_hash((event.actor or "").encode()) % HASH_SPACE), created is not None)],
        ident=None if event.id is None else [_hash(f"{event.target}/{event.id}".encode()) % HASH_SPACE],
        network=[network_bucket(bucket(network, NETWORK_BUCKETS), country)],
        agent=[bucket(event.user_agent and event.user_agent[:AGENT_CHARS], MIX_BUCKETS)],
        referrer=[bucket(event.referrer, MIX_BUCKETS)],
        country=[country],
        account=[account_bucket(created, event.ts)],
        watch=[watch_bucket(event.watch_ms, event.duration_ms)],
        undo=[True] if event.undo else None,
    )


class OneByOne:
    """Decodes single events, converts them to blocks, and audits them."""

    def __init__(self, settings: Settings) -> None:
        self.events = 0
        self._audit = PartitionAudit(audit_settings(settings, 0))
        self._tagger = Tagger(settings.rules)
        self._decode = msgspec.json.Decoder(Event).decode
        self._lateness_ms = round(settings.time.lateness_seconds * 1000)

    def take(self, value: bytes, partition: int, offset: int) -> None:
        """Audit one record."""
        event = self._decode(value)
        source, watermark = f"{TOPIC}/{partition}", event.ts - self._lateness_ms
        block = block_of_one(event)
        block.rule = self._tagger.tags([event.ip], [event.user_agent])
        audit, outcome = self._audit, Outcome()
        audit.audit.observe(block, self.events, outcome)
        now = audit.clock.update_source(source, SourceTime(offset + 1, watermark, False), ROSTER)
        if now > audit.audit.now:
            audit.audit.advance(now, outcome)
        self.events += 1


async def measure(servers: str, seconds: float) -> Measured:
    """Run the agent for ``seconds`` after its first event."""
    one_by_one = OneByOne(Settings())
    started = asyncio.Event()
    app: Any = faust.App(
        "bench-per-message",
        broker=";".join(f"kafka://{server}" for server in servers.split(",")),
        store="memory://",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        loghandlers=[],
    )

    async def work(stream: AsyncIterator[Any]) -> None:
        take = one_by_one.take
        async for event in stream.events():  # type: ignore[attr-defined]  # Faust's streams are untyped
            message = event.message
            take(message.value, message.partition, message.offset)
            started.set()

    app.agent(app.topic(TOPIC, value_type=bytes, value_serializer="raw"))(work)
    await app.start()
    try:
        await asyncio.wait_for(started.wait(), START_SECONDS)
        before, began, cpu = one_by_one.events, time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        done = one_by_one.events - before
        return Measured(done, time.perf_counter() - began, time.process_time() - cpu)
    finally:
        await app.stop()


if __name__ == "__main__":
    print_result(asyncio.run(measure(sys.argv[1], float(sys.argv[2]))))
