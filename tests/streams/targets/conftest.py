"""Tasks of the role targets that are closed at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.streams.targets.tasks import Task


@pytest.fixture
def made() -> Iterator[list[Task]]:
    """Tasks that are closed at the end: what they show would be counted by others."""
    tasks: list[Task] = []
    yield tasks
    for task in tasks:
        task.stop()
