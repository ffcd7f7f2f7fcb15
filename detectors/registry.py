"""Which detectors there are. A new one is a file in ``catalog/`` and a line here."""

from __future__ import annotations

from collections.abc import Callable

from detectors.catalog.composition import Composition
from detectors.catalog.surge import Surge
from detectors.detector import Detector

REGISTRY: dict[str, Callable[[], Detector]] = {
    Surge.name: Surge,
    Composition.name: Composition,
}

DETECTOR_SET = "+".join(sorted(REGISTRY))
"""Part of every flag id: flags of different sets of detectors are different flags."""
