"""The interface of detectors: River's methods over named features, and findings with a readable sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from detectors.features.columns import Column, Columns, number_of, rows_of
from detectors.features.names import Features

P_MIN = 1e-300
SCORE_MAX = 300.0
"""Least p-value that is converted to a score, and its score: 10^-SCORE_MAX is above zero."""

FINDING_P = 0.1
FINDING_SCORE = 1.0
"""Highest p-value of a finding (one honest window in ten), and its score."""


def score_of(p: float) -> float:
    """-log10 of a p-value, at most 300.

    >>> round(score_of(0.001), 6), score_of(0.0)
    (3.0, 300.0)
    """
    return -math.log10(max(p, P_MIN))


@dataclass(slots=True)
class Finding:
    """One detector's evidence in one window: a value, its baseline, and the p-value of the difference.

    ``share`` is the share of the window's events, 0 … 1, to which the evidence applies.
    """

    code: str
    detector: str
    value: float
    baseline: float
    p: float
    share: float
    text: str
    beyond_all: bool = False
    """whether the difference is larger than in any window of such a size that was learned"""


@runtime_checkable
class Detector(Protocol):
    """Scores windows. One instance serves one metric at one group of scales, in one task.

    It is called in the order in which windows close. It must not block, read a clock or use randomness. It must accept
    any dict: an absent feature is no evidence. ``learn_one`` is called by the judge for windows that are not part of a
    case, never by the detector itself.
    """

    name: str

    def score_one(self, x: Features) -> float:
        """-log10 of the calibrated p-value: 0 is usual, 3 is one honest window in a thousand."""
        ...

    def learn_one(self, x: Features) -> None:
        """Learn an unflagged window."""
        ...

    # Two more methods are optional, as in River's mini-batch interface: ``score_many`` and ``learn_many``. They take
    # the features of many windows as columns (``features.columns``) and do what the methods above do for one window
    # after the other. See ``score_many`` and ``learn_many`` below.

    def findings(self, x: Features) -> list[Finding]:
        """Evidence for the score, strongest first; empty if there is none."""
        ...

    def experienced(self) -> bool:
        """Whether enough windows have been learned to calibrate scores on this platform."""
        ...

    def dump(self) -> Any:
        """State as msgspec-encodable builtins."""
        ...

    def load(self, state: Any) -> None:
        """Restore state returned by ``dump``."""
        ...


def score_many(detector: Detector, x: Columns) -> Column:
    """The scores of many windows, by a detector with or without ``score_many``."""
    many = getattr(detector, "score_many", None)
    if many is not None:
        scores: Column = many(x)
        return scores
    return np.array([detector.score_one(row) for row in rows_of(x, range(number_of(x)))], np.float64)


def learn_many(detector: Detector, x: Columns) -> None:
    """Teach a detector many unflagged windows, with or without ``learn_many``."""
    many = getattr(detector, "learn_many", None)
    if many is not None:
        many(x)
        return
    for row in rows_of(x, range(number_of(x))):
        detector.learn_one(row)
