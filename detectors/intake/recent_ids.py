"""Ids that were met recently."""

from __future__ import annotations


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
