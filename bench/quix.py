"""A Quix Streams application with the same detectors and Quix's own state store.

It follows Quix's documentation for speed and correctness: bytes as input with truecount's decoder instead of JSON,
``group_by`` for state per target, a tumbling window with ``collect`` (the cheap kind by its documentation) that closes
by the partition's time, exactly once, the default commit interval, and a producer with compression and linger.

Where the comparison is not exact, it favours Quix: no duplicate ids are checked, idle partitions are not handled, no
counts are published, and the platform model is not persisted.

``python -m bench.quix SERVERS TOPIC EVENTS DIRECTORY``, in an environment made of bench/requirements-quix.lock.
"""

from __future__ import annotations

import sys
import time
import uuid
from typing import Any

import msgspec
import xxhash
from quixstreams import Application

from bench.measured import Measured, print_result
from bench.names import bucket
from detectors.audit import Audit, AuditSettings
from detectors.events.buckets import MIX_BUCKETS, NETWORK_BUCKETS
from detectors.events.event import Event
from detectors.events.key import VIEW, key_of
from detectors.records import Outcome
from detectors.state.target_state import TargetState
from detectors.state.target_states import MemoryTargetStates
from detectors.tick_entry import ClosedTick
from detectors.windows.crowd import HASH_SPACE, pack_row

TICK_MS = 10_000
LATENESS_MS = 10_000
"""Both as in the worker's defaults."""
DEADLINE_SECONDS = 240.0
"""Time after which the run is stopped, and measured up to there."""

_hash = xxhash.xxh3_64_intdigest
_decode = msgspec.json.Decoder(Event).decode
_encode_state = msgspec.msgpack.Encoder().encode
_decode_state = msgspec.msgpack.Decoder(TargetState).decode


def row_of(value: bytes) -> dict[str, Any]:
    """The target of a record, and the row of numbers that the window collects."""
    event = _decode(value)
    return {
        "target": event.target,
        "row": [
            _hash((event.actor or "").encode()) % HASH_SPACE,
            bucket(event.ip and event.ip.rpartition(".")[0], NETWORK_BUCKETS),
            bucket(event.user_agent, MIX_BUCKETS),
            bucket(event.referrer, MIX_BUCKETS),
            bucket(event.country, MIX_BUCKETS),
            -1,
            -1,
        ],
    }


class QuixPipeline:
    """The application: decode, group by target, collect ticks, audit closed ticks."""

    def __init__(self, servers: str, topic: str, directory: str) -> None:
        self.seen = self.late = self.closed = 0
        self.wanted = sys.maxsize
        self.began = self.began_cpu = 0.0
        self._states = MemoryTargetStates()
        self._audit = Audit(AuditSettings(), self._states)
        self.app = Application(
            broker_address=servers,
            consumer_group=f"bench-quix-{uuid.uuid4().hex[:8]}",
            auto_offset_reset="earliest",
            processing_guarantee="exactly-once",
            state_dir=directory,
            loglevel="WARNING",
            producer_extra_config={"compression.type": "lz4", "linger.ms": 50},
        )
        views = self.app.topic(
            topic,
            value_deserializer="bytes",
            key_deserializer="bytes",
            timestamp_extractor=lambda value, *_: self._ts(value),
        )
        stream = self.app.dataframe(views).apply(row_of)
        stream = stream.group_by(
            lambda value: value["target"], name="target", key_serializer="str", key_deserializer="str"
        )
        stream = stream.apply(self._count)
        stream = stream.tumbling_window(TICK_MS, grace_ms=LATENESS_MS, on_late=self._on_late).collect()
        stream = stream.final(closing_strategy="partition")
        stream.apply(self._close, stateful=True, metadata=True)

    def _ts(self, value: bytes) -> int:
        if not self.began:
            self.began, self.began_cpu = time.perf_counter(), time.process_time()
        return int(_ts(value).ts)

    def _count(self, value: dict[str, Any]) -> list[int]:
        self.seen += 1
        if self.seen >= self.wanted or time.perf_counter() - self.began > DEADLINE_SECONDS:
            self.app.stop()
        row: list[int] = value["row"]
        return row

    def _on_late(self, *_: Any) -> bool:
        self.late += 1
        return False

    def _close(self, window: dict[str, Any], key: str, _timestamp: int, _headers: Any, state: Any) -> int:
        audit, name = self._audit, key_of(VIEW, key)
        saved = state.get_bytes("watched")
        self._states[name] = TargetState() if saved is None else _decode_state(saved)
        rows = b"".join([pack_row(*row) for row in window["value"]])
        entered = audit.ticks.enter(name, rows, ClosedTick(window["start"], (-1, -1), Outcome()))
        state.set_bytes("watched", _encode_state(self._states.states.pop(name)))
        self.closed += 1
        return entered


class _Time(msgspec.Struct):
    ts: int


_ts = msgspec.json.Decoder(_Time).decode


def measure(servers: str, topic: str, events: int, directory: str) -> Measured:
    """Measure from the first record read until all events are in their windows and committed."""
    pipeline = QuixPipeline(servers, topic, directory)
    pipeline.wanted = events
    pipeline.app.run()
    seconds, cpu = time.perf_counter() - pipeline.began, time.process_time() - pipeline.began_cpu
    print(f"closed windows: {pipeline.closed:,}; late events: {pipeline.late:,}", file=sys.stderr)
    return Measured(pipeline.seen, seconds, cpu)


if __name__ == "__main__":
    print_result(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
