"""Offsets that a consumer group shows to those who watch its lag, where no transaction commits them.

Nothing relies on them: the state of a task has its position.
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
    """Offsets that are due to be committed to the group of an app."""

    def __init__(self) -> None:
        self._due: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit these with the next ones."""
        self._due.update(offsets)

    def start_commit(self, app: Any) -> None:
        """Commit beside the caller, unless a commit still runs."""
        if self._committing is None or self._committing.done():
            self._committing = asyncio.get_running_loop().create_task(self._commit(app))

    async def finish(self, app: Any) -> None:
        """Wait for a commit that still runs, then commit the rest."""
        if self._committing is not None:
            await self._committing
        await self._commit(app)

    async def _commit(self, app: Any) -> None:
        """Never while partitions move: such a commit makes aiokafka leave the group and join again, without end."""
        if app.rebalancing or not self._due:
            return
        offsets = dict(self._due)
        self._due.clear()
        try:
            await asyncio.wait_for(app.consumer.commit_offsets(offsets), COMMIT_SECONDS)
        except Exception as error:  # noqa: BLE001  # nothing relies on it, and it comes again
            log.debug("the offsets were not committed to the group", error=repr(error))
            self._due.update(offsets | self._due)
