"""Relations: CPU time that they add to a like or follow, and memory with many followers of one profile.

``python -m bench.relations [FOLLOWERS [BUDGET_MIB]]`` prints the figures as JSON. 16 million followers take some
minutes, and 250 MB of disk.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.measured import PartError
from detectors.audit import AuditSettings
from detectors.events.key import key_of
from detectors.intake.rules.settings import RuleSettings
from detectors.records import Outcome
from detectors.state.parts import RELATIONS
from detectors.state.relation_pages import ACCOUNT_BITS
from streams.log.frames import FRAME_VERSION, Frame, encode
from streams.service import memory
from streams.state.keyed import Budget, KeyedState
from streams.state.store import Store
from streams.targets.changelog import dump_changes
from streams.targets.step import PartitionAudit

FOLLOWERS = 2_000_000
BUDGET_MIB = 128
ALLOWED_BEYOND_MIB = 350
"""As for targets (bench/memory.py)."""
FOLLOW = 2
PROFILE = key_of(FOLLOW, "profile")
FRAME_EVENTS = 2_000
PER_SECOND = 5_000
"""Follows in a second of event time: a partition at its limit."""
CHECKPOINT_FRAMES = 40
START_MS = 1_700_000_000_000
SMALL_EVENTS, SMALL_TARGETS = 200_000, 50_000
LEAVING = 100_000


class Partition:
    """A partition with its store. Checkpoints go to the store only, and their bytes are counted."""

    def __init__(self, directory: Path, budget_bytes: int, *, relations: bool = True) -> None:
        self.states = KeyedState(Budget(budget_bytes))
        self.store = Store(directory, "bench")
        self.states.use_store(self.store)
        off = frozenset[str]() if relations else frozenset({"already_counted"})
        self.audit = PartitionAudit(AuditSettings(rules=RuleSettings(off=off)), self.states)
        self.outcome = Outcome()
        self.offset = 0
        self.bytes = 0
        """of pages, in checkpoints"""
        self.now = START_MS

    def take(self, actors: NDArray[np.int64], targets: list[str], *, undo: bool = False) -> None:
        """Audit follows in frames, with a checkpoint after every CHECKPOINT_FRAMES."""
        for begin in range(0, len(actors), FRAME_EVENTS):
            here = slice(begin, begin + FRAME_EVENTS)
            self._apply(actors[here], targets[here] if len(targets) > 1 else targets * len(actors[here]), undo=undo)
            if self.offset % CHECKPOINT_FRAMES == 0 or self.states.checkpoint_due():
                self.checkpoint()

    def _apply(self, actors: NDArray[np.int64], targets: list[str], *, undo: bool) -> None:
        count = len(actors)
        ts = np.arange(count) * 1000 // PER_SECOND
        self.now += int(ts[-1]) + 1 if count else 60_000
        frame = Frame(FRAME_VERSION, "acts/0", self.offset, self.offset + 1, self.now, idle=False, roster={"acts": 1})
        frame.target, frame.ts_from = targets, self.now
        if count:
            frame.offset, frame.metric = bytes(count), bytes([FOLLOW]) * count
            frame.ts, frame.actor = ts.astype("<i4").tobytes(), actors.astype("<i8").tobytes()
            frame.undo = b"\1" * count if undo else b""
        self.audit.apply(encode(frame), self.offset, self.outcome)
        self.offset += 1
        self.states.other_bytes = self.audit.memory_bytes()
        self.outcome.drain()

    def finish(self) -> None:
        """Close what is open."""
        self._apply(np.empty(0, np.int64), [], undo=False)
        self.checkpoint()

    def checkpoint(self) -> None:
        """As ``Targets`` does it, without Kafka."""
        records = dump_changes(self.audit, self.offset)
        for key, value in self._written(records):
            self.bytes += len(key) + len(value) if key.startswith(RELATIONS.prefix) else 0
        for _ in self.states.store_spilled():
            pass
        self.store.write(records, born="bench", next_offset=self.offset)
        self.states.stored()

    def _written(self, records: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        yield from self.states.spilled()
        yield from records

    def stored_bytes(self) -> int:
        """Bytes of all pages, before RocksDB compresses them."""
        return sum(len(key) + len(value) for key, value in self.store.scan(RELATIONS.prefix))


def measure(followers: int = FOLLOWERS, budget_mib: int = BUDGET_MIB) -> dict[str, Any]:
    """The figures. Raises PartError if a count is wrong."""
    memory.collect_rarely()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix="truecount-relations-") as scratch:
        large = _profile(Path(scratch), rng, followers, budget_mib << 20)
        large["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        allowed = budget_mib + ALLOWED_BEYOND_MIB
        large |= {"budget_mib": budget_mib, "allowed_mib": allowed, "kept": large["peak_rss_mib"] <= allowed}
        return large | _small(Path(scratch), rng)


def _profile(scratch: Path, rng: np.random.Generator, followers: int, budget_bytes: int) -> dict[str, Any]:
    partition = Partition(scratch / "profile", budget_bytes)
    leaving = np.empty(0, np.int64)
    began = time.process_time()
    for begin in range(0, followers, 50 * FRAME_EVENTS):
        actors = rng.integers(0, 1 << 62, min(50 * FRAME_EVENTS, followers - begin)) << ACCOUNT_BITS
        if begin == 0:
            leaving = actors[:LEAVING].copy()
        partition.take(actors, ["profile"])
        if begin % 1_000_000 == 0:
            _show(f"{begin + len(actors):,} followers")
    partition.finish()
    follow_us = (time.process_time() - began) / followers * 1e6
    written, began = partition.bytes, time.process_time()
    partition.take(leaving, ["profile"], undo=True)
    partition.finish()
    undo_us = (time.process_time() - began) / len(leaving) * 1e6
    state = partition.states[PROFILE]
    expected = followers - len(leaving)
    if (state.ledger.raw, state.ledger.valid + state.ledger.quarantined) != (followers, expected):
        raise PartError(f"{followers:,} followed and {len(leaving):,} left, but the ledger is {state.ledger}")
    if state.relations is None or state.relations.current != expected:
        raise PartError(f"{expected:,} relations should be left")
    return {
        "followers": followers,
        "follow_us": round(follow_us, 2),
        "unfollow_us": round(undo_us, 2),
        "bytes_per_relation": round(partition.stored_bytes() / expected, 2),
        "written_per_stored": round(written / partition.stored_bytes(), 1),
    }


def _show(what: str) -> None:
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{time.process_time():,.0f} s CPU, peak {peak_mib} MiB: {what}", file=sys.stderr, flush=True)


def _small(scratch: Path, rng: np.random.Generator) -> dict[str, Any]:
    """What relations add to a follow of one of many small targets."""
    actors = rng.integers(0, 1 << 62, SMALL_EVENTS) << ACCOUNT_BITS
    targets = [f"t{number}" for number in rng.zipf(1.3, SMALL_EVENTS) % SMALL_TARGETS]
    took = {}
    for relations in (False, True):
        partition = Partition(scratch / f"small-{relations}", 1 << 30, relations=relations)
        began = time.process_time()
        partition.take(actors, targets)
        partition.finish()
        took[relations] = (time.process_time() - began) / SMALL_EVENTS * 1e6
    return {"small_without_us": round(took[False], 2), "small_with_us": round(took[True], 2)}


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    print(msgspec.json.encode(measure(*numbers)).decode())
