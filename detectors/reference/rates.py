"""What views bring: likes and follows per person with an account, and whether a target's are missing or alone.

Views bring likes and follows only where all are of the same things. On many platforms a follow is of a channel and a
view of one of its videos: then no follow stands beside views, and none is odd for it. How many of the platform's stand
beside views is measured, and is what is usual. So is how many of them are by people who had viewed what they like.
"""

from __future__ import annotations

from detectors.windows.scales import HOUR, MINUTES

PEOPLE_CAP = 50.0
"""People of one target in one window that count for the platform's rates: no hit and no attack sets them."""

RATES_FADING = 0.98
"""Kept of the rates at each hour: about the last two days."""

PEOPLE_BEFORE = 500.0
"""People who must have been seen before their rate is one."""

ACTS_BEFORE = 20.0
"""Likes (follows) that must have been seen before anything is held against one that has no views."""

AT_ONCE = 0.9
"""Of the likes (follows) by people who had viewed by the end of their hour, the part that had by that of their five
minutes, from which on views are told at once. Where they are told at their end, it is as many only of clips that are
shorter than a look takes."""

SOME_VIEW = 0.2
"""Share of the likes (follows) by people who view, under which they say nothing of when views are told."""

ACTS_MAX = 2000.0
"""Likes (follows) at which half of what is known of them is forgotten."""

VIEWED_BEFORE = 100.0
"""Likes of which it must be known whether their people had viewed, before that is what people do."""

LONELY_PRIOR = 0.1
"""Least share of the likes or follows of a crowd that is assumed to come without views, where few crowds were seen."""


class Rates:
    """Likes and follows per person of a window of views, by scale. Lives with the views' platform."""

    def __init__(self) -> None:
        self.people_and_acts: dict[str, list[float]] = {}
        """scale → people with accounts, likes, follows"""
        self.acts_and_on_viewed: dict[int, list[float]] = {}
        """metric → likes or follows, and those of them on targets that are viewed as well"""
        self.acts_and_viewers: dict[str, dict[int, list[float]]] = {}
        """scale → metric → likes or follows of targets that are viewed, and those of them by people who had viewed by
        their window's end"""

    def learn(self, scale: str, targets: list[tuple[float, int, int]]) -> None:
        """Learn the (people, likes, follows) of all targets whose windows of a scale have closed together."""
        totals = self.people_and_acts.setdefault(scale, [0.0, 0.0, 0.0])
        for index in range(3):
            totals[index] *= RATES_FADING
        for people, likes, follows in targets:
            weight = min(1.0, PEOPLE_CAP / people) if people else 0.0
            totals[0] += weight * people
            totals[1] += weight * min(likes, people)
            totals[2] += weight * min(follows, people)

    def learn_acts_on_viewed(self, metric: int, acts: int, on_viewed: int) -> None:
        """Learn how many of an hour's likes or follows were on targets that are viewed as well."""
        _learn(self.acts_and_on_viewed.setdefault(metric, [0.0, 0.0]), acts, on_viewed)

    def learn_viewers(self, scale: str, metric: int, acts: float, viewers: float) -> None:
        """Learn how many acts of the windows that have closed together were by people who had viewed the same."""
        totals = self.acts_and_viewers.setdefault(scale, {}).setdefault(metric, [0.0, 0.0])
        totals[0] += acts
        totals[1] += viewers
        if totals[0] >= ACTS_MAX:
            totals[0], totals[1] = totals[0] / 2.0, totals[1] / 2.0

    def viewed_first(self, scale: str, metric: int, *, least: float = ACTS_BEFORE) -> float | None:
        """Share of the likes or follows by people who had viewed by the end of their window, None while too few were
        seen.

        >>> rates = Rates()
        >>> rates.learn_viewers("hour", 1, 400.0, 388.0); rates.learn_viewers("minutes", 1, 10.0, 10.0)
        >>> rates.viewed_first("hour", 1), rates.viewed_first("minutes", 1), rates.viewed_first("hour", 2)
        (0.97, None, None)
        """
        acts, viewers = self.acts_and_viewers.get(scale, {}).get(metric, (0.0, 0.0))
        return viewers / acts if acts >= least else None

    def emitted_at_start(self) -> bool:
        """Whether a view is known to be told when it begins, or soon after: likes and follows come after it.

        Many players tell of a view when it has ended. Then whoever likes has not viewed yet, and of a crowd that has
        just come only those are known who have left again. Who likes in a feed never views, and says nothing of it.

        >>> rates = Rates()
        >>> rates.learn_viewers("hour", 1, 400.0, 320.0); rates.learn_viewers("minutes", 1, 400.0, 310.0)
        >>> rates.told_at_once()
        True
        >>> rates.learn_viewers("minutes", 1, 400.0, 150.0)
        >>> rates.told_at_once()
        False
        """
        for metric in self.acts_and_viewers.get(MINUTES, ()):
            soon, later = self.viewed_first(MINUTES, metric), self.viewed_first(HOUR, metric)
            if soon is not None and later is not None and soon >= max(AT_ONCE * later, SOME_VIEW):
                return True
        return False

    def usually_lonely(self, metric: int) -> float | None:
        """Share of the likes or follows that come without views on this platform, None while too few were seen.

        >>> rates = Rates()
        >>> rates.learn_beside(1, 100, 100); rates.learn_beside(2, 100, 0)
        >>> rates.usually_lonely(1), rates.usually_lonely(2)
        (0.1, 1.0)
        """
        acts, on_viewed = self.acts_and_on_viewed.get(metric, (0.0, 0.0))
        return max(LONELY_PRIOR, 1.0 - on_viewed / acts) if acts >= ACTS_BEFORE else None

    def per_person(self, scale: str) -> tuple[float, float] | None:
        """Likes and follows per person; of hours where this scale has none of its own; None where nothing is known."""
        for name in (scale, HOUR):
            people, likes, follows = self.people_and_acts.get(name, (0.0, 0.0, 0.0))
            if people >= PEOPLE_BEFORE:
                return likes / people, follows / people
        return None


def _learn(totals: list[float], *seen: float) -> None:
    for index, count in enumerate(seen):
        totals[index] = RATES_FADING * totals[index] + count
