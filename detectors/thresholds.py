"""From where on a window is a verdict: the judge's numbers, by metric and by class of target."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from detectors.events.event import METRICS
from detectors.events.key import Key, metric_of, target_of


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What one metric of one target is judged by. Scores are -log10 p: 3 is one honest window in a thousand."""

    surge_score: float = 3.0
    """of the count beyond the target's expectation"""
    surge_score_least: float = 1.0
    """so little of a surge is enough where the crowd is as much rarer"""
    suspect_score: float = 3.0
    """of the crowd. One in a thousand on *both* counts, by evidence that does not share its data, opens a case"""
    artificial_score: float = 4.0
    """of the crowd, from which it is called artificial"""
    excess_events: int = 10
    """events beyond expectation under which there is nothing to correct; half as many, at least five, where most of the
    crowd is ``artificial`` by itself"""
    artificial_share: float = 0.3
    """part of the crowd that must be unaccounted for: a difference can be significant and still be small"""
    false_discovery_rate: float = 0.05
    """part of the alarms that may be wrong (``platform.false_discoveries``), over all windows that were tested"""

    @property
    def joint_score(self) -> float:
        """What surge and crowd must have together."""
        return self.surge_score + self.suspect_score


@dataclass(frozen=True, slots=True)
class TargetClass:
    """Targets that are judged by thresholds of their own: chosen by id, by how an id begins, or by a pattern."""

    targets: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    """searched for anywhere in the id"""
    by_metric: tuple[Thresholds, ...] = (Thresholds(),) * len(METRICS)

    def has(self, target: str) -> bool:
        """Whether a target belongs to it."""
        return (
            target in self.targets
            or (bool(self.prefixes) and target.startswith(self.prefixes))
            or (self.pattern is not None and self.pattern.search(target) is not None)
        )


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The thresholds of an audit. The first class that has a target decides, the metric's where none does."""

    by_metric: tuple[Thresholds, ...] = (Thresholds(),) * len(METRICS)
    classes: tuple[TargetClass, ...] = field(default=())

    def of(self, key: Key) -> Thresholds:
        """The thresholds of a key."""
        metric, target = metric_of(key), target_of(key)
        for some in self.classes:
            if some.has(target):
                return some.by_metric[metric]
        return self.by_metric[metric]


DEFAULTS = Thresholds()
SURGE_SCORE = DEFAULTS.surge_score
SURGE_LEAST = DEFAULTS.surge_score_least
"""-log10 p. From SURGE_LEAST on a window is judged; no threshold of a configuration goes below it."""
