"""With whom: people who have come together to target after target, and are here together again.

The pairs of a task are followed in ``detectors/campaigns/pairs.py``, where the formula and its sources stand; this
says what they mean for one window: the share of its events that are of a band, with the band's p-value. Nothing is
calibrated on the platform's windows: most have no band at all.

Must spare: fans who see each release of one channel within minutes (one owner is one occasion, and a release, to which
everybody comes, is none), playlists and feeds that many walk through (a sitting is one occasion), a class or a
household (one network), a couple or one person's two devices (a band is three).

>>> from detectors.features.names import BAND, BAND_EXPECTED, BAND_OCCASIONS, BAND_PEOPLE, BAND_SCORE, PEOPLE
>>> x = {BAND: 0.78, BAND_SCORE: 9.0, BAND_PEOPLE: 7.0, BAND_OCCASIONS: 23.0, BAND_EXPECTED: 0.2, PEOPLE: 9.0}
>>> Lockstep().findings(x)[0].text
'7 of the 9 actors have come together to 23 other targets in the same minutes; chance would have them meet on 0.2'
"""

from __future__ import annotations

from typing import Any

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.detector import FINDING_SCORE, SCORE_MAX, Finding

LOCKSTEP_CODE = "lockstep"
TEXT = (
    "{people:.0f} of the {of:.0f} actors have come together to {occasions:.0f} other targets in the same minutes;"
    " chance would have them meet on {expected:.2g}"
)


class Lockstep:
    """See the module."""

    name = "lockstep"

    def score_one(self, x: Features) -> float:
        """-log10 p of the band, 0 where there is none."""
        return min(SCORE_MAX, max(0.0, x.get(f.BAND_SCORE, 0.0)))

    def learn_one(self, x: Features) -> None:
        """Nothing: what is learned, is learned of pairs."""

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
        """Nothing to keep."""
        return None

    def load(self, state: Any) -> None:
        """Nothing to take."""
