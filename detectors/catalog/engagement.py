"""How: views without likes and follows, or likes and follows without views.

For views: the share of expected likes and follows that are missing, at the platform's rate per person with an account.
For likes and follows: the share that the target's views do not account for, at four times that rate. Rates of honest
targets vary far more than by chance (over-dispersion). So the p-value is by the platform's windows, or by correlated
people (``shares``), and never below that of targets whose rates differ by a gamma law, as far as the target's own rate
is not known (``reference.rates``).

Must not flag: embedded players and advertisements (few likes, but no evidence of *who*); pages whose people never like
(own habit); platforms that send only views or only likes (there is no rate); platforms where follows are of channels
and views of videos (follows without views are usual there).

>>> from detectors.features.names import PEOPLE, SILENT
>>> detector = Engagement()
>>> for i in range(2000):
...     detector.learn_one({PEOPLE: 500.0, SILENT: 0.05 * (i % 8)})
>>> detector.score_one({PEOPLE: 500.0, SILENT: 1.0}) > 3
True
"""

from __future__ import annotations

from detectors.features import names as f
from detectors.scoring.shares import Shares


class Engagement(Shares):
    """Detector of missing interaction; see the module."""

    name = "engagement"
    features = (f.SILENT, f.LONELY)
