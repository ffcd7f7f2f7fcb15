"""What is done to workers, to their broker and to their disks. Each is one disturbance of a siege."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import NewPartitions

from tests.faults.siege import WORKERS, Disturbance, Siege

SETTLE_SECONDS = 2.0
"""Traffic flows undisturbed for this long around a single fault."""
FREEZE_SECONDS = 9.0
"""Longer than the session timeout (6 s): the others take over before the frozen one wakes."""
DOWN_SECONDS = 2.0
DISK_BYTES = 6 * 1024 * 1024
"""Room of the small disk. Three stores take about a megabyte at once, and more with every checkpoint."""
TAKE_UP_SECONDS = 60.0
GROWN_BY = 2


def kills(count: int, *, shortest: float, longest: float) -> Disturbance:
    """SIGKILL to a random worker at random moments; it is started again at once, or a little later."""

    async def disturb(siege: Siege) -> None:
        for _ in range(count):
            await asyncio.sleep(siege.rng.uniform(shortest, longest))
            slot = siege.rng.randrange(WORKERS)
            siege.kill(slot)
            siege.report.faults += 1
            if siege.rng.random() < 0.5:
                await asyncio.sleep(siege.rng.uniform(0, shortest))
            siege.start(slot)

    return disturb


def in_turn(*disturbances: Disturbance) -> Disturbance:
    """One after the other."""

    async def disturb(siege: Siege) -> None:
        for each in disturbances:
            await asyncio.sleep(SETTLE_SECONDS)
            await each(siege)

    return disturb


async def freeze(siege: Siege) -> None:
    """SIGSTOP to a random worker until its partitions are others', then SIGCONT: a zombie that still wants to write."""
    worker = siege.workers[siege.rng.randrange(WORKERS)]
    siege.report.faults += 1
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(FREEZE_SECONDS)
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)


async def kill_broker(siege: Siege) -> None:
    """SIGKILL to Kafka; it starts again on the same data."""
    siege.report.faults += 1
    siege.report.kills += 1
    siege.kafka.kill()
    await asyncio.sleep(DOWN_SECONDS)
    await asyncio.to_thread(siege.kafka.start)


def outage(*, after_seconds: float, seconds: float) -> Disturbance:
    """SIGKILL to Kafka in the middle of live traffic; it starts again much later."""

    async def disturb(siege: Siege) -> None:
        await asyncio.sleep(after_seconds)
        siege.report.faults += 1
        siege.report.kills += 1
        siege.kafka.kill()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(siege.kafka.start)

    return disturb


def lost_worker(*, after_seconds: float, seconds: float) -> Disturbance:
    """SIGKILL to a random worker in live traffic; it starts again when the others have long taken its partitions."""

    async def disturb(siege: Siege) -> None:
        await asyncio.sleep(after_seconds)
        slot = siege.rng.randrange(WORKERS)
        siege.kill(slot)
        siege.report.faults += 1
        await asyncio.sleep(seconds)
        siege.start(slot)

    return disturb


def silent_broker(seconds: float) -> Disturbance:
    """Kafka stands still: connections stay open, and nothing answers. A worker that is told to stop meanwhile stops."""

    async def disturb(siege: Siege) -> None:
        siege.report.faults += 1
        slot = siege.rng.randrange(WORKERS)
        siege.kafka.pause()
        try:
            await asyncio.sleep(seconds / 2)
            await asyncio.to_thread(siege.workers[slot].stop)
        finally:
            siege.kafka.resume()
        siege.start(slot)
        await siege.ready(slot)

    return disturb


async def rolling_restart(siege: Siege) -> None:
    """SIGTERM to one worker after the other; the next once it is back and ready."""
    for slot in range(WORKERS):
        siege.report.faults += 1
        await asyncio.to_thread(siege.workers[slot].stop)
        siege.start(slot)
        await siege.ready(slot)


async def corrupt_stores(siege: Siege) -> None:
    """A worker is killed, and every RocksDB file that it left is overwritten here and there."""
    slot = siege.rng.randrange(WORKERS)
    siege.kill(slot)
    siege.report.faults += 1
    files = [path for path in siege.state_directory(slot).rglob("*") if path.is_file() and path.name != "LOCK"]
    for path in files:
        size = path.stat().st_size
        with path.open("r+b") as file:
            for _ in range(1 + size // 4096):
                file.seek(siege.rng.randrange(max(1, size)))
                file.write(siege.rng.randbytes(32))
    assert files, "the worker had nothing on disk"
    siege.start(slot)
    await siege.ready(slot)


class SmallDisk:
    """A file system of its own under a worker's state directory; root alone can make one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "truecount-faults", str(path))

    def fill(self) -> None:
        """Leave no room at all; again, if room has been made since."""
        with (self.path / "filler").open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError:
                pass

    def free(self) -> None:
        """Give the room back."""
        (self.path / "filler").unlink()

    def remove(self) -> None:
        """Unmount it, whoever still has files open there."""
        _run("umount", "-l", str(self.path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def disk_full(slot: int) -> Disturbance:
    """The disk of a worker fills up while it writes, and has room again later. The slot has a SmallDisk."""

    async def disturb(siege: Siege) -> None:
        disk = siege.disks[slot]

        def diskless() -> bool:
            disk.fill()
            return _diskless(siege, slot) > 0

        disk.fill()
        siege.report.faults += 1
        # RocksDB meets the full disk when it next needs room; the worker removes what it had there, whoever else wants
        # the room takes it, and the worker goes on without a disk.
        await siege.until(diskless, "go on without its disk", TAKE_UP_SECONDS)
        await asyncio.sleep(SETTLE_SECONDS)
        disk.free()
        siege.kill(slot)
        siege.start(slot)
        await siege.ready(slot)

    return disturb


def read_only_disk(slot: int) -> Disturbance:
    """A worker is killed and finds its directory read-only; killed again, it may write. The slot has a SmallDisk."""

    async def disturb(siege: Siege) -> None:
        siege.kill(slot)
        siege.report.faults += 1
        _run("mount", "-o", "remount,ro", str(siege.disks[slot].path))
        siege.start(slot)
        await siege.ready(slot)
        await siege.until(lambda: _diskless(siege, slot) > 0, "go on without its disk", TAKE_UP_SECONDS)
        _run("mount", "-o", "remount,rw", str(siege.disks[slot].path))
        siege.kill(slot)
        siege.start(slot)
        await siege.ready(slot)

    return disturb


def _diskless(siege: Siege, slot: int) -> float:
    return siege.shown(slot, "truecount_tasks_without_disk")


async def grow_inputs(siege: Siege) -> None:
    """Every input topic gets partitions while the workers run; the traffic uses them once somebody reads them."""
    siege.report.faults += 1
    wanted = {topic: count + GROWN_BY for topic, count in siege.input_partitions.items()}
    admin = KafkaAdminClient(bootstrap_servers=siege.kafka.address.servers)
    try:
        admin.create_partitions({topic: NewPartitions(count) for topic, count in wanted.items()})
    finally:
        admin.close()

    def taken_up() -> bool:
        series = {name for slot in range(WORKERS) for name in siege.series(slot)}
        labels = [(topic, place) for topic, count in wanted.items() for place in range(count)]
        return all(any(f'partition="{p}",role="ingest",topic="{t}"' in name for name in series) for t, p in labels)

    await siege.until(taken_up, "take up the new partitions", TAKE_UP_SECONDS)
    siege.input_partitions.update(wanted)
