"""Progress of a long read, on standard error: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from streams.offline.reached import Reached

QUIET_SECONDS = 1.0
"""A read that is done by then shows nothing."""
LINE_SECONDS = 10.0


class ReadProgress:
    """Shows how far a read is, if it takes longer than QUIET_SECONDS. Call it with done and total."""

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        self._what = what
        self._quiet = quiet
        self._now = self._began = time.monotonic()
        self._next = self._now + (QUIET_SECONDS if sys.stderr.isatty() else LINE_SECONDS)
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Note the progress."""
        if self._is_due():
            self._show(self._what, done, total, f"{done:,} of {total:,}")

    def _is_due(self) -> bool:
        self._now = time.monotonic()
        return not self._quiet and self._now >= self._next

    def _show(self, what: str, done: float, total: float, text: str) -> None:
        if not sys.stderr.isatty():
            self._next = self._now + LINE_SECONDS
            print(f"truecount: {what}: {text}", file=sys.stderr, flush=True)
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=done, total=total, description=what, text=text)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            *self._more(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self._what, total=None, text="")

    def _more(self) -> list[Any]:
        from rich.progress import TimeRemainingColumn

        return [TimeRemainingColumn()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class ReplayProgress(ReadProgress):
    """Shows how far a replay is, its events per second, and the remaining time. Call it with what it has reached."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__("", quiet=quiet)

    def reached(self, reached: Reached) -> None:
        """Note the progress."""
        due = self._is_due()
        if reached.doing != self._what:
            self._what, self._began = reached.doing, self._now
        if due:
            self._show(reached.doing, reached.share, 1, text_of(reached, self._now - self._began))

    def _more(self) -> list[Any]:
        return []


def text_of(reached: Reached, seconds: float) -> str:
    """Progress after ``seconds`` of this part of a replay. The remaining time is estimated from its share.

    >>> from streams.offline.reached import Reached
    >>> text_of(Reached("auditing", 300_000, 0.25), 30)
    '25 %, 300,000 events, 10,000 events/s, 1 min 30 s left'
    """
    rate = reached.events / seconds if seconds > 0 else 0.0
    text = f"{reached.share:.0%}".replace("%", " %") + f", {reached.events:,} events, {rate:,.0f} events/s"
    return text + (f", {_duration(seconds / reached.share - seconds)} left" if 0 < reached.share < 1 else "")


def _duration(seconds: float) -> str:
    """A duration in its two largest units.

    >>> _duration(7.6), _duration(119), _duration(7300)
    ('8 s', '1 min 59 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
