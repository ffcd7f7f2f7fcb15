"""The gate itself: what it lets pass and what it holds."""

from __future__ import annotations

from typing import Any

from detectors.lab.measure import Report
from streams.offline.backtest import failure_sentence
from tests.quality.gate import fallen

GOOD: dict[str, Any] = {"precision": 0.99, "recall": 0.96, "detect_seconds": 40.0, "wrong_flags": 0}


def said(run: str = "mimic/1", **changed: Any) -> list[str]:
    return fallen({run: GOOD}, {run: {**GOOD, **changed}})


def test_the_same_figures_and_better_ones_pass() -> None:
    assert said() == []
    assert said(recall=1.0, detect_seconds=5.0) == []


def test_a_loss_within_the_bound_passes_and_one_beyond_it_is_said() -> None:
    assert said(recall=0.92) == []
    assert said(recall=0.90) == [
        "mimic/1: recall was 0.96 in base and is 0.9 at head; it may fall behind by 0.05",
    ]


def test_one_more_wrong_flag_is_said() -> None:
    assert len(said(wrong_flags=1)) == 1


def test_an_attack_that_is_no_longer_found_is_said() -> None:
    assert said(detect_seconds=None) == ["mimic/1: detect_seconds was 40 in base and has no value at head"]


def test_runs_that_only_one_side_has_are_said() -> None:
    assert len(fallen({"mimic/1": GOOD}, {"quiet/1": GOOD})) == 2


def test_an_attack_that_is_found_for_the_first_time_must_be_found_precisely() -> None:
    missed = {"mimic/1": {**GOOD, "precision": None, "recall": 0.0}}
    assert fallen(missed, {"mimic/1": {**GOOD, "precision": 0.97}}) == []
    assert len(fallen(missed, {"mimic/1": {**GOOD, "precision": 0.5}})) == 1


def test_a_contained_exception_is_said_with_its_run_and_its_text() -> None:
    assert failure_sentence(Report("mimic", "truecount", 1)) is None
    failed = Report("mimic", "truecount", 1, failures={"hour": 2, "learning": 1}, first_failure="KeyError: 7")
    sentence = failure_sentence(failed)
    assert sentence is not None
    assert "mimic/1: 3 exceptions" in sentence
    assert "(hour 2, learning 1)" in sentence
    assert sentence.endswith("KeyError: 7")
