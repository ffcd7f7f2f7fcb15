"""Baseline of interaction: likes and follows per person who views, and how many of them come with views.

They show whether a target's likes are missing, or come without views. Likes and follows come with views only if all are
events of the same targets. On many platforms a follow is of a channel and a view of one of its videos: then no follow
is on a viewed target, and that is normal. So the platform's share on viewed targets is measured, and so is the share by
people who had viewed the target.
"""

from __future__ import annotations

import math

from detectors.windows.scales import HOUR, MINUTES

PEOPLE_CAP = 50.0
"""Most people of one target in one window that count for the rates: neither a hit nor an attack may set them."""

RATES_FADING = 0.98
"""Factor of the old rates at each hour: memory of about two days."""

PEOPLE_BEFORE = 500.0
"""People that a rate needs before it is used."""

ACTS_BEFORE = 20.0
"""Likes (follows) that must be known before one without views is evidence."""

AT_ONCE = 0.9
"""Least ratio, of the likes (follows) by people who had viewed by the end of their five minutes to those by the end of
their hour, at which views are emitted at the start. With views emitted at the end, only clips of some seconds reach
it."""

SOME_VIEW = 0.2
"""Least share of the likes (follows) by people who viewed at which they show when views are emitted."""

RATIO_STANDARD_ERRORS = 3.0
"""Standard errors by which the ratio must exceed AT_ONCE for one metric. It is asked at every closing of windows, so a
bound of 95 % would often be exceeded by chance."""

ACTS_MAX = 2000.0
"""Likes (follows) at which the totals are halved."""

VIEWED_BEFORE = 100.0
"""Likes that the share by people who had viewed needs before it is used as evidence."""

LONELY_PRIOR = 0.1
"""Least share of the likes or follows of a crowd that is assumed to come without views."""

VARIATION_LEAST = 1.0
"""Least expected likes and follows of a window that shows how targets differ."""

VARIATION_FACTOR = 4.0
"""Likes and follows beyond so many times the expectation count as so many: bought likes must not make targets seem to
differ more than they do."""

VARIATION_PRIOR = 1.0 / 3.0, 500.0
"""Assumed squared coefficient of variation of targets' rates, a factor of two, and the squared expected likes and
follows that it counts as: some thirty windows of four likes, as few as any p-value by history needs."""

VARIATION_MAX = 20_000.0
"""Squared expected likes and follows at which both sums are halved."""


