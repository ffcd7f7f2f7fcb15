"""What the detectors of a crowd's composition share: features that are shares, their habits, their p-values.

Each feature is compared with the target's own habit where it has one, with the platform's mean elsewhere. The
deviation becomes a p-value by unflagged windows of the same size (``calibration``), so a platform whose honest crowds
vary widely raises its own bar. Where no such windows have been seen, a crowd of n counts as n / (1 + (n - 1)ρ)
independent people (Kish's design effect), and Chernoff's bound says how far chance takes a share (Hoeffding 1963).
A crowd of fewer than eight is asked twice: by the exact tail of the beta-binomial whose people are as alike as that
(Skellam 1948), and by how far the smallest crowds that are known have strayed; the larger p counts.
The p-values of one detector's features are joined by Simes' rule (Simes 1986), which holds under positive dependence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.calibration import HISTORY_MIN, Calibrator, Mean
from detectors.scoring.detector import FINDING_P, Finding, score_of
from detectors.scoring.sentences import TEXTS, habit, usual
from detectors.scoring.tails import chance_of, few, having, missing

USUAL_PRIOR = 0.1
"""A share assumed to be usual before windows were seen."""

COUNTED = frozenset({f.FRESH, f.DORMANT, f.RULED})
"""Features that are the plain share of people who have a mark; others have what chance brings taken off."""


class Shares:
    """See the module. A detector of the catalogue names itself and its features."""

    name: str
    of: tuple[str, ...]

    def __init__(self) -> None:
        self._calibrators: dict[str, Calibrator] = {}
        self._usual: dict[str, Mean] = {}

    def score_one(self, x: Features) -> float:
        """-log10 p of the detector's features together."""
        found = {finding.code: finding.p for finding in self.findings(x)}
        measured = [TEXTS[name][0] for name in self.of if name in x]
        ranked = sorted(found[code] for code in measured if code in found)
        p = min([1.0, *(len(measured) * p / (rank + 1) for rank, p in enumerate(ranked))])
        return score_of(p)

    def learn_one(self, x: Features) -> None:
        """Learn an unflagged window's deviations."""
        for name in self.of:
            value = x.get(name)
            if value is None:
                continue
            seen = self._usual.get(name)
            if seen is None:
                seen = self._usual[name] = Mean()
                self._calibrators[name] = Calibrator()
            seen.learn(value)
            self._calibrators[name].learn(f.observations(name, x), max(0.0, value - x.get(habit(name), seen.value)))

    def findings(self, x: Features) -> list[Finding]:
        """Features that are rarer than one honest window in ten."""
        found = []
        for name in self.of:
            value = x.get(name)
            if value is None:
                continue
            baseline = self._baseline(name, x)
            if value <= baseline:
                continue
            p = self._p(name, x, value, baseline)
            if p < FINDING_P:
                code, text = TEXTS[name]
                sentence = text.format(value=f"{value:.0%}", baseline=f"{baseline:.0%}")
                share = (value - baseline) / (1.0 - baseline) * f.part_observed(name, x)
                found.append(Finding(code, self.name, value, baseline, p, share, sentence))
        found.sort(key=lambda finding: (finding.p, finding.code))
        return found

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
            return max(p or 0.0, few(size, value, baseline))
        if p is None:
            p = chance_of(size, value, baseline)
        return max(p, _by_number(name, x, value, baseline))

    def _seen(self, name: str, x: Features, deviation: float) -> float | None:
        """p-value by the platform's own windows; None if none as small have been seen."""
        calibrator = self._calibrators.get(name)
        return None if calibrator is None else calibrator.p(max(f.observations(name, x), f.PEOPLE_MIN), deviation)

    def experienced(self) -> bool:
        """Whether windows have been seen, so that p-values are the platform's own."""
        return any(calibrator.history() >= HISTORY_MIN for calibrator in self._calibrators.values())

    def dump(self) -> Any:
        """State as builtins."""
        return [msgspec.to_builtins(self._calibrators, str_keys=True), msgspec.to_builtins(self._usual)]

    def load(self, state: Any) -> None:
        """Take dumped state."""
        self._calibrators = msgspec.convert(state[0], dict[str, Calibrator], strict=False)
        self._usual = msgspec.convert(state[1], dict[str, Mean])


def codes_of(detectors: Iterable[type[Shares]]) -> frozenset[str]:
    """The reason codes that detectors can give."""
    return frozenset(TEXTS[name][0] for detector in detectors for name in detector.of)


def _by_number(name: str, x: Features, value: float, baseline: float) -> float:
    """The least p-value that numbers so small can have, were people independent: what history continues beyond what was
    seen does not know that four likes that are missing may have been chance."""
    if name == f.SILENT and f.INTERACTIONS in x:
        return missing(x[f.INTERACTIONS], round((1.0 - value) * x[f.INTERACTIONS]))
    if name in COUNTED:
        return having(f.observations(name, x), value, baseline)
    return 0.0
