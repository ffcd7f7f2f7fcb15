"""A crowd that is not the platform's crowd: who came, not how many.

Each feature of the crowd (repeats, strangers, fresh accounts, and the share of networks, agents, referrers
and countries beyond the platform's mix) is compared with the target's own habit where it has one and with the
platform's mean elsewhere; the deviation is calibrated on unflagged windows of the same size, so a platform whose
honest crowds vary widely (editors who save ten times) raises its own bar. The features' p-values
are joined by Simes' rule (Simes 1986), which holds under positive dependence.

Must spare: viral hits (their crowd is the platform's), super-fans (their target's habit), one-country
audiences (habit again), platforms that send few fields (an absent feature is no evidence).

>>> detector = Composition()
>>> detector.score_one({"count": 500.0, "network": 0.9})
0.0
>>> for i in range(2000):
...     detector.learn_one({"count": 500.0, "network": 0.02 * (i % 7)})
>>> detector.score_one({"count": 500.0, "network": 0.9}) > 4
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

WEAK = (f.REFERRER, f.COUNTRY)
"""Features that honest news and embeds move as well: they support a finding, they never make one alone."""


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
        """-log10 of the Simes-joined p-value of the strong features."""
        found = sorted(finding.p for finding in self.findings(x) if finding.code not in _WEAK_CODES)
        measured = sum(1 for name in f.CROWD_FEATURES if name in x and name not in WEAK)
        if not found:
            return 0.0
        p = min(1.0, *(measured * p / (rank + 1) for rank, p in enumerate(found)))
        return -math.log10(max(p, 1e-300))

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


_WEAK_CODES = frozenset(TEXTS[name][0] for name in WEAK)
