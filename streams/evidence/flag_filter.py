"""Selects flags by time, target, metric, verdict, status and score."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from streams.grammar.times import time_of

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_RELATIVE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])").fullmatch


def moment(text: str, now_ms: int) -> int:
    """Epoch ms of a time: ISO 8601 (UTC where no zone is given), or a span before now. Raises ValueError.

    >>> moment("2h", 7_200_000), moment("2026-01-05", 0), moment("1970-01-01T01:00:00+01:00", 0)
    (0, 1767571200000, 0)
    """
    found = _RELATIVE(text.strip())
    if found is not None:
        return now_ms - round(float(found[1]) * SECONDS[found[2]] * 1000)
    return time_of("iso")(text)


@dataclass(frozen=True, slots=True)
class FlagFilter:
    """What a flag must be. A condition that is not given is met by every flag."""

    since_ms: int | None = None
    """a flag that ended before is left out"""
    until_ms: int | None = None
    """a flag that began then or later is left out"""
    targets: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()
    verdicts: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    score_min: int = 0

    def keeps(self, flag: dict[str, Any]) -> bool:
        """Whether a flag meets all conditions."""
        return (
            (self.since_ms is None or flag["until"] >= self.since_ms)
            and (self.until_ms is None or flag["onset"] < self.until_ms)
            and self.about_target(flag)
            and (not self.metrics or flag["metric"] in self.metrics)
            and (not self.verdicts or flag["verdict"] in self.verdicts)
            and (not self.statuses or flag["status"] in self.statuses)
            and flag["score"] >= self.score_min
        )

    def about_target(self, flag: dict[str, Any]) -> bool:
        """Whether a flag is about one of the targets."""
        return not self.targets or flag["target"] in self.targets
