"""Base of the detectors whose features are shares of a crowd: baselines, p-values and findings.

Baseline: the target's own habit if it has one, else the platform's mean.

p-value of a deviation from the baseline:

* by unflagged windows of the same size (``calibration``). So the more a platform's honest crowds vary, the larger a
  deviation must be.
* without such windows: a crowd of n counts as n / (1 + (n - 1)ρ) independent people (Kish's design effect), and the
  p-value is Chernoff's bound (Hoeffding 1963).
* for fewer than eight people: the larger of the exact tail of a beta-binomial with the same ρ (Skellam 1948) and the
  p-value by the smallest windows in the history.

The p-values of one detector's features are combined by Simes' rule (Simes 1986), which is valid under positive
dependence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from detectors.features import names as f
from detectors.features.columns import Column, Columns, columns_of, number_of, observations, rows_of
from detectors.features.names import Features
from detectors.scoring.calibration import HISTORY_MIN, Calibrator, Mean
from detectors.scoring.detector import FINDING_P, Finding, score_of
from detectors.scoring.sentences import TEXTS, habit, usual
from detectors.scoring.tails import (
    beta_binomial_tail,
    binomial_tail,
    chernoff_bound,
    gamma_poisson_lower_tail,
    poisson_lower_tail,
)

USUAL_PRIOR = 0.1
"""Usual share assumed before windows were learned."""

PLAIN_SHARES = frozenset({f.FRESH, f.DORMANT, f.RULED})
"""Features that are a plain share of people with a mark. From other shares, chance is already subtracted."""

CONTEXT_OF_SHARES = (
    *(f.COUNT, f.NAMED, f.PEOPLE, f.PARTS),
    *(f.INTERACTIONS, f.OWN_INTERACTIONS, f.INTERACTION_SHAPE),
)
"""What p-values of shares need besides the shares."""


class Shares:
    """See the module. A subclass sets its name and its features."""

    name: str
    features: tuple[str, ...]

    def __init__(self) -> None:
        self._calibrators: dict[str, Calibrator] = {}
        self._usual: dict[str, Mean] = {}
        self._inputs = frozenset(
            {*self.features, *map(habit, self.features), *map(usual, self.features), *CONTEXT_OF_SHARES}
        )

    def score_one(self, x: Features) -> float:
        """-log10 of the combined p-value of the detector's features (Simes' rule)."""
        ranked = sorted(p for name in self.features if (p := self._p_of(name, x)) < FINDING_P)
        measured = sum(name in x for name in self.features)
        return score_of(min([1.0, *(measured * p / (rank + 1) for rank, p in enumerate(ranked))]))

    def score_many(self, x: Columns) -> Column:
        """As ``score_one`` for each window. Only those with a feature above its baseline can have a score."""
        above = np.zeros(number_of(x), np.bool_)
        for name in self.features:
            if name in x:
                above |= x[name] > self._baselines(name, x)
        scores, places = np.zeros(len(above)), np.nonzero(above)[0].tolist()
        needed = {name: column for name, column in x.items() if name in self._inputs}
        for place, row in zip(places, rows_of(needed, places), strict=True):
            scores[place] = self.score_one(row)
        return scores

    def learn_one(self, x: Features) -> None:
        """See Detector: ``learn_many`` of one window."""
        self.learn_many(columns_of([x]))

    def learn_many(self, x: Columns) -> None:
        """Learn the deviations of unflagged windows, one after the other."""
        for name in self.features:
            if name not in x:
                continue
            given = np.nonzero(~np.isnan(x[name]))[0]
            if not len(given):
                continue
            seen = self._usual.get(name)
            if seen is None:
                seen = self._usual[name] = Mean()
                self._calibrators[name] = Calibrator()
            values = x[name][given]
            usual_values = np.array(seen.learn_all(values.tolist()))
            own = x.get(habit(name))
            if own is not None:
                habits = own[given]
                usual_values = np.where(np.isnan(habits), usual_values, habits)
            deviations = np.maximum(0.0, values - usual_values)
            self._calibrators[name].learn(observations(name, x)[given].tolist(), deviations.tolist())

    def findings(self, x: Features) -> list[Finding]:
        """Findings of the features with p below FINDING_P, strongest first."""
        found = []
        for name in self.features:
            p = self._p_of(name, x)
            if p < FINDING_P:
                value, baseline = x[name], self._baseline(name, x)
                code, text = TEXTS[name]
                sentence = text.format(value=f"{value:.0%}", baseline=f"{baseline:.0%}")
                share = (value - baseline) / (1.0 - baseline) * f.part_observed(name, x)
                beyond_all = self._is_beyond_all(name, x, value - baseline)
                found.append(Finding(code, self.name, value, baseline, p, share, sentence, beyond_all))
        found.sort(key=lambda finding: (finding.p, finding.code))
        return found

    def _p_of(self, name: str, x: Features) -> float:
        """p-value of a feature; 1.0 if it is absent or not above its baseline."""
        value = x.get(name)
        if value is None:
            return 1.0
        baseline = self._baseline(name, x)
        return 1.0 if value <= baseline else self._p(name, x, value, baseline)

    def _baselines(self, name: str, x: Columns) -> Column:
        """As ``_baseline`` for each window."""
        own, seen = x.get(habit(name)), self._usual.get(name)
        if seen is None or seen.seen < HISTORY_MIN:
            given = x.get(usual(name), np.full(number_of(x), np.nan))
            baselines = np.where(np.isnan(given), USUAL_PRIOR, given)
        else:
            baselines = np.full(number_of(x), seen.value)
        return baselines if own is None else np.where(np.isnan(own), baselines, own)

    def _baseline(self, name: str, x: Features) -> float:
        own = x.get(habit(name))
        if own is not None:
            return own
        seen = self._usual.get(name)
        return x.get(usual(name), USUAL_PRIOR) if seen is None or seen.seen < HISTORY_MIN else seen.value

    def _p(self, name: str, x: Features, value: float, baseline: float) -> float:
        size = f.observations(name, x)
        p = self._seen(name, x, value - baseline)
        if size < f.PEOPLE_MIN:
            return max(p or 0.0, beta_binomial_tail(size, value, baseline))
        if p is None:
            p = chernoff_bound(size, value, baseline)
        return max(p, _least_p(name, x, value, baseline))

    def _seen(self, name: str, x: Features, deviation: float) -> float | None:
        """p-value by the platform's own windows; None without history of this or a smaller size."""
        calibrator = self._calibrators.get(name)
        return None if calibrator is None else calibrator.p(max(f.observations(name, x), f.PEOPLE_MIN), deviation)

    def _is_beyond_all(self, name: str, x: Features, deviation: float) -> bool:
        """Whether a deviation is larger than those of all learned windows of such a size.

        Without such windows it is, if the platform's usual share is known: then the p-value assumes that the people of
        a crowd are alike.
        """
        calibrator = self._calibrators.get(name)
        highest = None if calibrator is None else calibrator.highest(max(f.observations(name, x), f.PEOPLE_MIN))
        if highest is None:
            return usual(name) in x or habit(name) in x
        return deviation > highest

    def experienced(self) -> bool:
        """Whether enough windows have been learned to calibrate p-values on this platform."""
        return any(calibrator.experienced() for calibrator in self._calibrators.values())

    def dump(self) -> Any:
        """State as builtins."""
        return [msgspec.to_builtins(self._calibrators, str_keys=True), msgspec.to_builtins(self._usual)]

    def load(self, state: Any) -> None:
        """Restore dumped state."""
        self._calibrators = msgspec.convert(state[0], dict[str, Calibrator], strict=False)
        self._usual = msgspec.convert(state[1], dict[str, Mean])


def codes_of(detectors: Iterable[type[Shares]]) -> frozenset[str]:
    """The reason codes of detectors."""
    return frozenset(TEXTS[name][0] for detector in detectors for name in detector.features)


def _least_p(name: str, x: Features, value: float, baseline: float) -> float:
    """Lower limit of the p-value: that of independent people, and for missing likes of targets that differ.

    The tail of the history is extrapolated, and does not know how small the numbers are: four missing likes may be
    chance, and of some targets most likes are missing.
    """
    if name == f.SILENT and f.INTERACTIONS in x:
        came, expected = round((1.0 - value) * x[f.INTERACTIONS]), x.get(f.OWN_INTERACTIONS, x[f.INTERACTIONS])
        shape = x.get(f.INTERACTION_SHAPE)
        return poisson_lower_tail(expected, came) if shape is None else gamma_poisson_lower_tail(expected, came, shape)
    if name in PLAIN_SHARES:
        return binomial_tail(f.observations(name, x), value, baseline)
    return 0.0
