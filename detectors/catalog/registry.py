"""Which detectors there are, and what each can say. A new one is a file in ``catalog/`` and a line here."""

from __future__ import annotations

from collections.abc import Callable

from detectors.catalog import outlier
from detectors.catalog.accounts import Accounts
from detectors.catalog.cadence import Cadence
from detectors.catalog.drip import Drip
from detectors.catalog.engagement import Engagement
from detectors.catalog.lockstep import LOCKSTEP_CODE, Lockstep
from detectors.catalog.origin import Origin
from detectors.catalog.outlier import Outlier
from detectors.catalog.record import Record
from detectors.catalog.repetition import Repetition
from detectors.catalog.surge import Surge
from detectors.catalog.watch import Watch
from detectors.scoring.detector import Detector
from detectors.scoring.shares import codes_of

REGISTRY: dict[str, Callable[[], Detector]] = {
    detector.name: detector
    for detector in (Surge, Accounts, Origin, Record, Repetition, Cadence, Watch, Engagement, Outlier, Drip, Lockstep)
}

SURGE, DRIP, ACCOUNTS, ORIGIN, RECORD = Surge.name, Drip.name, Accounts.name, Origin.name, Record.name
LOCKSTEP = Lockstep.name
REPETITION, CADENCE, WATCH, ENGAGEMENT = Repetition.name, Cadence.name, Watch.name, Engagement.name
ONCE_ONLY = REPETITION
"""Convicts alone where an act can honestly be done only once."""

WHO: tuple[str, ...] = (ACCOUNTS, ORIGIN, RECORD)
HOW: tuple[str, ...] = (REPETITION, CADENCE, WATCH, ENGAGEMENT)
"""What a verdict rests on: *who* came and *how* they behaved. Others are told, and judge nobody."""

IN_SHADOW = frozenset({Outlier.name})
"""Without a vote unless the configuration gives it one. docs/detection.md says what was measured."""

CROWD_DETECTORS: tuple[str, ...] = tuple(name for name in REGISTRY if name != SURGE)

CONDUCT: tuple[str, ...] = (REPETITION, CADENCE, WATCH)
"""What the events themselves show; silence is only what they lack."""

ESTIMATING_CODES = codes_of((Accounts, Origin, Record, Repetition, Watch)) | {"no_views", LOCKSTEP_CODE}
"""Findings whose share estimates the artificial part. Evenness has no share; silence is that of many an honest crowd
as a whole."""

DETECTOR_SET = "+".join(sorted(REGISTRY))
"""Part of every flag id: flags of different sets of detectors are different flags."""


def prepare() -> None:
    """Import what detectors import only when they are first used: the first window would wait a second for it."""
    outlier.prepare()
