"""Thresholds of the judge, by metric and by class of target."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from detectors.events.event import METRICS
from detectors.events.key import Key, metric_of, target_of


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of one metric of one target. Scores are -log10 p: 3 is one honest window in a thousand."""

    surge_score: float = 3.0
    """least score of the surge, the count beyond the target's expectation"""
    surge_score_least: float = 1.0
    """least score of the surge if the crowd's score makes up for it (``joint_score``)"""
    suspect_score: float = 3.0
    """least score of the crowd. Surge and crowd, judged on different data, must both be this rare to open a case"""
    artificial_score: float = 4.0
    """score of the crowd from which the verdict is *artificial*"""
    excess_events: int = 10
    """least number of events beyond expectation; half of it, at least five, if most of the crowd is ``artificial`` by
    itself"""
    artificial_share: float = 0.3
    """least share of the crowd that is unaccounted for: a significant difference can still be small"""
    false_discovery_rate: float = 0.05
    """share of the alarms that may be wrong (``platform.false_discoveries``), over all tested windows"""

    @property
    def joint_score(self) -> float:
        """Least sum of the scores of surge and crowd."""
        return self.surge_score + self.suspect_score


@dataclass(frozen=True, slots=True)
class TargetClass:
    """Targets with thresholds of their own, chosen by id, by the prefix of an id, or by a pattern."""

    targets: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    """searched for anywhere in the id"""
    by_metric: tuple[Thresholds, ...] = (Thresholds(),) * len(METRICS)

    def has(self, target: str) -> bool:
        """Whether a target belongs to this class."""
        return (
            target in self.targets
            or (bool(self.prefixes) and target.startswith(self.prefixes))
            or (self.pattern is not None and self.pattern.search(target) is not None)
        )


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The thresholds of an audit: of the first class that has the target, otherwise of the metric."""

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
"""-log10 p. From SURGE_LEAST on a window is judged; no configured threshold is lower."""
