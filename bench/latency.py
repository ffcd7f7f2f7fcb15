"""Latency from an event to its flag: live traffic at a rate with bought bursts, and a consumer of committed flags.

For every bought event it measures the seconds from sending it (its own time) until the first flag revision that covers
it can be read. ``python -m bench.latency [EVENTS_S]`` prints the figures as JSON.

In each five minutes, at a moment of its own, a partition closes the windows of all its targets, which delays flags
(docs/performance.md, "What a closed window costs"). ``python -m bench.latency EVENTS_S across`` begins each burst less
than twenty seconds before such an end of its target's partition, on a platform that has had this rate for a while. With
``across_rise`` the platform had a far lower rate before, so every window of all targets is a surge.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.events import Traffic
from bench.population import Population, print_measured
from bench.topic import BATCH_BYTES
from bench.worker import total
from detectors.windows.scales import MINUTES_MS, stagger_ms
from streams.kafka.topics import Topics
from streams.log.hashing import partition_of
from streams.settings.settings import Settings

EVENTS_S = 20_000
PARTITIONS = 4
HISTORY_SECONDS = 2_400
HISTORY_EVENTS_S = 150
"""Earlier events, sent at once: an installation judges nothing before it has learned honest windows of five minutes."""
RISE = 4
"""With ``across``, the full rate is so many times that of the earlier events. The rhythm of a day has such rises. After
a rise of fifty times, what is bought does not stand out."""
STEADY_SECONDS = 600
"""How long the platform has had the full rate before the live traffic of ``across``: two windows of five minutes."""
CAUGHT_UP_SECONDS = 5
"""The sender of the past ends when it is no further behind the present than this."""
WARM_SECONDS = 60
"""Live traffic before the first burst. Event time goes on from the end of the past to the present with it, so windows
of all partitions end at its beginning."""
BURSTS = 40
BURST_EVENTS = 400
BURST_SECONDS = 20
BURSTS_EVERY_SECONDS = 2.0
GOLDEN = 0.618_033_988_75
DRAIN_SECONDS = 45
"""Time for events and flags in flight at the end."""
EDGE_SECONDS = MINUTES_MS // 1000
"""Windows of five minutes of a partition end so often."""
TURN_SECONDS = 0.05
PAST_CHUNK = 5_000
BEHIND_SECONDS = 2.0
"""Largest delay of the sender for which the rate counts as reached."""
ACCOUNT_AGE_MS = 400 * 86_400_000
VIEWS_EACH = 2
"""Views of a person in STEADY_SECONDS. The same people, again and again, would be a platform of programs."""
ENDLESS = 1_000_000_000
"""Ordinary events, more than any run sends. They are generated when they are sent."""
LATENESS_SECONDS = 0.5
"""Short, because all events arrive in order here."""


class _Flag(msgspec.Struct):
    flag_id: str
    target: str
    revision: int
    onset: int
    until: int


class Burst(NamedTuple):
    """Bought views of a target, for BURST_SECONDS from ``begin`` on, in seconds since the run began."""

    target: str
    begin: float


@dataclass(slots=True)
class Played:
    """The bursts of a run, the events that were sent, and the flags that were read."""

    bursts: list[Burst]
    bought: dict[str, list[int]] = field(default_factory=dict)
    """target → times of its bought events, epoch ms"""
    seen: dict[str, list[tuple[float, int, int]]] = field(default_factory=dict)
    """target → (epoch ms of reading, onset, until) of its flag's revisions"""
    sent: int = 0
    behind: float = 0.0


def measure(
    servers: str, scratch: Path, *, events_s: int = EVENTS_S, across: bool = False, steady: bool = False
) -> dict[str, Any]:
    """The figures at a rate. With ``across``, each burst goes on over an end of five minutes of its target's partition.

    ``steady``: the platform has had this rate for STEADY_SECONDS before.
    """
    population = _installation(servers, scratch, events_s)
    process = population.start()
    try:
        for sample in population.watch(process, lambda page: "truecount_ready 1.0" in page, 60):
            del sample
        rate, until = HISTORY_EVENTS_S, time.time()
        if steady:
            rate, until = events_s // RISE, until - STEADY_SECONDS
        history = HISTORY_SECONDS * rate
        bodies = _bodies(events_s)
        asyncio.run(_past(population, bodies, rate, until=until))
        if steady:
            history += asyncio.run(_steady_past(population, bodies, events_s))
        for sample in population.watch(process, partial(_caught_up, events=history), 1_800):
            del sample
        played = Played(bursts=bursts(population.settings, time.time(), at_ends=across))
        asyncio.run(_play(population, bodies, played, events_s))
    finally:
        population.stop(process)
    return _figures(population, played, events_s)


