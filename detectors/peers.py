"""What stands beside a window: the same target's other metrics, and the platform whose people it is compared with."""

from __future__ import annotations

from detectors.events import METRICS
from detectors.platform import Platform
from detectors.watched import Watches, key_of
from detectors.windows import Scale


class Peers:
    """See the module. Reads the state of an audit, changes none."""

    def __init__(self, watches: Watches, platforms: list[Platform], scales: tuple[Scale, ...]) -> None:
        self._watches = watches
        self._platforms = platforms
        self._scales = scales

    def reference(self, metric: int) -> Platform:
        """Whose people a metric's crowds are compared with: those of the views, if there are any.

        All metrics are done by the same people, and views are the most and the hardest to fill with bought ones: where
        most follows are bought, follows are no yardstick.
        """
        views = self._platforms[0]
        return views if views.experienced() else self._platforms[metric]

    def counts(self, key: str, order: int, start: int, closed: dict[str, int]) -> tuple[int, int, int]:
        """Views, likes and follows of a key's target in its window; beside five minutes, those of the hour so far.

        ``closed`` has the events of the larger windows of views that have closed at this moment, by key.
        """
        views, likes, follows = (
            self._count(key_of(metric, key[1:]), order, start, closed) for metric in range(len(METRICS))
        )
        return views, likes, follows

    def days(self, key: str) -> int:
        """Days for which the views of a key's target have been watched."""
        watched = self._watches.peek(key_of(0, key[1:]))
        level = None if watched is None else watched.levels.get(self._scales[-1].name)
        return 0 if level is None else level.windows

    def _count(self, peer: str, order: int, start: int, closed: dict[str, int]) -> int:
        count = closed.get(peer, 0)
        watched = self._watches.peek(peer)
        if watched is not None:
            for scale in self._scales[order : order + 1 + (order == 1)]:
                window = watched.open.get(scale.name)
                if window is not None and window.start <= start < window.start + scale.span_ms:
                    count += window.n
        return count
