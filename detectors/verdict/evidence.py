"""Evidence about one window's crowd, by kind, with the scores and shares that count."""

from __future__ import annotations

import math
from typing import NamedTuple

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.detector import Finding

WITNESS_SCORE = 2.0
"""Least -log10 p of each of two kinds of evidence that convict together."""

CREDIBLE_P = 0.01
"""Highest p-value of a finding that is used to estimate the artificial share."""

PART_MIN = 0.15
"""Least share of the crowd that evidence must apply to: a difference can be significant and still be small."""

MOST = 0.5
"""Least share of the crowd for evidence that also occurs in honest crowds with smaller shares."""

UNCORRECTED_JUDGINGS = 4.0
"""Judgings of one surge for which WITNESS_SCORE is calibrated. More judgings find more by chance, so the score rises
(Bonferroni)."""

RENTED = "rented"
"""Evidence kind: several networks beyond their usual share, without the largest. It is a feature of ``origin`` that
also counts by itself. This name is a key of the stored sums over days."""

OWN_WHO, OWN_HOW = "own who", "own how"
"""Evidence kinds: the operator's own models of *who* came, and those of *how* they behaved."""

Models = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of an operator's own models: of *who*, of *how*."""
NO_MODELS: Models = ((), ())


class WindowEvidence(NamedTuple):
    """Evidence of the detectors with a vote about a window."""

    evidence: dict[str, tuple[float, float]]
    """score (-log10 p) and share of the crowd (0 … 1) by detector"""
    rented: tuple[float, float]
    """score and share of RENTED"""
    findings: list[Finding]
    """the findings behind them"""
    x: Features
    """the features of the window, with those that only evidence has"""


class CrowdEvidence:
    """Evidence about one crowd by kind: a detector's name, RENTED, OWN_WHO or OWN_HOW."""

    __slots__ = ("_found", "least_score", "x")

    def __init__(
        self, x: Features, evidence: dict[str, tuple[float, float]], rented: tuple[float, float], models: Models
    ) -> None:
        self.x = x
        self.least_score = WITNESS_SCORE + math.log10(max(1.0, x.get(f.TIMES_JUDGED, 1.0) / UNCORRECTED_JUDGINGS))
        """-log10 p that each of two kinds of evidence needs; more if the surge was judged often (Bonferroni)"""
        self._found: dict[str, list[tuple[float, float]]] = {name: [found] for name, found in evidence.items()}
        self._found[RENTED] = [rented]
        for kind, names in zip((OWN_WHO, OWN_HOW), models, strict=True):
            self._found[kind] = [evidence[name] for name in names if name in evidence]

    def score(self, *kinds: str, least_share: float = PART_MIN) -> float:
        """Highest score among these kinds with at least this share of the crowd; 0 if there is none."""
        best = 0.0
        for kind in kinds:
            for score, share in self._found.get(kind, ()):
                if share >= least_share and score > best:
                    best = score
        return best

    def share(self, *kinds: str) -> float:
        """Largest share of the crowd among these kinds, whatever its score."""
        return max((share for kind in kinds for _, share in self._found.get(kind, ())), default=0.0)
