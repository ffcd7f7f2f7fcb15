"""More events than the target's own seasonal baseline explains.

The score is Chernoff's bound on the tail of the negative binomial, which is valid for every count and needs no gamma
function (Hoeffding 1963; for x > μ)::

    ln p ≤ -( x·ln(x/μ) - (x + r)·ln((x + r)/(μ + r)) )

It is calibrated on the platform's history of that bound. The onset of a surge is found by a one-sided CUSUM (Page 1954)
over z = (x - μ)/√(μ + μ²/r + 1), with reference value k = 0.5 (Montgomery, Statistical Quality Control, chapter 9).

Must not flag: anything by itself. News, premieres and celebrities cause surges, so a surge alone opens no case.

>>> from detectors.features import names as f
>>> surge = Surge()
>>> round(surge.score_one({f.COUNT: 12, f.EXPECTED: 10.0, f.DISPERSION: 20.0}), 1)
0.1
>>> surge.score_one({f.COUNT: 600, f.EXPECTED: 10.0, f.DISPERSION: 20.0}) > 20
True
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from detectors.features import names as f
from detectors.features.columns import Column, Columns, columns_of, number_of
from detectors.features.names import Features
from detectors.scoring.calibration import HISTORY_MIN, Tail
from detectors.scoring.detector import FINDING_SCORE, SCORE_MAX, Finding

SURGE_CODE = "surge"
"""The reason code of a surge."""

CUSUM_REFERENCE = 0.5
CUSUM_MAX = 50.0
"""Highest sum: so the CUSUM returns to zero a few windows after a huge burst."""

SCORE_RANGE = 6.0
"""Upper end of the history's histogram of ln(1 + -ln p) (p = e^-400)."""


class Surge:
    """Detector of surges; see the module."""

    name = "surge"

    def __init__(self) -> None:
        self._tail = Tail()

    def score_one(self, x: Features) -> float:
        """-log10 p of the count under the target's own baseline. Columns of one window would take ten times as long."""
        count, mean = x.get(f.COUNT, 0.0), x.get(f.EXPECTED, 0.0)
        return self._score(_tail_bound(count, mean, x.get(f.DISPERSION, 1.0))) if count > mean > 0.0 else 0.0

    def score_many(self, x: Columns) -> Column:
        """As ``score_one`` for each window."""
        return np.array([self._score(bound) if bound > 0.0 else 0.0 for bound in _tail_bounds(x)], np.float64)

    def _score(self, bound: float) -> float:
        score = min(SCORE_MAX, bound / math.log(10.0))
        if self._tail.total >= HISTORY_MIN:
            score = min(score, -math.log10(max(self._tail.p(_unit(bound)), 10.0**-SCORE_MAX)))
        return max(0.0, score)

    def learn_one(self, x: Features) -> None:
        """See Detector: ``learn_many`` of one window."""
        self.learn_many(columns_of([x]))

    def learn_many(self, x: Columns) -> None:
        """Learn the deviations of unflagged windows from their baselines, one after the other."""
        self._tail.learn([_unit(bound) for bound in _tail_bounds(x)])

    def findings(self, x: Features) -> list[Finding]:
        """One finding, if the score reaches FINDING_SCORE."""
        score = self.score_one(x)
        if score < FINDING_SCORE:
            return []
        count, expected = x[f.COUNT], x[f.EXPECTED]
        text = f"{count:,.0f} events where {expected:,.0f} are usual"
        share = max(0.0, 1.0 - expected / count)
        return [Finding(SURGE_CODE, self.name, count, expected, 10.0**-score, share, text)]

    def experienced(self) -> bool:
        """See Detector."""
        return self._tail.total >= HISTORY_MIN

    def dump(self) -> Any:
        """State as builtins."""
        return msgspec.to_builtins(self._tail)

    def load(self, state: Any) -> None:
        """Restore dumped state."""
        self._tail = msgspec.convert(state, Tail)


def cusum(sum_before: float, idle_windows: int, x: Features) -> float:
    """Next value of the one-sided CUSUM, after ``idle_windows`` windows that were not judged."""
    count, mean, r = x[f.COUNT], x[f.EXPECTED], x[f.DISPERSION]
    z = (count - mean) / math.sqrt(mean + mean * mean / r + 1.0)
    decayed = sum_before - CUSUM_REFERENCE * max(0, idle_windows)
    return min(CUSUM_MAX, max(0.0, max(0.0, decayed) + z - CUSUM_REFERENCE))


def _tail_bounds(x: Columns) -> list[float]:
    """The bound of each window; 0.0 if it is not above its expectation, or none is given."""
    number = number_of(x)
    if f.COUNT not in x or f.EXPECTED not in x:
        return [0.0] * number
    spread = x.get(f.DISPERSION)
    spreads = [1.0] * number if spread is None else np.where(np.isnan(spread), 1.0, spread).tolist()
    counts, means = x[f.COUNT].tolist(), x[f.EXPECTED].tolist()
    return [
        _tail_bound(*given) if given[0] > given[1] > 0.0 else 0.0 for given in zip(counts, means, spreads, strict=True)
    ]


def _tail_bound(count: float, mean: float, r: float) -> float:
    return count * math.log(count / mean) - (count + r) * math.log((count + r) / (mean + r))


def _unit(bound: float) -> float:
    return min(1.0, math.log1p(max(0.0, bound)) / SCORE_RANGE)
