"""Positions that are committed to the group only so that tools can show its lag: newest wins, failures are repeated."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka.structs import TopicPartition

from streams.kafka.group_offsets import GroupOffsets

ONE, OTHER = TopicPartition("log", 0), TopicPartition("log", 1)


class App:
    """Stands for Faust's app."""

    def __init__(self) -> None:
        self.rebalancing = False
        self.committed: list[dict[TopicPartition, int]] = []
        self.failing = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.consumer = SimpleNamespace(commit_offsets=self._commit)

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        await self.gate.wait()
        if self.failing:
            raise RuntimeError("not now")
        self.committed.append(offsets)


def commit(offsets: GroupOffsets, app: Any) -> None:
    """Start a commit, as the worker does now and then."""
    offsets.start_commit(app)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_was_noted_is_committed_once() -> None:
    async def course() -> None:
        app, offsets = App(), GroupOffsets()
        commit(offsets, app)
        await settled()
        assert app.committed == []
        offsets.note({ONE: 3, OTHER: 1})
        offsets.note({ONE: 5})
        for _ in range(2):
            commit(offsets, app)
            await settled()
        assert app.committed == [{ONE: 5, OTHER: 1}]

    asyncio.run(course())


def test_one_commit_runs_at_a_time_and_the_end_waits_for_it_and_commits_the_rest() -> None:
    async def course() -> None:
        app, offsets = App(), GroupOffsets()
        app.gate.clear()
        offsets.note({ONE: 1})
        commit(offsets, app)
        await settled()
        offsets.note({ONE: 2})
        commit(offsets, app)
        await settled()
        app.gate.set()
        await offsets.finish(app)
        assert app.committed == [{ONE: 1}, {ONE: 2}]

    asyncio.run(course())


def test_a_commit_that_failed_is_tried_again_with_what_is_newer() -> None:
    async def course() -> None:
        app, offsets = App(), GroupOffsets()
        app.failing = True
        app.gate.clear()
        offsets.note({ONE: 1, OTHER: 1})
        commit(offsets, app)
        await settled()
        offsets.note({ONE: 2})
        app.gate.set()
        await settled()
        app.failing = False
        await offsets.finish(app)
        assert app.committed == [{ONE: 2, OTHER: 1}]

    asyncio.run(course())


def test_nothing_is_committed_during_a_rebalance_and_all_of_it_after() -> None:
    async def course() -> None:
        app, offsets = App(), GroupOffsets()
        app.rebalancing = True
        offsets.note({ONE: 1})
        commit(offsets, app)
        await settled()
        assert app.committed == []
        app.rebalancing = False
        await offsets.finish(app)
        assert app.committed == [{ONE: 1}]

    asyncio.run(course())
