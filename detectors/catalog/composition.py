"""A crowd that is not the platform's crowd: who came, not how many.

Each feature of the crowd (repeats, strangers, fresh accounts, and the share of networks, agents, referrers
and countries beyond the platform's mix) is compared with the target's own habit where it has one and with the
platform's mean elsewhere; the deviation is calibrated on unflagged windows of the same size, so a platform whose
honest crowds vary widely (editors who save ten times) raises its own bar. The features' p-values
are joined by Simes' rule (Simes 1986), which holds under positive dependence.

Must spare: viral hits (their crowd is the platform's), super-fans (their target's habit), one-country
audiences (habit again), platforms that send few fields (an absent feature is no evidence).

>>> detector = Composition()
>>> detector.score_one({"count": 500.0, "repeats": 0.9})
0.0
>>> for i in range(2000):
...     detector.learn_one({"count": 500.0, "repeats": 0.02 * (i % 7)})
>>> detector.score_one({"count": 500.0, "repeats": 0.9}) > 4
True
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from detectors import features as f
from detectors.calibration import Calibrator
from detectors.detector import Features, Finding

EVENTS_MIN = 8
"""Windows with fewer events have no composition to speak of."""

TEXTS: dict[str, tuple[str, str]] = {
    f.REPEATS: ("few_actors", "{value} of the events repeat an actor already counted; {baseline} is usual"),
    f.STRANGERS: ("unknown_actors", "{value} of the actors were never seen before; {baseline} is usual"),
    f.FRESH: ("fresh_accounts", "{value} of the accounts are under 30 days old; {baseline} is usual"),
    f.NETWORK: ("few_networks", "{value} came from networks that should send far fewer; {baseline} is usual"),
    f.AGENT: ("few_agents", "{value} came with user agents that should be far rarer; {baseline} is usual"),
    f.REFERRER: ("odd_referrers", "{value} came by referrers that should send far fewer; {baseline} is usual"),
    f.COUNTRY: ("odd_countries", "{value} came from countries that should send far fewer; {baseline} is usual"),
}

IDENTITY = (f.REPEATS, f.STRANGERS, f.FRESH)
"""Who they are. A crowd of the platform's own people is honest however it came: no other feature judges it."""

ORIGIN = (f.NETWORK,)
"""Where from. Schools and carriers share networks, so it judges only a crowd whose identity is odd as well."""

IDENTITY_P = 0.01
"""Below this a crowd's identity is odd enough for its origin to count."""


class Mean(msgspec.Struct, array_like=True):
    """Running mean with a bounded memory."""

    value: float = 0.0
    seen: int = 0

    def learn(self, x: float) -> None:
        """Add a value; after 5,000 the oldest fade."""
        self.seen = min(self.seen + 1, 5000)
        self.value += (x - self.value) / self.seen


class Composition:
    """See the module."""

    name = "composition"

    def __init__(self) -> None:
        self._calibrators: dict[str, Calibrator] = {}
        self._usual: dict[str, Mean] = {}

    def score_one(self, x: Features) -> float:
        """-log10 of the Simes-joined p-value of who they are, and then of where they came from.

        Agents, referrers and countries are told as evidence but judge nobody: honest news moves them as far.
        """
        by_code = {finding.code: finding.p for finding in self.findings(x)}
        identity = _simes(by_code, [name for name in IDENTITY if name in x])
        if identity > IDENTITY_P:
            return max(0.0, -math.log10(identity))
        joined = _simes(by_code, [name for name in IDENTITY + ORIGIN if name in x])
        return -math.log10(max(min(identity, joined), 1e-300))

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

    def dump(self) -> Any:
        """State as builtins."""
        return [msgspec.to_builtins(self._calibrators, str_keys=True), msgspec.to_builtins(self._usual)]

    def load(self, state: Any) -> None:
        """Take dumped state."""
        self._calibrators = msgspec.convert(state[0], dict[str, Calibrator], strict=False)
        self._usual = msgspec.convert(state[1], dict[str, Mean])


def habit(name: str) -> str:
    """Name of the feature that holds the target's own habit of ``name``."""
    return f"{name}_habit"


def _simes(by_code: dict[str, float], measured: list[str]) -> float:
    found = sorted(by_code[TEXTS[name][0]] for name in measured if TEXTS[name][0] in by_code)
    return min([1.0, *(len(measured) * p / (rank + 1) for rank, p in enumerate(found))])


JUDGING_CODES = frozenset(TEXTS[name][0] for name in IDENTITY + ORIGIN)
"""Findings whose share may estimate the artificial part."""
