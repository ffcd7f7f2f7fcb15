"""A p-value as a score."""

from __future__ import annotations

from detectors.scoring.detector import score_of


def test_a_score_is_finite_and_never_negative() -> None:
    assert score_of(1.0) == 0.0
    assert score_of(0.01) == 2.0
    assert score_of(1e-299) == 299.0
    assert score_of(0.0) == score_of(1e-301) == 300.0
