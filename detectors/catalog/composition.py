"""A crowd that is not the platform's crowd: who came and how they behaved, not how many.

Each feature of the crowd is compared with the target's own habit where it has one and with the platform's mean
elsewhere; the deviation is calibrated on unflagged windows of the same size, so a platform whose honest crowds vary
widely (editors who save ten times) raises its own bar. Features stand in four families of evidence, whose
p-values are joined within a family by Simes' rule (Simes 1986), which holds under positive dependence:

- *conduct*: repeats, watch time; *accounts*: fresh accounts; *origin*: networks.
- *path*: strangers, agents, referrers, countries. Told as evidence, but news, embeds and in-app browsers move
  it as far as any seller, so it judges nobody.

A window scores by conduct or accounts, and only if a second of the first three agrees; one alone is watched.
An act that an actor can do but once (a like, a follow) and that is repeated needs no second witness.

Must spare: viral hits (their crowd is the platform's), embeds (path, and conduct alone), schools and carriers
(origin alone), super-fans (conduct alone, and their target's habit), one-country audiences (habit), platforms
that send few fields (an absent feature is no evidence).

>>> from detectors.features import FRESH, NETWORK
>>> detector = Composition()
>>> detector.score_one({"count": 500.0, FRESH: 0.9, NETWORK: 0.9})
0.0
>>> for i in range(2000):
...     detector.learn_one({"count": 500.0, FRESH: 0.02 * (i % 7), NETWORK: 0.01 * (i % 5)})
>>> detector.score_one({"count": 500.0, FRESH: 0.9, NETWORK: 0.9}) > 4
True
>>> detector.score_one({"count": 500.0, FRESH: 0.9, NETWORK: 0.02}) < 3
True
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from detectors import features as f
from detectors.calibration import HISTORY_MIN, Calibrator, Mean
from detectors.detector import Features, Finding
from detectors.evidence import ACCOUNTS, CONDUCT, EVENTS_MIN, ORIGIN, TEXTS, habit

WITNESS_P = 0.01
"""A second family agrees below this."""

ALONE_MAX = 2.5
"""Score of a window in which one family stands alone: watched, never enough for a verdict."""


class Composition:
    """See the module."""

    name = "composition"

    def __init__(self) -> None:
        self._calibrators: dict[str, Calibrator] = {}
        self._usual: dict[str, Mean] = {}

    def score_one(self, x: Features) -> float:
        """-log10 p of the strongest judging family, capped at ALONE_MAX where no other family agrees."""
        found = {finding.code: finding.p for finding in self.findings(x)}
        conduct, accounts, origin = (
            _simes(found, [name for name in family if name in x]) for family in (CONDUCT, ACCOUNTS, ORIGIN)
        )
        score = max(_witnessed(conduct, min(accounts, origin)), _witnessed(accounts, min(conduct, origin)))
        if x.get(f.ONCE, 0.0) > 0.0:
            score = max(score, -math.log10(found.get(TEXTS[f.REPEATS][0], 1.0)))
        return score

    def learn_one(self, x: Features) -> None:
        """Learn an unflagged window's deviations."""
        size = int(x.get(f.COUNT, 0))
        if size < EVENTS_MIN:
            return
        for name in f.CROWD_FEATURES:
            value = x.get(name)
            if value is None:
                continue
            usual = self._usual.get(name)
            if usual is None:
                usual = self._usual[name] = Mean()
                self._calibrators[name] = Calibrator()
            usual.learn(value)
            self._calibrators[name].learn(size, max(0.0, value - x.get(habit(name), usual.value)))

    def findings(self, x: Features) -> list[Finding]:
        """Features that are rarer than one honest window in ten."""
        size = int(x.get(f.COUNT, 0))
        found = []
        if size >= EVENTS_MIN:
            for name in f.CROWD_FEATURES:
                value = x.get(name)
                usual = self._usual.get(name)
                if value is None or usual is None:
                    continue
                baseline = x.get(habit(name), usual.value)
                p = self._calibrators[name].p(size, max(0.0, value - baseline))
                if value > baseline and p < 0.1:
                    code, text = TEXTS[name]
                    sentence = text.format(value=f"{value:.0%}", baseline=f"{baseline:.0%}")
                    share = (value - baseline) / (1.0 - baseline)
                    found.append(Finding(code, self.name, value, baseline, p, share, sentence))
        found.sort(key=lambda finding: (finding.p, finding.code))
        return found

    def experienced(self) -> bool:
        """Whether enough has been learned to have an opinion."""
        return any(calibrator.history() >= HISTORY_MIN for calibrator in self._calibrators.values())

    def dump(self) -> Any:
        """State as builtins."""
        return [msgspec.to_builtins(self._calibrators, str_keys=True), msgspec.to_builtins(self._usual)]

    def load(self, state: Any) -> None:
        """Take dumped state."""
        self._calibrators = msgspec.convert(state[0], dict[str, Calibrator], strict=False)
        self._usual = msgspec.convert(state[1], dict[str, Mean])


def _simes(found: dict[str, float], measured: list[str]) -> float:
    ranked = sorted(found[TEXTS[name][0]] for name in measured if TEXTS[name][0] in found)
    return min([1.0, *(len(measured) * p / (rank + 1) for rank, p in enumerate(ranked))])


def _witnessed(family: float, others: float) -> float:
    score = -math.log10(max(family, 1e-300))
    return max(0.0, score if others <= WITNESS_P else min(score, ALONE_MAX))
