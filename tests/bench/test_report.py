"""A run of the benchmark names each promise that it misses."""

from __future__ import annotations

from typing import Any

import pytest

from bench.events import Traffic
from bench.measured import Measured
from bench.report import Run

PARTS = {
    "ceiling": Measured(1_000_000, 4.0, 3.0),
    "per_message": Measured(100_000, 20.0, 20.0),
    "quix": Measured(1_000_000, 80.0, 70.0),
    "flink": Measured(1_000_000, 6.0, 8.0),
    "truecount": Measured(1_000_000, 8.0, 8.0),
}
FIGURES: dict[str, dict[str, Any]] = {
    "all_roles": {"slowdown": 2.0},
    "day": {"us_per_event": 15.0},
    "sparse": {"us_per_event": 39.9},
    "tick": {"nearly_empty_tick_us": 49.9},
    "closing": {"usual_window_cpu_us": 14.9},
    "across": {"flag_latency_p99_s": 16.0, "unflagged_share": 0.05, "sender_behind_s": 2.0},
    "across_rise": {"flag_latency_p99_s": 16.0},
}


def _run(parts: dict[str, Measured], figures: dict[str, dict[str, Any]]) -> Run:
    return Run(Traffic(1_000_000), 220.0, parts, figures, None, 0.0)


def test_a_run_that_reaches_every_promise_misses_none(capsys: pytest.CaptureFixture[str]) -> None:
    run = _run(PARTS, FIGURES)
    assert run.misses() == []
    assert run.not_measured() == []
    run.show()
    assert "all promises are met" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "slower", "sentence"),
    [
        ("truecount", Measured(1_000_000, 11.0, 8.0), "0.36 × ceiling; promised: 0.4 ×"),
        ("per_message", Measured(1_000_000, 80.0, 1.0), "10.00 × per message; promised: 18 ×"),
        ("quix", Measured(1_000_000, 40.0, 1.0), "5.00 × quix; promised: 7 ×"),
        ("flink", Measured(1_000_000, 60.0, 4.0), "0.50 × flink per core; promised: 1 ×"),
        ("truecount", Measured(1_000_000, 8.0, 8.1), "cpu_us_per_event 8.1; promised: at most 8"),
    ],
)
def test_a_part_that_changes_a_ratio_is_named(
    part: str, slower: Measured, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run({**PARTS, part: slower}, FIGURES)
    assert sentence in "\n".join(run.misses())
    run.show()
    assert "NOT MET" in capsys.readouterr().out


@pytest.mark.parametrize("part", FIGURES)
@pytest.mark.parametrize("figure", [1_000.0, None])
def test_a_figure_above_its_bound_or_without_a_number_is_named(part: str, figure: float | None) -> None:
    run = _run(PARTS, {**FIGURES, part: dict.fromkeys(FIGURES[part], figure)})
    sentences = run.misses()
    assert len(sentences) == len(FIGURES[part])
    assert all(sentence.startswith(part) for sentence in sentences)


def test_what_did_not_run_is_not_a_miss_but_named() -> None:
    run = _run({"ceiling": PARTS["ceiling"]}, {})
    assert run.misses() == []
    assert "truecount to flink per core" in run.not_measured()
    assert "across flag_latency_p99_s" in run.not_measured()


def test_the_results_have_both_latencies() -> None:
    figures = {**FIGURES, "latency": {"flag_latency_p99_s": 9.0}}
    results = _run(PARTS, figures).as_dict()
    assert (results["flag_latency_p99_s"], results["across_flag_latency_p99_s"]) == (9.0, 16.0)
    assert results["ratios"]["truecount_to_flink_per_core"] == 1.0
