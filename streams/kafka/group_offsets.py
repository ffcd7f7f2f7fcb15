"""Commits offsets to the consumer group where no transaction does, so that tools can show its lag.

Correctness does not depend on them: the state of a task has its position.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka.structs import TopicPartition

log = structlog.get_logger()

COMMIT_SECONDS = 2.0


class GroupOffsets:
    """Offsets that are to be committed to the group of an app."""

    def __init__(self) -> None:
        self._due: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit these with the next ones."""
        self._due.update(offsets)

    def start_commit(self, app: Any) -> None:
        """Start a commit in the background, unless one is still running."""
        if self._committing is None or self._committing.done():
            self._committing = asyncio.get_running_loop().create_task(self._commit(app))

    async def finish(self, app: Any) -> None:
        """Wait for a running commit, then commit the rest."""
        if self._committing is not None:
            await self._committing
        await self._commit(app)

    async def _commit(self, app: Any) -> None:
        """Commit, but not during a rebalance: then aiokafka would leave the group and join it again, without end."""
        if app.rebalancing or not self._due:
            return
        offsets = dict(self._due)
        self._due.clear()
        try:
            await asyncio.wait_for(app.consumer.commit_offsets(offsets), COMMIT_SECONDS)
        except Exception as error:  # noqa: BLE001  # nothing depends on it, and it is tried again
            log.debug("the offsets were not committed to the group", error=repr(error))
            self._due.update(offsets | self._due)
