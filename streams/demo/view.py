"""Output of the demo: a live view on a terminal, otherwise plain lines."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

Counts = dict[bytes, dict[str, Any]]
Flags = dict[str, dict[str, Any]]

PLAIN_EVERY_SECONDS = 5.0
LINES_SHOWN = 14


class View(Protocol):
    """Shows messages and numbers of the demo."""

    def show(self, text: str) -> None:
        """Show a message permanently."""
        ...

    def update(self, sent: int, total: int, counted: int, counts: Counts, flags: Flags) -> None:
        """Show the current numbers."""
        ...

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainView:
    """Prints messages, and the numbers every few seconds."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._next = 0.0

    def show(self, text: str) -> None:
        """See View."""
        if not self._quiet:
            print(text, flush=True)

    def update(self, sent: int, total: int, counted: int, counts: Counts, flags: Flags) -> None:
        """See View."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PLAIN_EVERY_SECONDS
            self.show(f"sent {sent:,} of {total:,}, counted {counted:,}, {len(flags)} flags")

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class LiveView:
    """Shows a table of rates and counts, the latest flags, and a progress bar."""

    def __init__(self) -> None:
        self._console = Console()
        self._lines: deque[str] = deque(maxlen=LINES_SHOWN)
        self._bar = Progress(
            TextColumn("sending a day"), BarColumn(bar_width=None), TaskProgressColumn(), TimeElapsedColumn()
        )
        self._task = self._bar.add_task("events", total=1)
        self._live = Live(console=self._console, refresh_per_second=8)
        self._shown = False
        self._began = time.monotonic()
        self._before = (self._began, 0, 0)
        self._rates = (0.0, 0.0)

    def show(self, text: str) -> None:
        """See View."""
        if self._shown:
            self._lines.extend(text.split("\n"))
        else:
            self._console.print(text, markup=False, highlight=False)

    def update(self, sent: int, total: int, counted: int, counts: Counts, flags: Flags) -> None:
        """See View."""
        self._bar.update(self._task, total=total, completed=sent)
        now = time.monotonic()
        then, sent_then, counted_then = self._before
        if now - then >= 1.0:
            self._rates = (sent - sent_then) / (now - then), (counted - counted_then) / (now - then)
            self._before = (now, sent, counted)
        messages = Text("\n".join(self._lines), overflow="fold")
        self._live.update(Group(self._numbers(sent, counted, counts, flags), Panel(messages, title="flags"), self._bar))

    def _numbers(self, sent: int, counted: int, counts: Counts, flags: Flags) -> Table:
        rows = counts.values()
        invalid = sum(sum(row["invalid"].values()) for row in rows)
        table = Table(expand=True)
        for name in ("sent", "sent/s", "counted", "counted/s", "valid", "quarantined", "invalid", "targets", "flags"):
            table.add_column(name, justify="right")
        values = (
            sent,
            round(self._rates[0]),
            counted,
            round(self._rates[1]),
            sum(row["valid"] for row in rows),
            sum(row["quarantined"] for row in rows),
            invalid,
            len(counts),
            len(flags),
        )
        table.add_row(*(f"{value:,}" for value in values))
        return table

    def __enter__(self) -> LiveView:
        self._shown = True
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._shown = False
