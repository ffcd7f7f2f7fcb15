"""Progress of a long read, on standard error: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

QUIET_SECONDS = 1.0
"""A read that is done by then shows nothing."""
LINE_SECONDS = 10.0


class ReadProgress:
    """Shows how far a read is, if it takes longer than QUIET_SECONDS. Call it with done and total."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = time.monotonic() + (QUIET_SECONDS if sys.stderr.isatty() else LINE_SECONDS)
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Note the progress."""
        now = time.monotonic()
        if now < self._next:
            return
        if not sys.stderr.isatty():
            self._next = now + LINE_SECONDS
            print(f"truecount: {self._what}: {done:,} of {total:,}", file=sys.stderr, flush=True)
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=done, total=total)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self._what, total=None)

    def __enter__(self) -> ReadProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