class Rates:
    """The rates by scale. They are part of the platform of views."""

    def __init__(self) -> None:
        self.people_and_acts: dict[str, list[float]] = {}
        """scale → [people with accounts, likes, follows]"""
        self.acts_and_on_viewed: dict[int, list[float]] = {}
        """metric → [likes or follows, those of them on viewed targets]"""
        self.acts_and_viewers: dict[str, dict[int, list[float]]] = {}
        """scale → metric → [likes or follows of viewed targets, those by people who had viewed by the end of their
        window]"""
        self.variation: list[float] = [0.0, 0.0]
        """[squared differences from the expected likes and follows, beyond chance; squares of the expected ones]"""

    def learn(self, scale: str, targets: list[tuple[float, int, int]]) -> None:
        """Learn (people, likes, follows) of all targets whose windows of a scale have closed together."""
        totals = self.people_and_acts.setdefault(scale, [0.0, 0.0, 0.0])
        for index in range(3):
            totals[index] *= RATES_FADING
        for people, likes, follows in targets:
            weight = min(1.0, PEOPLE_CAP / people) if people else 0.0
            totals[0] += weight * people
            totals[1] += weight * min(likes, people)
            totals[2] += weight * min(follows, people)

    def learn_variation(self, scale: str, targets: list[tuple[float, int]]) -> None:
        """Learn how far targets differ, from (people, likes and follows) of unflagged windows of a scale.

        By moments (Clark and Perry 1989): of a Poisson variable k whose mean varies around e with the squared
        coefficient of variation v, the mean of (k - e)² - k is v·e².
        """
        rates = self.per_person(scale)
        if rates is None:
            return
        for people, acts in targets:
            expected = people * sum(rates)
            if expected >= VARIATION_LEAST:
                weight, seen = min(1.0, PEOPLE_CAP / people), min(acts, VARIATION_FACTOR * expected)
                self.variation[0] += weight * ((seen - expected) ** 2 - seen)
                self.variation[1] += weight * expected * expected
        if self.variation[1] >= VARIATION_MAX:
            self.variation = [total / 2.0 for total in self.variation]

    def own(self, came: float, expected: float) -> tuple[float, float]:
        """A target's own rate as a multiple of the platform's, and the shape of the gamma law of what is not known.

        ``came`` are its likes and follows so far where ``expected`` were expected at the platform's rate. The rate is
        the mean of the gamma law given these (empirical Bayes: Robbins 1956; DuMouchel 1999).

        >>> rates = Rates()
        >>> rates.own(0.0, 0.0), rates.own(1.0, 37.0), rates.own(37.0, 37.0)
        ((1.0, 3.0), (0.1, 4.0), (1.0, 40.0))
        """
        shape = self.shape()
        return (shape + came) / (shape + expected), shape + came

    def shape(self) -> float:
        """Shape of the gamma law of targets' likes and follows per person: the more alike targets are, the larger.

        >>> rates = Rates()
        >>> rates.shape()
        3.0
        >>> rates.learn("hour", [(50.0, 5, 0)] * 20); rates.learn_variation("hour", [(50.0, 0), (50.0, 10)] * 500)
        >>> round(rates.shape(), 1)
        1.3
        """
        assumed, weight = VARIATION_PRIOR
        differing, expected = self.variation
        return (expected + weight) / max(assumed * weight, differing + assumed * weight)

    def learn_acts_on_viewed(self, metric: int, acts: int, on_viewed: int) -> None:
        """Learn how many of an hour's likes or follows were on viewed targets."""
        _learn(self.acts_and_on_viewed.setdefault(metric, [0.0, 0.0]), acts, on_viewed)

    def learn_viewers(self, scale: str, metric: int, acts: float, viewers: float) -> None:
        """Learn how many acts of the windows that have closed together were by people who had viewed the target."""
        totals = self.acts_and_viewers.setdefault(scale, {}).setdefault(metric, [0.0, 0.0])
        totals[0] += acts
        totals[1] += viewers
        if totals[0] >= ACTS_MAX:
            totals[0], totals[1] = totals[0] / 2.0, totals[1] / 2.0

    def viewed_first(self, scale: str, metric: int, *, least: float = ACTS_BEFORE) -> float | None:
        """Share of the likes or follows by people who had viewed by the end of their window, None if too few are known.

        >>> rates = Rates()
        >>> rates.learn_viewers("hour", 1, 400.0, 388.0); rates.learn_viewers("minutes", 1, 10.0, 10.0)
        >>> rates.viewed_first("hour", 1), rates.viewed_first("minutes", 1), rates.viewed_first("hour", 2)
        (0.97, None, None)
        """
        acts, viewers = self.acts_and_viewers.get(scale, {}).get(metric, (0.0, 0.0))
        return viewers / acts if acts >= least else None

    def emitted_at_start(self) -> bool:
        """Whether views are known to be emitted at the start or soon after, so that likes and follows come after them.

        Many players emit a view when it ends. Then a like comes before its view, and of a young crowd only those who
        have left are known. Likes in a feed have no view, and show nothing.

        One metric must show it beyond chance, and the other must not contradict it: many follow a target when they have
        watched it, so follows come after their views wherever views are emitted.

        >>> rates = Rates()
        >>> rates.learn_viewers("hour", 1, 400.0, 320.0); rates.learn_viewers("minutes", 1, 400.0, 310.0)
        >>> rates.emitted_at_start()
        True
        >>> rates.learn_viewers("hour", 2, 30.0, 30.0); rates.learn_viewers("minutes", 2, 30.0, 20.0)
        >>> rates.emitted_at_start()
        False
        """
        ratios = [self._viewed_soon(metric) for metric in self.acts_and_viewers.get(MINUTES, ())]
        known = [found for found in ratios if found is not None]
        return all(ratio >= AT_ONCE for ratio, _ in known) and any(least >= AT_ONCE for _, least in known)

    def _viewed_soon(self, metric: int) -> tuple[float, float] | None:
        """Of the likes (follows) by people who had viewed by the end of their hour, the share of those by the end of
        their five minutes, and its lower bound. None if too few are known, or show nothing."""
        soon, later = self.viewed_first(MINUTES, metric), self.viewed_first(HOUR, metric)
        if soon is None or later is None or later < SOME_VIEW:
            return None
        ratio = soon / later
        return ratio, lower_bound(min(1.0, ratio), later * self.acts_and_viewers[MINUTES][metric][0])

    def usually_lonely(self, metric: int) -> float | None:
        """Share of the likes or follows that come without views on this platform, None if too few are known.

        >>> rates = Rates()
        >>> rates.learn_acts_on_viewed(1, 100, 100); rates.learn_acts_on_viewed(2, 100, 0)
        >>> rates.usually_lonely(1), rates.usually_lonely(2)
        (0.1, 1.0)
        """
        acts, on_viewed = self.acts_and_on_viewed.get(metric, (0.0, 0.0))
        return max(LONELY_PRIOR, 1.0 - on_viewed / acts) if acts >= ACTS_BEFORE else None

    def per_person(self, scale: str) -> tuple[float, float] | None:
        """Likes and follows per person at this scale, or else per hour; None if neither is known."""
        for name in (scale, HOUR):
            people, likes, follows = self.people_and_acts.get(name, (0.0, 0.0, 0.0))
            if people >= PEOPLE_BEFORE:
                return likes / people, follows / people
        return None


def lower_bound(share: float, size: float) -> float:
    """Lower bound of a share observed on ``size`` acts, RATIO_STANDARD_ERRORS below it (Wilson 1927).

    >>> [round(lower_bound(1.0, size), 2) for size in (20.0, 81.0, 1000.0)], round(lower_bound(0.92, 130.0), 2)
    ([0.69, 0.9, 0.99], 0.82)
    """
    square = RATIO_STANDARD_ERRORS**2 / size
    doubt = math.sqrt(square * (share * (1.0 - share) + square / 4.0))
    return (share + square / 2.0 - doubt) / (1.0 + square)


def _learn(totals: list[float], *seen: float) -> None:
    for index, count in enumerate(seen):
        totals[index] = RATES_FADING * totals[index] + count
