"""How: events at intervals that are too even for people.

People come at random and in bursts: the counts of a window's parts vary at least as much as a Poisson process. A
schedule delivers the same number each time. The feature is e = 1 - variance / mean of the parts (Fano 1947). Under
chance, (k - 1)·variance / mean of k parts is χ² with k - 1 degrees of freedom. Its lower tail is at most
((1 - e)·exp(e))^((k - 1)/2) (Chernoff). The p-value is the larger of this bound and the one by the platform's windows.

Must not flag: music on repeat through the night (even, but without evidence of *who*); quiet targets (below 24 events
evenness is not measured).

>>> from detectors.features.names import COUNT, EVEN, PARTS
>>> detector = Cadence()
>>> detector.score_one({COUNT: 240.0, EVEN: 0.95, PARTS: 24.0}) > 4
True
>>> detector.score_one({COUNT: 240.0, EVEN: 0.2, PARTS: 24.0}) < 1
True
"""

from __future__ import annotations

import math

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.shares import Shares


class Cadence(Shares):
    """Detector of even intervals; see the module."""

    name = "cadence"
    features = (f.EVEN,)

    def _p(self, name: str, x: Features, value: float, baseline: float) -> float:
        parts = x.get(f.PARTS, 0.0)
        if parts < 2 or value <= 0.0:
            return 1.0
        chance: float = (max(1.0 - value, 1e-6) * math.exp(value)) ** ((parts - 1.0) / 2.0)
        seen = self._seen(name, x, value - baseline)
        return chance if seen is None else max(chance, seen)
