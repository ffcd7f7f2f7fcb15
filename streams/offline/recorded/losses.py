"""Counts the records of a recorded file that became no event, and whether they are too many."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

LOST_SHARE = 0.01
"""A larger share of lost records means a wrong map or a damaged file."""
SHOWN_BYTES = 120


@dataclass(slots=True)
class Example:
    """The first record that was refused for a certain reason."""

    line: int
    value: str
    """beginning of the record"""
    message: str


@dataclass(slots=True)
class Losses:
    """Refused records by reason, with an example each, and records skipped on purpose."""

    records: int = 0
    events: int = 0
    late: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    """optional values that were left out or cut, by field and reason; their events are not lost"""
    swallowed: int = 0
    """lines of refused rows after the first line: they may be rows that could not be separated"""
    examples: dict[str, Example] = field(default_factory=dict)

    def refuse(self, reason: str, line: int, original: bytes, message: str, lines: int = 1) -> None:
        """Count a refused record."""
        self.refused[reason] = self.refused.get(reason, 0) + 1
        self.swallowed += lines - 1
        if reason not in self.examples:
            self.examples[reason] = Example(line, shortened(original), message)

    def skip(self, skipped: dict[str, int]) -> None:
        """Count skipped records by reason."""
        for reason, count in skipped.items():
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def leave_unread(self, unread: dict[tuple[str, str], int]) -> None:
        """Count values that were left out or cut, by field and reason."""
        for (name, why), count in unread.items():
            by_reason = self.unread.setdefault(name, {})
            by_reason[why] = by_reason.get(why, 0) + count

    def lost(self) -> int:
        """Number of refused records, and of events that were too late for any window."""
        return sum(self.refused.values()) + self.swallowed + self.late

    def too_many(self) -> bool:
        """Whether there are no events, or more than LOST_SHARE of the records were lost."""
        return self.events == 0 or self.lost() > LOST_SHARE * (self.records + self.swallowed)

    def most(self) -> str | None:
        """The most frequent reason for a refusal; None if nothing was refused."""
        return max(self.refused, key=lambda reason: self.refused[reason], default=None)

    def sentence(self, name: str) -> str | None:
        """A sentence on what was lost and why, with an example; None if nothing was lost."""
        if self.records == 0:
            return f"{name} has no records"
        reason = self.most()
        if reason is None and self.events == 0:
            skipped = ", ".join(f"{why} {count:,}" for why, count in sorted(self.skipped.items()))
            return f"no record of {name} is an event: all are skipped ({skipped}); check keep and skip of the map"
        if self.lost() == 0:
            return None
        total = self.records + self.swallowed
        text = f"{self.lost():,} of {total:,} records of {name} are lost ({_percent(self.lost() / total)})"
        if self.late:
            text += f"; {self.late:,} events are late"
        if reason is not None:
            example = self.examples[reason]
            text += (
                f"; the most frequent reason is {reason} ({self.refused[reason]:,}), "
                f"for example line {example.line:,}: {example.message}: {example.value}"
            )
        return text

    def as_dict(self) -> dict[str, Any] | None:
        """For JSON: the most frequent reason with its example; None if nothing was refused."""
        reason = self.most()
        if reason is None:
            return None
        return {"reason": reason, "count": self.refused[reason], **asdict(self.examples[reason])}


def shortened(value: bytes) -> str:
    r"""The beginning of bytes on one line.

    >>> shortened(b"a\nb\xff")
    'a\\nb\\xff'
    """
    text = value[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown + ("…" if len(value) > SHOWN_BYTES else "")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= LOST_SHARE else f"{share:.2%}"
