"""Cost of the accounts of a partition by the number stored: ``python -m bench.accounts [--stored 10000000]``.

A fixed set of accounts is active. The others were seen before and are idle. It prints µs of CPU time per event, the
memory, and the bytes of an account, for 100,000 stored accounts and for ``--stored``. Then it measures events of random
ids, of which each is a new account. Exits with 1 if the cost per event grows by more than 1.3, or an account takes more
than 300 bytes.

``--returning`` measures instead what an event costs if nearly each is of an idle account: pages in a real store on
disk, blocks as large as a worker's, and a checkpoint every minute of event time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from detectors.accounts.accounts import Accounts
from detectors.accounts.block import ActorBlock
from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.pages import PagesInMemory, pieces_of
from detectors.accounts.settings import AccountSettings
from detectors.accounts.state import ACCOUNT_PAGES
from streams.actors.pages import StoredPages, piece_key
from streams.state.parts import dump_or_delete
from streams.state.store import Store

START_MS = 1_700_006_400_000
BLOCK_EVENTS = 2_000
ACTIVE = 30_000
TARGETS = 5_000
EVENTS_S = 200
"""Events per second of event time, so that each active account acts twice in five minutes."""
BLOCKS = 300
RETURNING_STORED, RETURNING_ACTIVE = 1_000_000, 67_108
"""Accounts of one of eight partitions, stored and in memory, with a budget of 256 MiB."""
RETURNING_BLOCK, RETURNING_S = 500, 2_500
"""Events of a frame and per second of event time, in one of eight partitions of a worker with 20,000 a second."""
RETURNING_EVENTS = 600_000
CHECKPOINT_SECONDS = 60
FEW = 100_000
GROWTH_MAX, BYTES_MAX = 1.3, 300.0


class Cost(NamedTuple):
    """µs of CPU time per event: of ordinary blocks (median), and of all with points of the grid and evictions."""

    block: float
    whole: float


@dataclass
class Traffic:
    """Blocks of views, likes and follows by accounts with ids of 36 characters, as UUIDs have."""

    rng: np.random.Generator
    now_ms: int = START_MS
    made: int = 0
    events_s: int = EVENTS_S

    def block(self, numbers: np.ndarray) -> ActorBlock:
        """A block of events, one for each number of an account. Event time goes on."""
        n = len(numbers)
        target = self.rng.integers(0, TARGETS, n)
        duration = 15_000 + 11 * target
        begin, self.now_ms = self.now_ms, self.now_ms + 1000 * n // self.events_s
        return ActorBlock(
            actor=hashes(numbers),
            account=np.ones(n, np.bool_),
            name=[f"{number:036x}" for number in numbers.tolist()],
            target=hashes(target),
            target_name=[f"t{number}" for number in target.tolist()],
            metric=self.rng.choice(3, n, p=(0.94, 0.05, 0.01)).astype(np.int8),
            ts=np.sort(self.rng.integers(begin, self.now_ms, n)),
            owner=target % 500,
            network=numbers % 100_003,
            created=np.full(n, START_MS - 10**10),
            watch_ms=(duration * self.rng.random(n)).astype(np.int64),
            duration_ms=duration,
        )

    def new(self, count: int) -> np.ndarray:
        """Numbers of accounts that were never seen."""
        numbers = np.arange(self.made, self.made + count)
        self.made += count
        return numbers


def hashes(numbers: np.ndarray) -> np.ndarray:
    """Hashes of numbers: a bijection of 62 bits, without the account bit."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed ^ mixed >> np.uint64(31)) >> np.uint64(2) << np.uint64(1)).astype(np.int64)


def fill(accounts: Accounts, traffic: Traffic, stored: int) -> None:
    """Let accounts act twice, so that they are kept, until so many are stored."""
    outcome = AccountsOutcome()
    while len(accounts) < stored:
        numbers = traffic.new(8 * BLOCK_EVENTS)
        for _ in range(2):
            accounts.observe(traffic.block(numbers), outcome)
        accounts.advance(traffic.now_ms, outcome)


def cost_of_active(accounts: Accounts, traffic: Traffic) -> Cost:
    """Cost of events of the active accounts, which are the first."""
    return cost(accounts, traffic, [traffic.rng.integers(0, ACTIVE, BLOCK_EVENTS) for _ in range(BLOCKS)])


def cost_of_random(accounts: Accounts, traffic: Traffic) -> Cost:
    """Cost of events of which each is of a new account."""
    return cost(accounts, traffic, [traffic.new(BLOCK_EVENTS) for _ in range(BLOCKS)])


