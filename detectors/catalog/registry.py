"""The detectors by name, and their roles in a verdict. A new detector is a file in ``catalog/`` and a line here."""

from __future__ import annotations

from collections.abc import Callable

from detectors.catalog import outlier
from detectors.catalog.accounts import Accounts
from detectors.catalog.cadence import Cadence
from detectors.catalog.drip import DRIP_CODE, Drip
from detectors.catalog.engagement import Engagement
from detectors.catalog.lockstep import LOCKSTEP_CODE, Lockstep
from detectors.catalog.origin import Origin
from detectors.catalog.outlier import Outlier
from detectors.catalog.record import Record
from detectors.catalog.repetition import Repetition
from detectors.catalog.surge import SURGE_CODE, Surge
from detectors.catalog.watch import Watch
from detectors.scoring.detector import Detector
from detectors.scoring.river_models import UNLIKE_CROWD_CODE
from detectors.scoring.sentences import TEXTS
from detectors.scoring.shares import codes_of

REGISTRY: dict[str, Callable[[], Detector]] = {
    detector.name: detector
    for detector in (Surge, Accounts, Origin, Record, Repetition, Cadence, Watch, Engagement, Outlier, Drip, Lockstep)
}

SURGE, DRIP, ACCOUNTS, ORIGIN, RECORD = Surge.name, Drip.name, Accounts.name, Origin.name, Record.name
LOCKSTEP = Lockstep.name
SELLERS_CODE = "seller_accounts"
"""Reason code of accounts of sellers, by rulings that came after their acts (``verdict.sellers``)."""
REPETITION, CADENCE, WATCH, ENGAGEMENT = Repetition.name, Cadence.name, Watch.name, Engagement.name
ONCE_ONLY = REPETITION
"""Convicts alone if honest actors can do an act only once."""

WHO: tuple[str, ...] = (ACCOUNTS, ORIGIN, RECORD)
HOW: tuple[str, ...] = (REPETITION, CADENCE, WATCH, ENGAGEMENT)
"""Families of evidence that a verdict needs: *who* came and *how* they behaved. Detectors in neither family appear in
the reasons, without a vote."""

IN_SHADOW = frozenset({Outlier.name})
"""Detectors without a vote unless the configuration gives them one. docs/detection.md has the measurements."""

CROWD_DETECTORS: tuple[str, ...] = tuple(name for name in REGISTRY if name != SURGE)

CONDUCT: tuple[str, ...] = (REPETITION, CADENCE, WATCH)
"""Detectors of what the events show. ENGAGEMENT is not among them: it measures what is missing."""

ESTIMATING_CODES = codes_of((Accounts, Origin, Record, Repetition, Watch)) | {"no_views", LOCKSTEP_CODE, SELLERS_CODE}
"""Reason codes whose share estimates the artificial share. Evenness has no share. Missing likes are left out: many
honest crowds have none at all."""

REASON_CODES: tuple[str, ...] = (
    SURGE_CODE,
    DRIP_CODE,
    LOCKSTEP_CODE,
    SELLERS_CODE,
    UNLIKE_CROWD_CODE,
    *(code for code, _ in TEXTS.values()),
)
"""All codes that a reason of a flag can have."""

DETECTOR_SET = "+".join(sorted(REGISTRY))
"""Part of every flag id: different sets of detectors give different flags."""


def prepare() -> None:
    """Import modules that detectors import only on first use. Otherwise the first window waits a second."""
    outlier.prepare()
