"""How: events that come too evenly to be people's.

People come by chance, and in bunches: the counts of a window's parts vary at least as a Poisson process does. A
schedule delivers as many each time. The feature is 1 - (variance / mean) of the parts (Fano 1947); under chance
(k - 1)·variance/mean is χ² with k - 1 degrees of freedom for the window's k parts, whose lower tail is bounded by
Chernoff's ((1 - e)·exp(e))^((k - 1)/2) for evenness e. Calibrated on the platform's own windows as well; the larger
p-value counts.

Must spare: music on repeat through the night (it is even, and nothing else is wrong with it), quiet targets (fewer
than 24 events say nothing).

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
    """See the module."""

    name = "cadence"
    of = (f.EVEN,)

    def _p(self, name: str, x: Features, value: float, baseline: float) -> float:
        parts = x.get(f.PARTS, 0.0)
        if parts < 2 or value <= 0.0:
            return 1.0
        chance: float = (max(1.0 - value, 1e-6) * math.exp(value)) ** ((parts - 1.0) / 2.0)
        seen = self._seen(name, x, value - baseline)
        return chance if seen is None else max(chance, seen)
