"""A crowd with evidence against it on several days, without a surge.

A drip is small compared with the target's own events, or began before the target's level was learned. So there is no
surge, and persistence replaces it. For each detector of *who* and *how*, each day's p-value is converted to an e-value,
by the mixture of all power calibrators (Vovk & Wang, "E-values", Annals of Statistics 49, 2021)::

    e(p) = (1 - p + p ln p) / (p ln² p)

The e-values of successive days are multiplied, never below 1: W ← max(1, W) · e, the CUSUM e-detector (Shin, Ramdas &
Rinaldo, "E-detectors", 2023). For an honest target, W reaches 1/α not before 1/α days on average (Ville's inequality,
at any stopping time), if the honest p-values of a day do not depend on earlier days. That is so for deviations from the
target's *own* habit. Deviations from the platform's mean repeat every day, so a target without a past needs days that
are each rare enough alone (``detectors/verdict/days.py``).

Must not flag: audiences of one country, one school or one night (own habit, and only one family of evidence); a target
that is unusual from its first day; paid promotion (new people in many home networks); growth (a crowd like the
platform's).

>>> round(log_e_value(0.0), 2), round(log_e_value(2.0), 2), round(log_e_value(5.0), 2)
(-0.3, 0.65, 2.88)
>>> from detectors.features.names import DAYS, DRIP
>>> Drip().score_one({DRIP: 7.5, DAYS: 3.0}), Drip().findings({DRIP: 7.5, DAYS: 3.0})[0].code
(7.5, 'slow_drip')
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from detectors.features import names as f
from detectors.features.columns import Column, Columns, number_of
from detectors.features.names import Features
from detectors.scoring.detector import FINDING_SCORE, SCORE_MAX, Finding

DRIP_CODE = "slow_drip"


def log_e_value(score: float) -> float:
    """log10 e of the p-value 10^-score: -0.3 for a usual day, a little less than the score for a rare day."""
    if score < 1e-3:
        return -math.log10(2.0)
    log_p = -min(score, SCORE_MAX) * math.log(10.0)
    p = math.exp(log_p)
    return math.log10(1.0 - p + p * log_p) + min(score, SCORE_MAX) - 2.0 * math.log10(-log_p)


class Drip:
    """Detector of drips; see the module. It learns nothing: the p-values it combines are already calibrated."""

    name = "drip"

    def score_one(self, x: Features) -> float:
        """log10 of the e-value of the days so far: a lower limit of -log10 p."""
        return min(SCORE_MAX, max(0.0, x.get(f.DRIP, 0.0)))

    def score_many(self, x: Columns) -> Column:
        """As ``score_one`` for each window."""
        scores = x.get(f.DRIP, np.zeros(number_of(x)))
        return np.minimum(SCORE_MAX, np.maximum(0.0, np.nan_to_num(scores)))

    def learn_one(self, x: Features) -> None:
        """Does nothing; see the class."""

    def learn_many(self, x: Columns) -> None:
        """Does nothing; see the class."""

    def findings(self, x: Features) -> list[Finding]:
        """One finding, if there is combined evidence of several days."""
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
