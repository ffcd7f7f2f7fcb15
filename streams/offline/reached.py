"""How far a replay is, for its progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from streams.offline.recorded.file import RecordedFile


class Reached(NamedTuple):
    """What a replay does, the events so far, and the share of it that is done."""

    doing: str
    events: int
    """records, while a file is sorted or its times are read"""
    share: float


@dataclass(slots=True)
class SortedProgress:
    """Progress of a file that is sorted first: it is read completely before its first record is used."""

    recorded: RecordedFile
    doing: str
    progress: Callable[[Reached], None]
    records: int = 0

    def sorting(self, records: int) -> None:
        """This many records have been read."""
        self.records = records
        self.progress(Reached("sorting by time", records, self.recorded.share_read()))

    def using(self, records: int, events: int) -> None:
        """This many records, and the events of them, have been used."""
        self.progress(Reached(self.doing, events, records / max(self.records, records, 1)))
