"""What of a recorded file became no event, and whether it is too much."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

LOST_SHARE = 0.01
"""More than this lost is a wrong map or a damaged file, not an odd record here and there."""
SHOWN_BYTES = 120


@dataclass(slots=True)
class Example:
    """The first record that was refused for a reason."""

    line: int
    value: str
    """its beginning"""
    message: str


@dataclass(slots=True)
class Losses:
    """Refused records by reason, with an example each, and what was skipped on purpose."""

    records: int = 0
    events: int = 0
    late: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    """optional values that were dropped or cut, by field and reason; their events are none of the lost"""
    swallowed: int = 0
    """lines of refused rows after the first line of each: they may be rows that could not be separated"""
    examples: dict[str, Example] = field(default_factory=dict)

    def refuse(self, reason: str, line: int, original: bytes, message: str, lines: int = 1) -> None:
        """Note a refused record."""
        self.refused[reason] = self.refused.get(reason, 0) + 1
        self.swallowed += lines - 1
        if reason not in self.examples:
            self.examples[reason] = Example(line, shortened(original), message)

    def skip(self, skipped: dict[str, int]) -> None:
        """Note what was skipped, by reason."""
        for reason, count in skipped.items():
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def leave_unread(self, unread: dict[tuple[str, str], int]) -> None:
        """Note values that were dropped or cut, by field and reason."""
        for (name, why), count in unread.items():
            by_reason = self.unread.setdefault(name, {})
            by_reason[why] = by_reason.get(why, 0) + count

    def lost(self) -> int:
        """Records that should be events and are none, and events that came too late for any window."""
        return sum(self.refused.values()) + self.swallowed + self.late

    def too_many(self) -> bool:
        """Whether nothing was read, or more than LOST_SHARE of it was lost."""
        return self.events == 0 or self.lost() > LOST_SHARE * (self.records + self.swallowed)

    def most(self) -> str | None:
        """The most frequent reason, if anything was refused."""
        return max(self.refused, key=lambda reason: self.refused[reason], default=None)

    def sentence(self, name: str) -> str | None:
        """What was lost and why, with an example; None if nothing was."""
        if self.records == 0:
            return f"{name} has no records"
        reason = self.most()
        if reason is None and self.events == 0:
            skipped = ", ".join(f"{why} {count:,}" for why, count in sorted(self.skipped.items()))
            return f"no record of {name} is an event: all are skipped ({skipped})"
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
                f"such as line {example.line:,}: {example.message}: {example.value}"
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
