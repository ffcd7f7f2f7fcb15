"""Sources, their routers and the ``by-target`` logs they fill: everything of a worker but Kafka."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from detectors.audit import AuditSettings
from detectors.events.event import Event
from detectors.records import Outcome
from streams.deadletters import DeadLetter
from streams.ingest.mapping.records import Good, Records
from streams.ingest.router import ActorLog, Routed, Router
from streams.settings.event_time import Time
from streams.settings.settings import Input
from streams.targets.outputs import correction_value, count_value, flag_value
from streams.targets.step import PartitionAudit

FAR_FUTURE_MS = 200_000_000_000_000
"""A broker's clock that calls nothing of a test's the future."""

_encode = msgspec.json.Encoder().encode


def events_of(good: Good | None) -> list[tuple[int, int, Event]]:
    """What was decoded as (index, metric index, event)."""
    if good is None:
        return []
    events = [
        Event(**dict(zip(good.fields, values, strict=True))) for values in zip(*good.fields.values(), strict=True)
    ]
    return list(zip(good.index.tolist(), good.metric.tolist(), events, strict=True))


class Pipeline:
    """Input partitions of one topic in, one log of records for each partition of the logs out."""

    def __init__(
        self,
        *,
        sources: int = 1,
        partitions: int = 1,
        lateness_seconds: float = 10.0,
        config: Input | None = None,
        broker_ms: int = FAR_FUTURE_MS,
        actor_partitions: int = 0,
    ) -> None:
        config = Input(topic="views", metric="view") if config is None else config
        time = Time(lateness_seconds=lateness_seconds)
        self.roster = {config.topic: sources}
        actor_log = ActorLog(actor_partitions) if actor_partitions else None
        self.routers = [
            Router(config=config, partition=n, time=time, partitions=partitions, actor_log=actor_log)
            for n in range(sources)
        ]
        self.actor_logs: list[list[bytes]] = [[] for _ in range(actor_partitions)]
        self.logs: list[list[bytes]] = [[] for _ in range(partitions)]
        self.dead: list[DeadLetter] = []
        self.events = 0
        self._next = [0] * sources
        self._broker_ms = broker_ms
        self._now = 0

    def send(self, values: Sequence[bytes | None], source: int = 0, *, first: int | None = None) -> Routed:
        """Route a batch of records of one source; ``first`` is its offset if it was read before."""
        first = self._next[source] if first is None else first
        self._next[source] = first + len(values)
        self._now += 200
        rows = [(first + i, None, value, self._broker_ms) for i, value in enumerate(values)]
        routed = self.routers[source].route(
            Records.of(rows), next_offset=self._next[source], now_ms=self._now, roster=self.roster
        )
        self._keep(routed)
        return routed

    def play(self, events: Iterable[Event], *, batch: int = 50, source: int = 0) -> None:
        """Send events of one source in batches."""
        for chunk in chunks([_encode(event) for event in events], batch):
            self.send(chunk, source)

    def finish(self, until_ms: int) -> None:
        """End all sources at ``until_ms``."""
        for source, router in enumerate(self.routers):
            self._keep(router.finish(next_offset=self._next[source], until_ms=until_ms, roster=self.roster))

    def _keep(self, routed: Routed) -> None:
        for place, value in routed.frames:
            self.logs[place].append(value)
        for place, value in routed.actor_frames:
            self.actor_logs[place].append(value)
        self.dead += routed.dead
        self.events += routed.events


def chunks(values: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """Slices of at most ``size``."""
    for at in range(0, len(values), size):
        yield values[at : at + size]


def audit_of(log: Iterable[bytes]) -> tuple[PartitionAudit, Outcome]:
    """A log applied from its beginning."""
    audit, outcome = PartitionAudit(AuditSettings()), Outcome()
    for offset, value in enumerate(log):
        audit.apply(value, offset, outcome)
    return audit, outcome


def said(outcome: Outcome) -> list[bytes]:
    """Everything an outcome would write to its topics, as bytes."""
    return [
        *(flag_value(flag) for flag in outcome.flags),
        *(correction_value(correction) for correction in outcome.corrections),
        *(count_value(count) for count in outcome.counts),
    ]


def doubled(events: list[Event], seed: int, share: float, *, within: int) -> list[Event]:
    """Events of which some come once or several times again, each at most ``within`` places after the one before.

    Every other copy bears the time at which it was sent again: a client that retries.
    """
    rng = random.Random(seed)
    placed: list[tuple[float, int, Event]] = [(place, 0, event) for place, event in enumerate(events)]
    for place, event in enumerate(events):
        at = float(place)
        while rng.random() < share and at + within < len(events):
            at += rng.random() * within
            ts = events[int(at)].ts if rng.random() < 0.5 else event.ts
            placed.append((at, 1, msgspec.structs.replace(event, ts=ts)))
    return [event for _, _, event in sorted(placed, key=lambda row: row[:2])]
