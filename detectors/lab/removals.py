"""Removed events of a run: what corrections took out of the counts and did not give back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from detectors.records import Correction
from detectors.state.ledger import QUARANTINED, VALID


class TargetMetric(NamedTuple):
    """One metric of one target, by their names."""

    target: str
    metric: str


@dataclass(slots=True)
class Removal:
    """``count`` events of a key with start ≤ ts < end that were removed from the count.

    ``right`` is the number of artificial events among them, if the method knows it.
    """

    key: TargetMetric
    start_ms: int
    end_ms: int
    count: int
    flag: str = ""
    right: int | None = None
    reason: str = ""
    """the rule that made them invalid, if any"""


def quarantined(corrections: Iterable[Correction]) -> list[Removal]:
    """Every movement into quarantine, in the order of the corrections."""
    return [_removal(c) for c in corrections if (c.from_, c.to) == (VALID, QUARANTINED)]


def remaining(corrections: Iterable[Correction]) -> list[Removal]:
    """The movements into quarantine less what was given back, in the order of the corrections.

    A correction that gives back says of which flag and span, but not of which of its movements the events are. They are
    taken of all earlier movements within the span, in proportion to their size. If none of a flag's events became
    invalid, all earlier ones are given back: events that were undone in quarantine are missing in the correction.
    """
    corrections = list(corrections)
    condemned = {c.flag_id for c in corrections if c.from_ == QUARANTINED and c.to != VALID}
    removals: list[Removal] = []
    of_flag: dict[str, list[Removal]] = defaultdict(list)
    for correction in corrections:
        earlier = of_flag[correction.flag_id]
        if (correction.from_, correction.to) == (VALID, QUARANTINED):
            earlier.append(_removal(correction))
            removals.append(earlier[-1])
        elif correction.to == VALID and correction.flag_id in condemned:
            window = correction.window
            inside = [r for r in earlier if window["start"] <= r.start_ms and r.end_ms <= window["end"]]
            _give_back(inside or earlier, correction.count)
        elif correction.to == VALID:
            for removal in earlier:
                removal.count = 0
    return [removal for removal in removals if removal.count]


def _removal(correction: Correction) -> Removal:
    key = TargetMetric(correction.target, correction.metric)
    window = correction.window
    return Removal(key, window["start"], window["end"], correction.count, correction.flag_id)


def _give_back(removals: list[Removal], count: int) -> None:
    """Reduce the removals by ``count`` events in all: the largest remainders are rounded up, the earliest first."""
    total = sum(removal.count for removal in removals)
    count = min(count, total)
    if not count:
        return
    shares = [divmod(count * removal.count, total) for removal in removals]
    left = count - sum(whole for whole, _ in shares)
    up = sorted(range(len(shares)), key=lambda place: (-shares[place][1], place))[:left]
    for place, (removal, (whole, _)) in enumerate(zip(removals, shares, strict=True)):
        removal.count -= whole + (place in up)