def _caught_up(page: str, events: int) -> bool:
    """Whether a worker has read so many events, and each of its tasks has processed its partition."""
    return total(page, "truecount_records_total") >= events and total(page, "truecount_lag_records") == 0


def bursts(settings: Settings, now: float, *, at_ends: bool) -> list[Burst]:
    """The bursts of a run that begins now. With ``at_ends``, each begins less than BURST_SECONDS before an end
    of five minutes of its target's partition.

    >>> times = [burst.begin for burst in bursts(Settings(), 600.0, at_ends=True)]
    >>> len(times), min(times) >= WARM_SECONDS, max(times) < WARM_SECONDS + EDGE_SECONDS + BURST_SECONDS
    (40, True, True)
    """
    found, nth = [], Counter[int]()
    for number in range(BURSTS):
        target, begin = f"bought{number}", WARM_SECONDS + number * BURSTS_EVERY_SECONDS
        if at_ends:
            partition = partition_of(target, settings.partitions)
            end = stagger_ms(settings.time.tick_seconds * 1000, partition) / 1000 - now - WARM_SECONDS
            # By golden ratio: evenly from one burst's length before the end until the end itself.
            share = (1 + nth[partition]) * GOLDEN % 1.0
            begin = WARM_SECONDS + (end - share * BURST_SECONDS) % EDGE_SECONDS
            nth[partition] += 1
        found.append(Burst(target, begin))
    return found


def _installation(servers: str, scratch: Path, events_s: int) -> Population:
    population = Population(servers, scratch, targets=events_s, memory_bytes=512 << 20, seed=1)
    # Forty accounts with ten events each would be invalid as double clicks on arrival; here they must be flagged.
    sections = f'[rules]\noff = ["double_click"]\n[time]\nlateness_seconds = {LATENESS_SECONDS}\n[broker]'
    text = population.config.read_text().replace("[broker]", sections)
    population.config.write_text(text)
    population.make_topics()
    return population


def _producer(population: Population) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=population.settings.broker.servers,
        acks="all",
        compression_type="lz4",
        max_batch_size=BATCH_BYTES,
    )


