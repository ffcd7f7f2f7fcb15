"""The evidence of one window, as the verdict gets it."""

from __future__ import annotations

from typing import NamedTuple

from detectors.scoring.detector import Finding


class Said(NamedTuple):
    """What the voting detectors say of a window: score and share by detector, the same of the networks that no single
    place explains, and the findings behind them."""

    evidence: dict[str, tuple[float, float]]
    rented: tuple[float, float]
    findings: list[Finding]
