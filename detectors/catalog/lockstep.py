"""With whom: actors who were together on target after target, and are together again in this window.

``detectors/campaigns/pairs.py`` learns pairs of actors, and has the formula and its sources. This detector reports one
window: the share of its events by a band, with the band's p-value. Nothing is calibrated on the platform's windows,
since most have no band.

Must not flag: fans who view each release of one channel within minutes (one owner is one occasion, and a release with
a large crowd has little weight); playlists and feeds that many play in order (one session is one occasion); a class or
a household (one network); a couple or one person's two devices (a band has at least three).

>>> from detectors.features.names import BAND, BAND_EXPECTED, BAND_OCCASIONS, BAND_PEOPLE, BAND_SCORE, PEOPLE
>>> x = {BAND: 0.78, BAND_SCORE: 9.0, BAND_PEOPLE: 7.0, BAND_OCCASIONS: 23.0, BAND_EXPECTED: 0.2, PEOPLE: 9.0}
>>> Lockstep().findings(x)[0].text
'7 of the 9 actors have come together to 23 other targets in the same minutes; chance would have them meet on 0.2'
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.features import names as f
from detectors.features.columns import Column, Columns, number_of
from detectors.features.names import Features
from detectors.scoring.detector import FINDING_SCORE, SCORE_MAX, Finding

LOCKSTEP_CODE = "lockstep"
TEXT = (
    "{people:.0f} of the {of:.0f} actors have come together to {occasions:.0f} other targets in the same minutes;"
    " chance would have them meet on {expected:.2g}"
)


class Lockstep:
    """Detector of bands; see the module."""

    name = "lockstep"

    def score_one(self, x: Features) -> float:
        """-log10 p of the band, 0 without a band."""
        return min(SCORE_MAX, max(0.0, x.get(f.BAND_SCORE, 0.0)))

    def score_many(self, x: Columns) -> Column:
        """As ``score_one`` for each window."""
        scores = x.get(f.BAND_SCORE, np.zeros(number_of(x)))
        return np.minimum(SCORE_MAX, np.maximum(0.0, np.nan_to_num(scores)))

    def learn_one(self, x: Features) -> None:
        """Does nothing: pairs are learned in ``campaigns.pairs``."""

    def learn_many(self, x: Columns) -> None:
        """Does nothing: pairs are learned in ``campaigns.pairs``."""

    def findings(self, x: Features) -> list[Finding]:
        """One finding, if there is a band."""
        score, share = self.score_one(x), x.get(f.BAND, 0.0)
        if score <= FINDING_SCORE or share <= 0.0:
            return []
        text = TEXT.format(
            people=x.get(f.BAND_PEOPLE, 0.0),
            of=x.get(f.PEOPLE, 0.0),
            occasions=x.get(f.BAND_OCCASIONS, 0.0),
            expected=x.get(f.BAND_EXPECTED, 0.0),
        )
        return [Finding(LOCKSTEP_CODE, self.name, share, 0.0, 10.0**-score, share, text)]

    def experienced(self) -> bool:
        """See Detector."""
        return True

    def dump(self) -> Any:
        """None: there is no state."""
        return None

    def load(self, state: Any) -> None:
        """Does nothing: there is no state."""
