"""Converts scores to p-values by the history of unflagged windows.

Within the observed range, the p-value is the share of history at or above the score (conformal:
(above + 1)/(all + 1)). Above it, the upper tenth of history is extended by an exponential tail (peaks over threshold
with shape 0; Pickands 1975), whose mean excess is learned. So a platform whose honest windows vary more has a heavier
tail, and the same score has a larger p-value there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

BINS = 64
TAIL_SHARE = 0.1
"""Share of history that forms the tail."""
PRIOR_EXCESS = 0.06
PRIOR_WINDOWS = 8.0
"""Prior mean excess (in units of the score's range), and its weight in windows."""
HISTORY_MIN = 30
"""Least windows for a p-value below 1: a new installation learns before it judges."""
HISTORY_MAX = 20_000
"""Windows at which all counts are halved, so that the tail follows changes of the platform."""
FORGOTTEN = 0.01
"""Weight below which a score counts as forgotten: after seven halvings, some 70,000 windows."""


class Tail(msgspec.Struct, array_like=True):
    """Histogram of one score in [0, 1] over unflagged windows, with a fitted tail."""

    bins: list[float] = msgspec.field(default_factory=lambda: [0.0] * BINS)
    total: float = 0.0
    cut: int = -1
    share: float = 0.0
    excess: float = PRIOR_EXCESS
    fitted: float = 0.0

    def learn(self, scores: Iterable[float]) -> None:
        """Add the scores of unflagged windows, one after the other."""
        bins, total, last = self.bins, self.total, BINS - 1
        fit_above = max(HISTORY_MIN - 0.5, 1.1 * self.fitted)
        for score in scores:
            at = int(score * BINS)
            bins[0 if at < 0 else min(at, last)] += 1.0
            total += 1.0
            if total >= HISTORY_MAX:
                bins = self.bins = [b / 2 for b in bins]
                total /= 2
                fit_above = HISTORY_MIN - 0.5
            if total > fit_above:
                self.total = total
                self._fit()
                fit_above = max(HISTORY_MIN - 0.5, 1.1 * self.fitted)
        self.total = total

    def p(self, score: float) -> float:
        """p-value of a score: probability that an honest window scores this or more. 1.0 without enough history."""
        if self.total < HISTORY_MIN:
            return 1.0
        edge = (self.cut + 1) / BINS
        if score > edge:
            return min(1.0, self.share * math.exp(-(score - edge) / self.excess))
        return (sum(self.bins[_bin(score) :]) + 1.0) / (self.total + 1.0)

    def highest(self) -> float:
        """Upper edge of the highest score in memory, in the resolution of the histogram; 0.0 without history."""
        return next((index + 1 for index in range(BINS - 1, -1, -1) if self.bins[index] >= FORGOTTEN), 0) / BINS

    def _fit(self) -> None:
        above = 0.0
        weighted = 0.0
        index = BINS - 1
        while index > 0 and above + self.bins[index] <= TAIL_SHARE * self.total:
            above += self.bins[index]
            weighted += self.bins[index] * (index + 0.5)
            index -= 1
        self.cut = index
        edge = index + 1
        self.share = (above + 1.0) / (self.total + 1.0)
        mean = weighted / BINS - above * edge / BINS
        self.excess = (mean + PRIOR_EXCESS * PRIOR_WINDOWS) / (above + PRIOR_WINDOWS)
        self.fitted = self.total


def _bin(score: float) -> int:
    return min(BINS - 1, max(0, int(score * BINS)))


class Calibrator(msgspec.Struct, array_like=True):
    """Tails by window size in powers of two: a share of 10 events is noisier than a share of 10,000.

    A size without history uses the tail of the next smaller size, which is wider.
    """

    tails: dict[int, Tail] = {}

    def learn(self, sizes: Iterable[int], scores: Iterable[float]) -> None:
        """Learn the scores of unflagged windows of these numbers of events, one after the other."""
        by_size: dict[int, list[float]] = {}
        for size, score in zip(sizes, scores, strict=True):
            key = size.bit_length()
            known = by_size.get(key)
            if known is None:
                by_size[key] = [score]
            else:
                known.append(score)
        for key, learned in by_size.items():
            tail = self.tails.get(key)
            if tail is None:
                tail = self.tails[key] = Tail()
            tail.learn(learned)

    def p(self, size: int, score: float) -> float | None:
        """p-value of a score in a window of ``size`` events; None without history of this or a smaller size."""
        for key in range(size.bit_length(), -1, -1):
            tail = self.tails.get(key)
            if tail is not None and tail.total >= HISTORY_MIN:
                return tail.p(score)
        return None

    def highest(self, size: int) -> float | None:
        """The highest score of windows of up to ``size`` events in memory; None as for ``p``.

        Smaller windows vary more, so theirs count too.
        """
        if self.p(size, 0.0) is None:
            return None
        return max(tail.highest() for key, tail in self.tails.items() if key <= size.bit_length())

    def experienced(self) -> bool:
        """Whether there is enough history of any size."""
        return any(tail.total >= HISTORY_MIN for tail in self.tails.values())

    def history(self) -> float:
        """Windows learned of the most frequent size."""
        return max((tail.total for tail in self.tails.values()), default=0.0)


class Mean(msgspec.Struct, array_like=True):
    """Running mean; exponential after 5,000 values."""

    value: float = 0.0
    seen: int = 0

    def learn(self, x: float) -> float:
        """Add a value. Returns the mean."""
        seen = self.seen
        if seen < 5000:
            seen = self.seen = seen + 1
        value = self.value
        value = self.value = value + (x - value) / seen
        return value

    def learn_all(self, values: Iterable[float]) -> list[float]:
        """Add values one after the other. Returns the mean after each."""
        value, seen, means = self.value, self.seen, []
        for x in values:
            seen = min(seen + 1, 5000)
            value += (x - value) / seen
            means.append(value)
        self.value, self.seen = value, seen
        return means
