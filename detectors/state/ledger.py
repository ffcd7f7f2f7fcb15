"""The ledger of a count: raw = valid + invalid (by reason) + quarantined, always, exactly."""

from __future__ import annotations

import msgspec

VALID = "valid"
QUARANTINED = "quarantined"
DUPLICATE_ID = "duplicate_id"
UNDONE = "undone"


class Ledger(msgspec.Struct, omit_defaults=True, gc=False):
    """The parts of one target's count of one metric. Only ``move`` and ``undo`` change what has been accepted.

    >>> ledger = Ledger()
    >>> ledger.accept(10)
    >>> ledger.move("valid", "quarantined", 4)
    4
    >>> ledger.raw, ledger.valid, ledger.quarantined
    (10, 6, 4)
    """

    valid: int = 0
    quarantined: int = 0
    invalid: dict[str, int] = {}
    revision: int = 0

    @property
    def raw(self) -> int:
        """All events: the sum of the parts, so the equation is always true."""
        return self.valid + self.quarantined + sum(self.invalid.values())

    def accept(self, count: int) -> None:
        """Enter ``count`` new events as valid."""
        self.valid += count

    def reject(self, reason: str, count: int) -> None:
        """Enter ``count`` new events as invalid for ``reason``."""
        self.invalid[reason] = self.invalid.get(reason, 0) + count

    def move(self, source: str, to: str, count: int) -> int:
        """Move up to ``count`` events from one part to another. Returns how many could be moved.

        A part is ``valid``, ``quarantined`` or a reason of invalidity. No part falls below zero.
        """
        count = min(count, self._part(source))
        if count <= 0:
            return 0
        self._shift(source, -count)
        self._shift(to, count)
        return count

    def _part(self, name: str) -> int:
        if name == VALID:
            return self.valid
        if name == QUARANTINED:
            return self.quarantined
        return self.invalid.get(name, 0)

    def undo(self, count: int, reason: str = "") -> int:
        """Undo ``count`` events, valid ones first. Returns how many undos found no event.

        Undos that a rule catches for ``reason`` take back only events that are invalid for this reason: a robot that
        undoes its like must not remove the like of an honest user.
        """
        if reason:
            return count - self.move(reason, UNDONE, count)
        left = count - self.move(VALID, UNDONE, count)
        return left - self.move(QUARANTINED, UNDONE, left)

    def _shift(self, name: str, count: int) -> None:
        if name == VALID:
            self.valid += count
        elif name == QUARANTINED:
            self.quarantined += count
        else:
            left = self.invalid.get(name, 0) + count
            if left:
                self.invalid[name] = left
            else:
                self.invalid.pop(name, None)
