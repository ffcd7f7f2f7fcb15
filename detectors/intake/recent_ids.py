"""Recent ids, for duplicate detection."""

from __future__ import annotations


class RecentIds:
    """Two generations of ``per_generation`` hashes of ids. The older is dropped when the newer is full.

    Exact within its memory: at least the last ``per_generation`` ids are known. Generations change only between
    blocks, at recorded positions, so that a replay of the log changes them at the same positions.
    """

    __slots__ = ("_newer", "_older", "_size", "starts")

    def __init__(self, per_generation: int) -> None:
        self._size = per_generation
        self._newer: set[int] = set()
        self._older: set[int] = set()
        self.starts: list[int] = []

    def __len__(self) -> int:
        """Number of stored ids; one in both generations counts twice."""
        return len(self._newer) + len(self._older)

    def turn(self, position: int, oldest_open: int) -> None:
        """Prepare for a block with ids at ``position`` of the log. Open ticks have events from ``oldest_open`` on."""
        if not self.starts:
            self.starts.append(position)
        elif len(self._newer) >= self._size:
            self.roll()
            self.starts.append(position)
            del self.starts[: self._first_needed(oldest_open)]

    def roll(self) -> None:
        """Start a new generation."""
        self._older, self._newer = self._newer, set()

    def add(self, ident: int) -> bool:
        """Add an id's hash. Returns False if it was known already.

        A generation contains all ids of its time, even those that the older one has. So the known ids depend only on
        two generations of the log, which a replay can read again.
        """
        newer = self._newer
        if ident in newer:
            return False
        newer.add(ident)
        return ident not in self._older

    def add_all(self, idents: list[int]) -> set[int]:
        """Add ids in their order (-1 is none). Returns the places of those that were known already."""
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
        """Position of the log from which a replay restores the known ids; None if there are none.

        It includes a third generation if events of open ticks (from ``oldest_open`` on) were compared with it.
        """
        return self.starts[self._first_needed(oldest_open)] if self.starts else None

    def _first_needed(self, oldest_open: int) -> int:
        generation = sum(1 for start in self.starts if start <= oldest_open) - 1
        return max(0, min(len(self.starts) - 2, generation - 1))
