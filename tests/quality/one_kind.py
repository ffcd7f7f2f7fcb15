"""``python -m tests.quality.one_kind``: which method says best that one kind of evidence exceeds everything seen.

The windows of likes and follows of a few scenarios are put before the present calibration and River's anomaly
detectors, in the order in which they close. All methods learn the same unflagged windows, and are asked about the same
surges in which no conduct is seen. ``docs/detection.md`` has the result.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

from river.anomaly import GaussianScorer, HalfSpaceTrees, QuantileFilter, ThresholdFilter

from detectors.catalog.accounts import Accounts
from detectors.events.key import is_view, metric_name_of, target_of
from detectors.features import names as f
from detectors.features.columns import Columns, number_of, rows_of
from detectors.features.names import Features
from detectors.judge import Judge
from detectors.lab.backtest import START_MS, AuditRun, platform_for
from detectors.lab.measure import Truth
from detectors.lab.removals import TargetMetric
from detectors.lab.scenarios.registry import SCENARIOS
from detectors.measurement.window_view import WindowView
from detectors.thresholds import DEFAULTS, Thresholds
from detectors.verdict.alone import conduct_is_seen, overwhelming
from detectors.verdict.evidence import MOST, WindowEvidence
from detectors.verdict.opinion import Opinion

BOUGHT = ("likes_only_fresh", "fresh_followers")
HONEST = ("likes_only_course", "likes_only_hits", "sign_up_wave")
SHARES = (f.FRESH, f.COHORT)
QUANTILE = 0.999
"""Of the windows learned; River's filters say that a window above it is anomalous."""


class Question(NamedTuple):
    """A surge of likes or follows in which no conduct is seen."""

    x: Features
    by_calibration: bool
    bought: bool
    honest: bool
    key: str


@dataclass
class Recorded:
    """What the detectors of a run learned and were asked, in this order, by the detector of accounts."""

    steps: list[tuple[int, Features | Question]] = field(default_factory=list)


def recorded(name: str, seed: int, views: float) -> Recorded:
    """The windows of a run of one scenario."""
    taken: list[tuple[int, Features | tuple[WindowView, Features, bool]]] = []
    learn, judge = Accounts.learn_many, Judge._opinion  # the place where both families are known

    def learned(self: Accounts, x: Columns) -> None:
        taken.extend((id(self), row) for row in rows_of(x, range(number_of(x))))
        learn(self, x)

    def asked(self: Judge, window: WindowView, found: WindowEvidence, limits: Thresholds) -> Opinion:
        view = judge(self, window, found, limits)
        if not is_view(window.key) and not conduct_is_seen(window.x) and window.surge >= DEFAULTS.surge_score_least:
            alone = overwhelming(found.findings, DEFAULTS) is not None
            detector = window.platform.detector("accounts", window.scale)
            taken.append((id(detector), (window, found.x, alone)))
        return view

    scenario, truth, run = SCENARIOS[name], Truth(), AuditRun()
    with patch.object(Accounts, "learn_many", learned), patch.object(Judge, "_opinion", asked):
        for chunk in scenario.events(platform_for(scenario, seed, views=views), seed=seed, start_ms=START_MS):
            truth.note(chunk)
            run.take(chunk)
        run.finish()
    return Recorded([(which, _labelled(step, truth)) for which, step in taken])


def _labelled(step: Features | tuple[WindowView, Features, bool], truth: Truth) -> Features | Question:
    if not isinstance(step, tuple):
        return step
    window, x, alone = step
    key = TargetMetric(target_of(window.key), metric_name_of(window.key))
    bought = truth.bought(key, window.start, window.until) / max(1, truth.seen(key, window.start, window.until))
    return Question(x, alone, bought >= MOST, bought == 0.0, window.key)


class Method:
    """A method: what it learns and what it says of a window. One instance for each detector of a run."""

    def __init__(self, learn: Callable[[Features], None], odd: Callable[[Features], bool]) -> None:
        self.learn, self.odd = learn, odd


def trees(quantile: bool) -> Method:
    """HalfSpaceTrees over all features, behind one of River's filters, which keep what they flag from the trees."""
    model = HalfSpaceTrees(n_trees=10, height=6, window_size=250, seed=1)
    guarded: Any = (
        QuantileFilter(model, q=QUANTILE, protect_anomaly_detector=True)
        if quantile
        else ThresholdFilter(model, threshold=0.95, protect_anomaly_detector=True)
    )

    def given(x: Features) -> dict[str, float]:
        return {name: x.get(name, 0.0) for name in f.CROWD_FEATURES}

    return Method(lambda x: guarded.learn_one(given(x)), lambda x: bool(guarded.classify(guarded.score_one(given(x)))))


def gaussian() -> Method:
    """A GaussianScorer for each share; odd above the quantile of both tails together."""
    make: Any = GaussianScorer  # River has no types here
    scorers = {name: make(window_size=None, grace_period=30) for name in SHARES}

    def learn(x: Features) -> None:
        for name, scorer in scorers.items():
            if name in x:
                scorer.learn_one(None, x[name])

    def odd(x: Features) -> bool:
        return any(
            name in x and x[name] >= MOST and scorer.score_one(None, x[name]) > 1.0 - 2.0 * (1.0 - QUANTILE)
            for name, scorer in scorers.items()
        )

    return Method(learn, odd)


METHODS: dict[str, Callable[[], Method]] = {
    "HalfSpaceTrees, QuantileFilter": lambda: trees(True),
    "HalfSpaceTrees, ThresholdFilter": lambda: trees(False),
    "GaussianScorer for each share": gaussian,
}
CALIBRATION = "calibration (Tail, Calibrator)"


def compare(runs: Iterable[Recorded]) -> dict[str, list[int]]:
    """Method → [bought windows found, of how many, honest windows called odd, of how many]. Prints the cost."""
    counts = {name: [0, 0, 0, 0] for name in (CALIBRATION, *METHODS)}
    spent, steps = dict.fromkeys(METHODS, 0.0), 0
    for run in runs:
        made: dict[tuple[str, int], Method] = {}
        for which, step in run.steps:
            steps += 1
            if isinstance(step, Question):
                _count(counts[CALIBRATION], step, odd=step.by_calibration)
            for name, make in METHODS.items():
                method = made.setdefault((name, which), make()) if (name, which) not in made else made[name, which]
                began = time.perf_counter()
                if isinstance(step, Question):
                    _count(counts[name], step, odd=method.odd(step.x))
                else:
                    method.learn(step)
                spent[name] += time.perf_counter() - began
    for name, seconds in spent.items():
        print(f"{name}: {1e6 * seconds / max(1, steps):.0f} µs a window")
    return counts


def _count(counts: list[int], question: Question, *, odd: bool) -> None:
    if question.bought or question.honest:
        at = 0 if question.bought else 2
        counts[at] += odd
        counts[at + 1] += 1


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[11, 12])
    parser.add_argument("--views", type=float, default=60_000)
    options = parser.parse_args()
    for names in (BOUGHT, HONEST):
        runs = [recorded(name, seed, options.views) for name in names for seed in options.seeds]
        for method, (found, bought, odd, honest) in compare(runs).items():
            print(f"{', '.join(names)} | {method} | {found} of {bought} | {odd} of {honest}", flush=True)


if __name__ == "__main__":
    main()
