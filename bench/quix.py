"""Quix Streams driving the same detectors, with its own state store: the peer that is a stream framework.

What its documentation advises for speed and for correctness: bytes in and our decoder instead of its JSON, ``group_by``
for state by target, a tumbling window that collects (its documentation calls that the cheap one) and closes with the
partition's time, exactly once, its default commit interval, a compressing producer that lingers.

Made fair in its favour: it checks no ids, watches no idle partitions, publishes no counts, and what the platform's
crowd looks like stays in memory.

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

from bench.measured import Measured, tell
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
"""It is stopped then, and what it has done is its figure."""

_hash = xxhash.xxh3_64_intdigest
_decode = msgspec.json.Decoder(Event).decode
_encode_watched = msgspec.msgpack.Encoder().encode
_decode_watched = msgspec.msgpack.Decoder(TargetState).decode


def row_of(value: bytes) -> dict[str, Any]:
    """A record as what the windows collect: its target, and the numbers of a window's row."""
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


class Peer:
    """The topology: decode, group by target, collect a tick, put the closed tick before the detectors."""

    def __init__(self, servers: str, topic: str, directory: str) -> None:
        self.seen = self.late = self.closed = 0
        self.wanted = sys.maxsize
        self.began = self.began_cpu = 0.0
        self._watches = MemoryTargetStates()
        self._audit = Audit(AuditSettings(), self._watches)
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
        self._watches[name] = TargetState() if saved is None else _decode_watched(saved)
        rows = b"".join([pack_row(*row) for row in window["value"]])
        entered = audit.ticks.enter(name, rows, ClosedTick(window["start"], (-1, -1), Outcome()))
        state.set_bytes("watched", _encode_watched(self._watches.states.pop(name)))
        self.closed += 1
        return entered


class _Time(msgspec.Struct):
    ts: int


_ts = msgspec.json.Decoder(_Time).decode


def measure(servers: str, topic: str, events: int, directory: str) -> Measured:
    """From the first record read until all are in the windows of their targets, and committed."""
    peer = Peer(servers, topic, directory)
    peer.wanted = events
    peer.app.run()
    seconds, cpu = time.perf_counter() - peer.began, time.process_time() - peer.began_cpu
    print(f"windows closed: {peer.closed:,}; events too late for theirs: {peer.late:,}", file=sys.stderr)
    return Measured(peer.seen, seconds, cpu)


if __name__ == "__main__":
    tell(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
