"""A damaged record of idle accounts costs the accounts of its page, whatever restarts follow."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from pathlib import Path

import msgspec
from faust.types import TP

from detectors.accounts.state import ACCOUNT_PAGES, ACCOUNTS
from detectors.events.event import Event
from streams.actors.changelog import index_keys, page_of
from streams.actors.step import ACTIVE_BYTES
from streams.actors.work import Actors
from streams.clock import FakeClock
from streams.engine.memory_topics import MemoryTopics
from streams.engine.outlet import Output
from streams.kafka.topics import Topics
from streams.settings.settings import Settings
from tests.crowds import START_MS
from tests.streams.pipeline import Pipeline

MEMORY_BYTES = 1024 * 1024
PEOPLE = MEMORY_BYTES // ACTIVE_BYTES + 600
"""More than are kept in memory, so that the first of them are idle."""


class Role:
    """The role actors of one partition, on topics in memory."""

    def __init__(self, directory: Path) -> None:
        budget = {"memory_bytes": MEMORY_BYTES}
        self.settings = Settings.model_validate({"partitions": 1, "state": {"directory": directory}, "actors": budget})
        self.topics, self.clock = Topics.of(self.settings), FakeClock()
        self.memory = MemoryTopics(clock=self.clock)
        self.pipe = Pipeline(actor_partitions=1)
        self.position = 0

    def view(self, people: range) -> None:
        """Each of these people views something; the role takes the log of it."""
        self.pipe.send([msgspec.json.encode(Event(ts=START_MS, actor=f"a{number}", target="v1")) for number in people])
        written = len(self.memory.committed(self.topics.by_actor, 0))
        values = self.pipe.actor_logs[0][written:]
        self.memory.commit([Output(self.topics.by_actor, 0, None, value) for value in values])

    def open(self) -> None:
        """Start the task: it restores its state."""
        tp = TP(self.topics.by_actor, 0)
        self.work = Actors(self.settings, tp, target_partitions=1, state=self.memory, clock=self.clock)  # type: ignore[arg-type]  # as a reader
        self.position = asyncio.run(self.work.restore())

    def take(self) -> Counter[str]:
        """Take what is in the log, and return the failures that were contained."""
        records = [one for one in self.memory.committed(self.topics.by_actor, 0) if one.offset >= self.position]
        failures = Counter[str]()
        for record in records:
            failures.update(self.work.accounts.apply(record.value, record.offset).failures)
        failures.update(self.work.accounts.complete().failures)
        self.position = records[-1].offset + 1 if records else self.position
        return failures

    def checkpoint(self) -> None:
        """Commit and store a full checkpoint."""
        self.clock.advance(10 * self.settings.actors.state_seconds)
        delivered = self.memory.commit(self.work.cut(self.position))
        for _ in self.work.stored(delivered):
            pass

    def stored(self) -> dict[bytes, bytes]:
        """The newest records of the changelog."""
        newest = {record.key or b"": record.value for record in self.memory.committed(self.topics.actors_state, 0)}
        return {key: value for key, value in newest.items() if value is not None}


def test_the_accounts_of_a_damaged_page_are_new_after_every_restart(tmp_path: Path) -> None:
    role = Role(tmp_path / "state")
    role.open()
    role.view(range(PEOPLE))
    assert role.take() == {}
    role.checkpoint()
    role.work.close()
    damaged = next(key for key in sorted(role.stored()) if key.startswith(ACCOUNT_PAGES.prefix))
    page = page_of(damaged)
    assert page is not None
    assert index_keys(page)[0] in role.stored()
    role.memory.commit([Output(role.topics.actors_state, 0, damaged, b"\x09damaged")])
    meta = role.stored()[b"meta"]
    role.memory.commit([Output(role.topics.actors_state, 0, b"meta", meta)])
    shutil.rmtree(tmp_path / "state")
    for restart in range(3):
        role.open()
        role.view(range(PEOPLE))
        assert role.take() == {}, f"restart {restart}"
        role.work.close()
    shutil.rmtree(tmp_path / "state")
    role.open()
    role.take()
    role.checkpoint()
    role.work.close()
    assert not set(index_keys(page)) & set(role.stored()), "the page is dropped from the changelog, too"
    assert not any(page_of(key) == page for key in role.stored())
    assert any(key.startswith(ACCOUNTS.prefix + b"pages/") for key in role.stored()), "other pages are kept"
