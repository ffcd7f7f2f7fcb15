"""What is kept of one target and metric, and where it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from detectors.state.ledger import Ledger
from detectors.state.level import Level
from detectors.verdict.crowd import Case, Explained, Step
from detectors.verdict.days import Slow
from detectors.windows.crowd import Crowd


class Agenda(NamedTuple):
    """What is still to come for a key: its open windows' starts by scale, when what is told may close, a count."""

    starts: dict[str, int]
    close_at: int | None
    unsaid: bool


class Watched(msgspec.Struct, omit_defaults=True, gc=False):
    """State of one target and metric. Encoded with msgspec; STATE_VERSION names the layout.

    Neither it nor what it holds can be part of a cycle, so the garbage collector need not walk a million of them.
    """

    ledger: Ledger = msgspec.field(default_factory=Ledger)
    levels: dict[str, Level] = {}
    habits: dict[str, dict[str, list[float]]] = {}
    """rung → feature → [EW mean, windows learned]: a crowd of an hour repeats more than one of minutes"""
    open: dict[str, Crowd] = {}
    """scale → the window that is open there"""
    cusum: float = 0.0
    cusum_at: int = -1
    trail: list[Step] = []
    asked: float = 0.0
    """how often its crowd was judged lately while it had no case, the last time at ``asked_at``"""
    asked_at: int = -1
    surging: tuple[int, int] = (-1, -1)
    """from when to when it has surged the last time, as far as it was looked at"""
    slow: Slow | None = None
    """what is wrong with its days, if anything is"""
    case: Case | None = None
    explained: Explained | None = None
    """a surge that is accounted for; never beside a case"""
    unsaid: bool = False
    """changed since the count was last published"""
    incomplete: bool = False
    """stored state of this key was damaged: its count holds only what came afterwards"""
    unjudged: int = 0
    """events of which a window was not judged because detection failed; each once"""

    def agenda(self) -> Agenda:
        """What is still to come."""
        starts = {name: crowd.start for name, crowd in self.open.items()}
        due = self.case or self.explained
        return Agenda(starts, None if due is None else due.close_at, self.unsaid)


STATE_VERSION = 8


def key_of(metric: int, target: str) -> str:
    """State key of a target's metric: the metric's index and the id."""
    return f"{metric}{target}"


class Watches(dict[str, Watched]):
    """In-memory state of all keys; remembers which have changed since ``take_changed``."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: set[str] = set()
        self._waiting: dict[tuple[int, int], set[str]] = {}

    def change(self, key: str) -> Watched:
        """The state of a key, to be changed; made if it is new."""
        watched = self.get(key)
        if watched is None:
            watched = self[key] = Watched()
        self._changed.add(key)
        return watched

    def peek(self, key: str) -> Watched | None:
        """The state of a key, to be read only; None if there is none."""
        try:
            return self[key]
        except KeyError:
            return None

    def agenda(self) -> Iterator[tuple[str, Agenda]]:
        """What is still to come, for every key, in any order."""
        for key, watched in self.items():
            yield key, watched.agenda()

    def wait(self, order: int, start: int, key: str) -> bool:
        """Let a key wait for the end of the window of this scale that begins at ``start``; whether it is the first."""
        waiting = self._waiting.get((order, start))
        if waiting is None:
            self._waiting[order, start] = {key}
            return True
        waiting.add(key)
        return False

    def waited(self, order: int, start: int) -> Iterable[str]:
        """The keys that have waited for this window, in order; they wait no longer."""
        return sorted(self._waiting.pop((order, start)))

    def take_changed(self) -> set[str]:
        """Keys changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed


class RecentIds:
    """Ids met recently: two generations of ``per_generation`` hashes, the older dropped when the newer is full.

    Exact within its memory: at least the last ``per_generation`` ids are known. Generations change only between
    blocks, at positions that are remembered, so that a replay of the log changes them at the same places.
    """

    __slots__ = ("_newer", "_older", "_size", "starts")

    def __init__(self, per_generation: int) -> None:
        self._size = per_generation
        self._newer: set[int] = set()
        self._older: set[int] = set()
        self.starts: list[int] = []

    def __len__(self) -> int:
        """Ids that are held; one that came in both generations counts twice."""
        return len(self._newer) + len(self._older)

    def turn(self, position: int, oldest_open: int) -> None:
        """A block with ids begins at ``position`` of the log; events that are open stand from ``oldest_open`` on."""
        if not self.starts:
            self.starts.append(position)
        elif len(self._newer) >= self._size:
            self.roll()
            self.starts.append(position)
            del self.starts[: self._first_needed(oldest_open)]

    def roll(self) -> None:
        """Begin a new generation."""
        self._older, self._newer = self._newer, set()

    def add(self, ident: int) -> bool:
        """Remember an id's hash; False if it was known already.

        A generation holds all ids that came in it, those too that the older one knows: what is known is then a
        function of two generations of the log, which a replay can read again, and not of everything before.
        """
        newer = self._newer
        if ident in newer:
            return False
        newer.add(ident)
        return ident not in self._older

    def add_all(self, idents: list[int]) -> set[int]:
        """Remember ids in their order (-1 is none); answers the places of those that were known already."""
        different = set(idents)
        newer = self._newer
        if (
            len(different) == len(idents)
            and -1 not in different
            and newer.isdisjoint(different)
            and self._older.isdisjoint(different)
        ):
            newer |= different
            return set()
        add = self.add
        return {place for place, ident in enumerate(idents) if ident >= 0 and not add(ident)}

    def replay_start(self, oldest_open: int) -> int | None:
        """Position from which the log must be read again to know what is known now; None if nothing is.

        One generation more than the two that are held, if events still open (from ``oldest_open`` on) met it.
        """
        return self.starts[self._first_needed(oldest_open)] if self.starts else None

    def _first_needed(self, oldest_open: int) -> int:
        generation = sum(1 for start in self.starts if start <= oldest_open) - 1
        return max(0, min(len(self.starts) - 2, generation - 1))
