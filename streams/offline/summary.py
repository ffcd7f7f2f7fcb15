"""The result of an offline replay in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Summary:
    """Result of an offline replay."""

    records: int = 0
    events: int = 0
    dead_letters: int = 0
    late: int = 0
    historic: int = 0
    duplicates: int = 0
    unmatched_undos: int = 0
    raw: int = 0
    valid: int = 0
    quarantined: int = 0
    invalid: dict[str, int] = field(default_factory=dict)
    targets: int = 0
    flags: int = 0
    flagged_targets: int = 0
    corrections: int = 0
    explained: int = 0
    """surges with an honest explanation; they are not counted as flags"""
    rule_bursts: int = 0
    """flags of rules that removed unusually many events of a target; they are not counted as flags"""
    refused: dict[str, int] = field(default_factory=dict)
    """dead letters by reason"""
    skipped: dict[str, int] = field(default_factory=dict)
    """records that are not events on purpose, by reason"""
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    """optional values that were left out or cut, by field and reason; their events are counted"""
    sorted: bool = False
    """whether the file had to be sorted by time"""
    most_frequent: dict[str, Any] | None = None
    """the most frequent reason of a dead letter, with an example"""
    unjudged: int = 0
    """counted events of which a window was not judged because detection failed"""
    failures: dict[str, int] = field(default_factory=dict)
    """exceptions in detection that were contained, by part"""
    rulings: dict[str, int] | None = None
    """new or changed rulings on actors by kind; None if actors are not audited"""
    reversed_rulings: dict[str, int] | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON. Without what concerns actors if they are not audited."""
        facts = asdict(self)
        return facts if self.rulings is not None else {k: v for k, v in facts.items() if not k.endswith("rulings")}