def cost(accounts: Accounts, traffic: Traffic, chosen: list[np.ndarray]) -> Cost:
    """Cost of blocks of events of these accounts."""
    outcome, seconds = AccountsOutcome(), []
    for place, numbers in enumerate(chosen):
        block = traffic.block(numbers)
        began = time.process_time()
        accounts.observe(block, outcome)
        accounts.advance(traffic.now_ms, outcome)
        if place >= BLOCKS // 3:  # by then the active accounts have left their pages
            seconds.append(time.process_time() - began)
    return Cost(1e6 * statistics.median(seconds) / BLOCK_EVENTS, 1e6 * statistics.mean(seconds) / BLOCK_EVENTS)


def bytes_of_an_account(accounts: Accounts) -> float:
    """Bytes of the stored state for each account."""
    return sum(len(key) + len(msgspec.msgpack.encode(value)) for key, value in accounts.dump()) / len(accounts)


@dataclass
class Spent:
    """Seconds of CPU time: of the thread that observes, and of the process with the threads of the store."""

    thread: float = 0.0
    process: float = 0.0

    def add(self, thread: float, process: float) -> None:
        """Add what has passed since these readings."""
        self.thread += time.thread_time() - thread
        self.process += time.process_time() - process

    def each(self) -> str:
        """The µs of an event."""
        scale = 1e6 / RETURNING_EVENTS
        return f"{self.thread * scale:.1f} µs ({self.process * scale:.1f} with the threads of the store)"


def measure_returning() -> None:
    """Print what an event of an idle account costs, and a checkpoint for each event."""
    with tempfile.TemporaryDirectory() as directory:
        store, pages = Store(Path(directory), "bench", read_once=True), StoredPages()
        pages.use_store(store)
        settings = AccountSettings(stored_max=2 * RETURNING_STORED, active_max=RETURNING_ACTIVE)
        accounts = Accounts(settings, pages, target_hash=len, target_partition=len)
        traffic = Traffic(np.random.default_rng(1), events_s=RETURNING_S)
        while len(accounts) < RETURNING_STORED:
            fill(accounts, traffic, len(accounts) + 100_000)
            checkpoint(accounts, pages, store)
        outcome, observed, checkpoints, since = AccountsOutcome(), Spent(), Spent(), 0
        for _ in range(RETURNING_EVENTS // RETURNING_BLOCK):
            block = traffic.block(traffic.rng.integers(0, traffic.made, RETURNING_BLOCK))
            began = time.thread_time(), time.process_time()
            accounts.observe(block, outcome)
            accounts.advance(traffic.now_ms, outcome)
            observed.add(*began)
            since += RETURNING_BLOCK
            if since >= CHECKPOINT_SECONDS * RETURNING_S:
                began, since = (time.thread_time(), time.process_time()), 0
                checkpoint(accounts, pages, store)
                checkpoints.add(*began)
        memory = accounts.memory_bytes() / 1e6
        print(f"{len(accounts):>10,} stored: {observed.each()} an event,", end=" ")
        disk = sum(path.stat().st_size for path in Path(directory).iterdir()) / 1e6
        print(f"checkpoints {checkpoints.each()}; {memory:.0f} MB in memory, {disk:.0f} on disk")
        store.close()


def checkpoint(accounts: Accounts, pages: StoredPages, store: Store) -> None:
    """What a task does for a full checkpoint, without Kafka."""
    dropped = accounts.take_page_changes().dropped
    records = dump_or_delete(part for part in accounts.parts if part.kind != ACCOUNT_PAGES)
    records += [(piece_key(number), None) for page in dropped for number in pieces_of(page)]
    pages.cut()
    for _ in pages.records():
        pass
    for _ in pages.stored():
        pass
    store.write(records, born="", next_offset=1)


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stored", type=int, default=10_000_000, help="accounts stored (10 million take 4 GB)")
    parser.add_argument("--returning", action="store_true", help="events of idle accounts, with pages on disk")
    arguments = parser.parse_args()
    if arguments.returning:
        measure_returning()
        return 0
    stored = arguments.stored
    found, each = {}, 0.0
    for size in (FEW, stored):
        pages = PagesInMemory()
        settings = AccountSettings(stored_max=size + size // 2, active_max=65_536)
        accounts = Accounts(settings, pages, target_hash=len, target_partition=len)
        traffic = Traffic(np.random.default_rng(1))
        fill(accounts, traffic, size)
        found[size] = cost_of_active(accounts, traffic)
        fresh = cost_of_random(accounts, traffic)
        active, memory = found[size], accounts.memory_bytes() / 1e6
        print(f"{len(accounts):>10,} stored: {active.block:.2f} µs an event, {active.whole:.2f} with all;", end=" ")
        print(f"random ids {fresh.block:.2f}, {fresh.whole:.2f} with all; {memory:.0f} MB in memory", flush=True)
        each = bytes_of_an_account(accounts) if size == FEW else each
    growth = found[stored].whole / found[FEW].whole
    print(f"growth {growth:.2f}; an account takes {each:.0f} bytes with an id of 36 characters")
    return int(growth > GROWTH_MAX or each > BYTES_MAX)


if __name__ == "__main__":
    sys.exit(main())
