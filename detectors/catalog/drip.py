"""Day after day a wrong crowd, with no surge to show it.

A drip is small beside the target's own days, or has been there since the target's level was learned; then there is
no surge to be had, and persistence stands in for it. Each day's p-value of each detector of who and how becomes an
e-value, by the mixture of all power calibrators (Vovk & Wang, "E-values", Annals of Statistics 49, 2021)::

    e(p) = (1 - p + p ln p) / (p ln² p)

and these multiply from day to day, never falling below 1: W ← max(1, W) · e, the CUSUM e-detector (Shin, Ramdas &
Rinaldo, "E-detectors", 2023). If nothing changes, W stays under 1/α for 1/α days on the average, by Ville's inequality
and whenever one looks, as long as no day's honest p-values depend on those of the days before. That holds for how far a
target strays from its *own* past. How far it stands from the platform's mean it does every day, so where a target has
no past each day must be as rare by itself (``detectors/verdict/days.py``).

Must spare: audiences of one country, one school, one night (their own habit, and one family of evidence only); a target
that is odd from its first day; paid promotion (new people, on their own lines); growth (a crowd like the platform's).

>>> round(log_e_value(0.0), 2), round(log_e_value(2.0), 2), round(log_e_value(5.0), 2)
(-0.3, 0.65, 2.88)
>>> from detectors.features.names import DAYS, DRIP
>>> Drip().score_one({DRIP: 7.5, DAYS: 3.0}), Drip().findings({DRIP: 7.5, DAYS: 3.0})[0].code
(7.5, 'slow_drip')
"""

from __future__ import annotations

import math
from typing import Any

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.detector import FINDING_SCORE, SCORE_MAX, Finding

DRIP_CODE = "slow_drip"


def log_e_value(score: float) -> float:
    """log10 e of a p-value of 10^-score: -0.3 for an ordinary day, a little less than the score for a rare one."""
    if score < 1e-3:
        return -math.log10(2.0)
    log_p = -min(score, SCORE_MAX) * math.log(10.0)
    p = math.exp(log_p)
    return math.log10(1.0 - p + p * log_p) + min(score, SCORE_MAX) - 2.0 * math.log10(-log_p)


class Drip:
    """See the module. It learns nothing of its own: what is usual stands in the p-values it is made of."""

    name = "drip"

    def score_one(self, x: Features) -> float:
        """log10 of the e-value of the days so far, which bounds -log10 p."""
        return min(SCORE_MAX, max(0.0, x.get(f.DRIP, 0.0)))

    def learn_one(self, x: Features) -> None:
        """See the class."""

    def findings(self, x: Features) -> list[Finding]:
        """One finding, if there are days that speak together."""
        score, days = self.score_one(x), x.get(f.DAYS, 0.0)
        if score < FINDING_SCORE or days < 1.0:
            return []
        text = f"a crowd as wrong as this on {days:,.0f} days, without the surge that a burst would show"
        return [Finding(DRIP_CODE, self.name, days, 0.0, 10.0**-score, 1.0, text)]

    def experienced(self) -> bool:
        """See Detector."""
        return True

    def dump(self) -> Any:
        """See Detector."""
        return None

    def load(self, state: Any) -> None:
        """See Detector."""