async def _past(population: Population, bodies: Iterator[bytes], events_s: int, *, until: float) -> None:
    """Send events at a rate of event time, for HISTORY_SECONDS before ``until``."""
    producer = _producer(population)
    await producer.start()
    topic = population.settings.inputs[0].topic
    first_ms = int((until - HISTORY_SECONDS) * 1000)
    try:
        events = HISTORY_SECONDS * events_s
        for at in range(0, events, PAST_CHUNK):
            numbers = range(at, min(at + PAST_CHUNK, events))
            values = [b'{"id":"h%d","ts":%d,%b' % (n, first_ms + n * 1000 // events_s, next(bodies)) for n in numbers]
            await _deliver(producer, topic, values)
    finally:
        await producer.stop()


async def _steady_past(population: Population, bodies: Iterator[bytes], events_s: int) -> int:
    """Send events at a rate of event time, from STEADY_SECONDS ago until the present. Returns their number."""
    producer = _producer(population)
    await producer.start()
    topic = population.settings.inputs[0].topic
    per_turn, turn_ms = round(events_s * TURN_SECONDS), TURN_SECONDS * 1000
    first_ms, sent, at_ms = time.time() * 1000 - STEADY_SECONDS * 1000, 0, 0.0
    try:
        while first_ms + at_ms < (time.time() - CAUGHT_UP_SECONDS) * 1000:
            values = [
                b'{"id":"s%d","ts":%d,%b' % (n, first_ms + at_ms, next(bodies)) for n in range(sent, sent + per_turn)
            ]
            await _deliver(producer, topic, values)
            sent += per_turn
            at_ms += turn_ms
    finally:
        await producer.stop()
    return sent


async def _play(population: Population, bodies: Iterator[bytes], played: Played, events_s: int) -> None:
    over = asyncio.Event()
    reading = asyncio.create_task(_read(population, played, over))
    producer = _producer(population)
    await producer.start()
    try:
        await _send(population, producer, bodies, played, events_s)
        await asyncio.sleep(DRAIN_SECONDS)
    finally:
        over.set()
        await producer.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


async def _send(population: Population, producer: Any, bodies: Iterator[bytes], played: Played, events_s: int) -> None:
    topic = population.settings.inputs[0].topic
    turns = round((max(burst.begin for burst in played.bursts) + BURST_SECONDS) / TURN_SECONDS)
    per_turn = round(events_s * TURN_SECONDS)
    began = time.time()
    for turn in range(turns):
        due = began + turn * TURN_SECONDS
        behind = time.time() - due
        if behind < 0:
            await asyncio.sleep(-behind)
        played.behind = max(played.behind, behind)
        now_ms = int(time.time() * 1000)
        values = [
            b'{"id":"n%d","ts":%d,%b' % (played.sent + number, now_ms, next(bodies)) for number in range(per_turn)
        ]
        played.sent += per_turn
        values += _bought(turn * TURN_SECONDS, now_ms, played)
        await _deliver(producer, topic, values)


def _bought(at: float, now_ms: int, played: Played) -> list[bytes]:
    """The bought events of one turn: new accounts from three networks, with repeats."""
    values = []
    for burst, (target, begin) in enumerate(played.bursts):
        if not 0 <= at - begin < BURST_SECONDS:
            continue
        per_turn = round(BURST_EVENTS / BURST_SECONDS * TURN_SECONDS)
        times = played.bought.setdefault(target, [])
        for _ in range(per_turn):
            n = len(times)
            times.append(now_ms)
            values.append(
                b'{"id":"b%d-%d","ts":%d,"metric":"view","actor":"bot%d-%d","target":"%b","ip":"203.0.%d.%d",'
                b'"user_agent":"phone/1.0","watch_ms":3000,"country":"VN","actor_created_at":%d}'
                % (burst, n, now_ms, burst, n % 40, target.encode(), n % 3, 1 + n % 250, now_ms - 86_400_000)
            )
    return values


async def _deliver(producer: Any, topic: str, values: list[bytes]) -> None:
    for partition in range(PARTITIONS):
        batch = producer.create_batch()
        for value in values[partition::PARTITIONS]:
            if batch.append(key=None, value=value, timestamp=None) is None:
                await producer.send_batch(batch, topic, partition=partition)
                batch = producer.create_batch()
                batch.append(key=None, value=value, timestamp=None)
        await producer.send_batch(batch, topic, partition=partition)


def _bodies(events_s: int) -> Iterator[bytes]:
    """Bodies of ordinary events: all fields but id and time."""
    now_ms, people = int(time.time() * 1000), events_s * STEADY_SECONDS // VIEWS_EACH
    for value in chain.from_iterable(Traffic(ENDLESS, actors=people).chunks()):
        body = value[value.index(b'"metric"') : -1]
        age = ACCOUNT_AGE_MS + hash_of(body) % ACCOUNT_AGE_MS
        yield body + b',"actor_created_at":%d}' % (now_ms - age)


def hash_of(body: bytes) -> int:
    """A number that differs from actor to actor."""
    return int.from_bytes(body[20:28], "big") * 2_654_435_761


async def _read(population: Population, played: Played, over: asyncio.Event) -> None:
    consumer = AIOKafkaConsumer(
        Topics.of(population.settings).flagged_events,
        bootstrap_servers=population.settings.broker.servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
    )
    await consumer.start()
    try:
        while not over.is_set():
            for records in (await consumer.getmany(timeout_ms=100)).values():
                now_ms = time.time() * 1000
                for record in records:
                    flag = msgspec.json.decode(record.value, type=_Flag)
                    played.seen.setdefault(flag.target, []).append((now_ms, flag.onset, flag.until))
    finally:
        await consumer.stop()


def latencies(played: Played) -> Iterator[float]:
    """Seconds from each bought event to the first flag revision that covers it. Events without one are skipped."""
    for target, times in played.bought.items():
        for ts in times:
            covering = [seen for seen, onset, until in played.seen.get(target, ()) if onset <= ts < until]
            if covering:
                yield (min(covering) - ts) / 1000


def _figures(population: Population, played: Played, events_s: int) -> dict[str, Any]:
    bought = sum(map(len, played.bought.values()))
    found = np.array(list(latencies(played)) or [float("nan")])
    flagged = len(found) if played.seen else 0
    settings = population.settings
    promised = settings.time.tick_seconds + settings.checkpoint_seconds + 1
    return {
        "events_s": events_s,
        "carried": played.behind <= BEHIND_SECONDS,
        "sender_behind_s": round(played.behind, 2),
        "events": played.sent + bought,
        "bought": bought,
        "bought_flagged": flagged,
        "unflagged_share": round(1 - flagged / bought, 4),
        "flagged_targets": len(played.seen),
        "honest_flagged": sum(1 for target in played.seen if target not in played.bought),
        "lateness_s": LATENESS_SECONDS,
        "flag_latency_p50_s": round(float(np.quantile(found, 0.5)), 2),
        "flag_latency_p99_s": round(float(np.quantile(found, 0.99)), 2),
        "promised_s": promised,
        "kept": bool(np.quantile(found, 0.99) <= promised),
    }


def main() -> None:
    """Measure on a Kafka of its own."""
    events_s = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS_S
    across, rise = (name in sys.argv[2:] for name in ("across", "across_rise"))
    print_measured(partial(measure, events_s=events_s, across=across or rise, steady=across))


if __name__ == "__main__":
    main()
