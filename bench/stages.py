"""CPU time per event of each processing step, in µs, the best of several rounds.

``python -m bench.stages [EVENTS]`` prints the figures as JSON. Steps that need a broker (fetching) are not included.
"""

from __future__ import annotations

import gc
import itertools
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from aiokafka.codec import zstd_encode

from bench.events import Traffic
from detectors.records import Outcome
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Records
from streams.ingest.router import STRETCH, Router
from streams.log.blocks import block_of
from streams.log.frames import Frame
from streams.log.versions import decode
from streams.service import memory
from streams.settings.settings import Input, Settings
from streams.targets.changelog import dump_changes
from streams.targets.outputs import count_key, count_value
from streams.targets.step import PartitionAudit, audit_settings

EVENTS = 200_000
CHUNK = 4_000
"""Records per chunk, as in the worker."""
ROUNDS = 5
PARTITIONS = 8
ROSTER = {"views": 1}
BLOCK_BYTES = 500_000


class Clock:
    """Least CPU time per event of each step over all rounds, in µs."""

    def __init__(self, events: int) -> None:
        self._events = events
        self.best: dict[str, float] = {}

    def time(self, name: str, step: Callable[[], Any]) -> Any:
        """Run a step, record its time, and return its result."""
        began = time.process_time()
        result = step()
        took = (time.process_time() - began) / self._events * 1e6
        self.best[name] = min(took, self.best.get(name, took))
        return result


def measure(events: int) -> dict[str, float]:
    """Microseconds of each step."""
    memory.collect_rarely()
    traffic = Traffic(events, span_seconds=max(1, events // 20_000))
    values = list(itertools.chain.from_iterable(traffic.chunks()))
    clock = Clock(events)
    for _ in range(ROUNDS):
        gc.collect()
        _round(clock, values, traffic)
    return {f"{name}_us": round(took, 2) for name, took in clock.best.items()}


def _round(clock: Clock, values: list[bytes], traffic: Traffic) -> None:
    settings = Settings()
    source = Input(topic="views", metric="view")
    now = traffic.last_ts_ms()
    chunks = [values[at : at + CHUNK] for at in range(0, len(values), CHUNK)]
    batch_of = {name: [Records.values(chunk, now) for chunk in made] for name, made in _forms(chunks).items()}
    for name, codec in _codecs(source).items():
        _decode(clock, name, codec, batch_of[name])
    router = Router(config=source, partition=0, time=settings.time, partitions=PARTITIONS)
    batches = [
        Records(np.arange(len(chunk)) + n * CHUNK, [None] * len(chunk), chunk, np.full(len(chunk), now))
        for n, chunk in enumerate(chunks)
    ]
    routed = clock.time(
        "ingest",
        lambda: [
            frame
            for n, batch in enumerate(batches)
            for frame in router.route(batch, next_offset=(n + 1) * CHUNK, now_ms=n, roster=ROSTER).frames
        ],
    )
    joined = b"".join(value for _, value in routed)
    blocks = [joined[at : at + BLOCK_BYTES] for at in range(0, len(joined), BLOCK_BYTES)]
    clock.time("compress", lambda: [zstd_encode(block) for block in blocks])
    frames: list[Frame] = clock.time("decode_frames", lambda: [decode(value) for _, value in routed])
    hashed = clock.time("hash", lambda: [block_of(frame, 0) for frame in frames])
    audits = [PartitionAudit(audit_settings(settings, p)) for p in range(PARTITIONS)]
    outcome = Outcome()

    def collect() -> None:
        for offset, ((place, _), block) in enumerate(zip(routed, hashed, strict=True)):
            if block is not None:
                audits[place].audit.observe(block, offset, outcome)

    clock.time("collect", collect)
    margin = (settings.time.tick_seconds + settings.time.counts_seconds) * 1000

    def close() -> None:
        for audit in audits:
            audit.audit.advance(now + margin, outcome)

    clock.time("close", close)
    clock.time("counts", lambda: [(count_key(count), count_value(count)) for count in outcome.counts])
    clock.time("state", lambda: [dump_changes(audit, 1) for audit in audits])


BAD_EVERY = 100
"""One record in so many has an invalid watch time."""

MAP = {
    "ts": {"path": "at", "time": "s"},
    "actor": "viewer.id",
    "target": "media.id",
    "id": "event.id",
    "ip": "viewer.ip",
    "user_agent": "viewer.agent",
    "watch_ms": {"path": "media.watched", "unit": "s"},
    "country": "viewer.country",
}


def _codecs(source: Input) -> dict[str, EventDecoder]:
    mapped = EventDecoder(Input.model_validate({"topic": "plays", "metric": "view", "map": MAP}))
    iso = EventDecoder(
        Input.model_validate(
            {
                "topic": "plays",
                "metric": "view",
                "map": MAP | {"ts": {"path": "at", "time": "iso"}, "undo": {"path": "type", "words": {"play": False}}},
                "keep": [{"path": "type", "is": "play"}],
            }
        )
    )
    native = EventDecoder(source)
    return {"decode_and_check": native, "decode_some_bad": native, "decode_mapped": mapped, "decode_mapped_iso": iso}


def _forms(chunks: list[list[bytes]]) -> dict[str, list[list[bytes]]]:
    """The same events in other forms: with invalid optional fields, and as documents that need a map."""
    encode = msgspec.json.Encoder().encode
    events = [[msgspec.json.decode(value) for value in chunk] for chunk in chunks]
    bad = [[value.replace(b'"watch_ms":', b'"watch_ms":-') if n % BAD_EVERY == 0 else value
            for n, value in enumerate(chunk)] for chunk in chunks]  # fmt: skip  # two short lines
    mapped = [[encode(_document(event, event["ts"] / 1000)) for event in chunk] for chunk in events]
    iso = [[encode(_document(event, _iso(event["ts"]))) for event in chunk] for chunk in events]
    return {"decode_and_check": chunks, "decode_some_bad": bad, "decode_mapped": mapped, "decode_mapped_iso": iso}


def _iso(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="milliseconds")


def _document(event: dict[str, Any], at: float | str) -> dict[str, Any]:
    return {
        "type": "play",
        "at": at,
        "event": {"id": event.get("id"), "version": 3},
        "viewer": {
            "id": event["actor"],
            "ip": event["ip"],
            "agent": event["user_agent"],
            "country": event["country"],
        },
        "media": {"id": event["target"], "watched": event["watch_ms"] / 1000},
    }


def _decode(clock: Clock, name: str, codec: EventDecoder, batches: list[Records]) -> None:
    """Measure decoding of batches, in parts of STRETCH records as in the router."""
    parts = [batch.part(at, at + STRETCH) for batch in batches for at in range(0, len(batch.value), STRETCH)]
    clock.time(name, lambda: [codec.decode(part, part.clock_ms) for part in parts])


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    print(msgspec.json.encode(measure(number)).decode())
