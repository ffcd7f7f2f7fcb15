"""What a detector is: River's interface over named features, and findings a person can read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from detectors.features.names import Features

P_MIN = 1e-300
SCORE_MAX = 300.0
"""Least p that becomes a score, and its score: 10^-SCORE_MAX stays above zero."""

FINDING_P = 0.1
FINDING_SCORE = 1.0
"""p from which down evidence is a finding (one honest window in ten), and its score."""


def score_of(p: float) -> float:
    """-log10 of a p-value, at most 300.

    >>> round(score_of(0.001), 6), score_of(0.0)
    (3.0, 300.0)
    """
    return -math.log10(max(p, P_MIN))


@dataclass(slots=True)
class Finding:
    """One detector's evidence in one window: ``value`` where ``baseline`` is usual, with its p-value.

    ``share`` is the part of the window's events, 0 … 1, that this evidence speaks of.
    """

    code: str
    detector: str
    value: float
    baseline: float
    p: float
    share: float
    text: str


@runtime_checkable
class Detector(Protocol):
    """Scores closed windows. One instance serves one metric at one rung of the ladder, in one task.

    It is called in the order in which windows close, must not block, sees no clock and no randomness, and
    must answer for any dict: a feature that is absent is no evidence. ``learn_one`` is called by the judge for windows
    that no case holds, never by the detector itself.
    """

    name: str

    def score_one(self, x: Features) -> float:
        """-log10 of the calibrated p-value: 0 is ordinary, 3 is one honest window in a thousand."""
        ...

    def learn_one(self, x: Features) -> None:
        """Learn an unflagged window."""
        ...

    def findings(self, x: Features) -> list[Finding]:
        """The evidence behind the score, strongest first; empty if there is none."""
        ...

    def experienced(self) -> bool:
        """Whether windows enough have been learned for a score that is the platform's own."""
        ...

    def dump(self) -> Any:
        """State as msgspec-encodable builtins."""
        ...

    def load(self, state: Any) -> None:
        """Take the state that ``dump`` gave."""
        ...
