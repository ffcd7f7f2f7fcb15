"""More events than the target's own seasonal baseline explains.

Score: Chernoff's bound on the negative binomial tail, which holds for every count and needs no gamma
function (Hoeffding 1963; for x > μ)::

    ln p ≤ -( x·ln(x/μ) - (x + r)·ln((x + r)/(μ + r)) )

calibrated on the platform's own history of that bound. Where it began is remembered by a one-sided CUSUM
(Page 1954) over z = (x - μ)/√(μ + μ²/r), with reference value k = 0.5 (Montgomery, Statistical
Quality Control, chapter 9).

Must spare: everything. A surge alone opens nothing: news, premieres and celebrities surge.

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

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.calibration import HISTORY_MIN, Tail
from detectors.scoring.detector import FINDING_SCORE, SCORE_MAX, Finding

SURGE_CODE = "surge"
"""The reason code of a surge."""

CUSUM_REFERENCE = 0.5
CUSUM_MAX = 50.0
"""The sum is capped so that a huge burst is over a few windows after it is over."""

SCORE_RANGE = 6.0
"""ln(1 + -ln p) at which history's histogram ends (p = e^-400)."""


class Surge:
    """See the module."""

    name = "surge"

    def __init__(self) -> None:
        self._tail = Tail()

    def score_one(self, x: Features) -> float:
        """-log10 p of the count under the target's own baseline."""
        bound = _tail_bound(x)
        if bound <= 0.0:
            return 0.0
        score = min(SCORE_MAX, bound / math.log(10.0))
        if self._tail.total >= HISTORY_MIN:
            score = min(score, -math.log10(max(self._tail.p(_unit(bound)), 10.0**-SCORE_MAX)))
        return score

    def learn_one(self, x: Features) -> None:
        """Learn how far unflagged windows stray from their baselines."""
        self._tail.learn(_unit(_tail_bound(x)))

    def findings(self, x: Features) -> list[Finding]:
        """One finding, if there is a surge at all."""
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
        """Take dumped state."""
        self._tail = msgspec.convert(state, Tail)


def cusum(sum_before: float, idle_windows: int, x: Features) -> float:
    """Next value of the one-sided CUSUM after ``idle_windows`` windows that were not looked at."""
    count, mean, r = x[f.COUNT], x[f.EXPECTED], x[f.DISPERSION]
    z = (count - mean) / math.sqrt(mean + mean * mean / r + 1.0)
    decayed = sum_before - CUSUM_REFERENCE * max(0, idle_windows)
    return min(CUSUM_MAX, max(0.0, max(0.0, decayed) + z - CUSUM_REFERENCE))


def _tail_bound(x: Features) -> float:
    count, mean, r = x.get(f.COUNT, 0.0), x.get(f.EXPECTED, 0.0), x.get(f.DISPERSION, 1.0)
    if mean <= 0.0 or count <= mean:
        return 0.0
    return count * math.log(count / mean) - (count + r) * math.log((count + r) / (mean + r))


def _unit(bound: float) -> float:
    return min(1.0, math.log1p(max(0.0, bound)) / SCORE_RANGE)
