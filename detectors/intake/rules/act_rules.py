"""The rules that compare the acts of one actor on one target, for each metric of a partition."""

from __future__ import annotations

from collections.abc import Iterator

from detectors.events.event import METRICS
from detectors.events.key import Key, key_of, metric_of, target_of
from detectors.failures import UNCONTAINED
from detectors.intake.rules.daily_rate import Days, pairs_of_few
from detectors.intake.rules.repeats import repeats_of
from detectors.intake.rules.settings import RuleSettings
from detectors.intake.ticks import Tick
from detectors.windows.crowd import Crowd


class ActRules:
    """See the module. ``by_metric`` has None for a metric whose acts no rule compares."""

    def __init__(self, rules: RuleSettings) -> None:
        self.by_metric = [repeats_of(rules, metric) for metric in range(len(METRICS))]
        self.judged = [repeats is not None for repeats in self.by_metric]
        """by metric, whether there is such a rule"""

    def sift(self, tick: Tick, start: int, end: int, *, replayed: bool = False) -> None:
        """Remove the events that the rules catch from a closing tick. ``replayed``: this was done before a restore.

        If a rule fails, all events of its metric are counted without it.
        """
        for metric in tick.metrics():
            repeats = self.by_metric[metric]
            if repeats is not None:
                try:
                    caught = tick.sift(metric, repeats, start, end, replayed=replayed)
                except UNCONTAINED:
                    raise
                except Exception as error:  # noqa: BLE001  # nothing was removed: all of it is counted
                    tick.failures.append(error)
                    self.broken_off(metric)
                    continue
                for (target, reason), count in caught.items():
                    key = key_of(metric, target), reason
                    tick.rejected[key] = tick.rejected.get(key, 0) + count

    def follow(self, key: Key, crowd: Crowd, most: int, end: int) -> None:
        """Start the daily count of the actors who acted often in a key's five minutes, which end at ``end``.

        ``most`` are the most events of one actor: if they are few, there is nothing to count.
        """
        repeats = self.by_metric[metric_of(key)]
        if repeats is None or repeats.days is None or most < repeats.days.often:
            return
        days = repeats.days
        actors = crowd.returning(days.often)
        if actors:
            pairs = set(pairs_of_few(actors, [target_of(key)] * len(actors)))
            days.turn(end - 1)
            days.follow(sorted(pairs))

    def broken_off(self, metric: int) -> None:
        """Handle a rule that failed half way: the daily counts are stored as they are now."""
        repeats = self.by_metric[metric]
        if repeats is not None and repeats.days is not None:
            repeats.days.broken_off()

    def days(self) -> Iterator[tuple[int, Days]]:
        """The daily counts by metric. They are stored, because a replay of the log's end cannot restore them."""
        for metric, repeats in enumerate(self.by_metric):
            if repeats is not None and repeats.days is not None:
                yield metric, repeats.days

    def memory_bytes(self) -> int:
        """Estimated bytes in memory."""
        return sum(repeats.memory_bytes() for repeats in self.by_metric if repeats is not None)
