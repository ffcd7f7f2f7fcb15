"""An online bound of the false-discovery rate over the tested windows.

A window is tested if its surge and its excess are large enough for a verdict. Its p-value is that of its crowd, because
honest surges can have any size. It may open a case only if p ≤ α_t, with::

    α_t = α · ( (1 - δ) + Σ_j δ^k (1 - g) g^(k-1) ),   k = t - τ_j tests since the j-th alarm at τ_j

That is LORD (Javanmard & Montanari 2018; Ramdas et al. 2017) with decaying memory, so that alarms stay possible after a
quiet year (Rebjock et al. 2021). Geometric weights reduce the sum to one number. Since Σ_i δ^(t-i) α_i is at most
α · (1 + Σ_j δ^(t-τ_j)), the expected number of wrong alarms in memory is at most α times (alarms in memory + 1), for
p-values that are valid given the past. The bound can only withhold verdicts.

>>> bound = Discoveries()
>>> [bound.allows(p, 0.05) for p in (2e-4, 5e-5)]
[False, True]
>>> bound.tested(alarm=True); bound.allows(2e-4, 0.05)
True
"""

from __future__ import annotations

import msgspec

MEMORY_TESTS = 500
"""1 / (1 - δ): memory in tests. At 15,000 views a day a task tests some 40 windows a day."""

REWARD_TESTS = 20
"""1 / (1 - g): tests over which an alarm raises α for the next ones, because attacks come in groups."""

DELTA = 1.0 - 1.0 / MEMORY_TESTS
G = 1.0 - 1.0 / REWARD_TESTS
FORGOTTEN = 1e-9
"""A reward below this is set to 0."""


class Discoveries(msgspec.Struct, array_like=True):
    """The bound of one metric in one task."""

    reward: float = 0.0
    """Σ of the formula, for the next test"""

    def allows(self, p: float, rate: float) -> bool:
        """Whether a window with this p-value may open a case, at the false-discovery rate α = ``rate``."""
        return p <= rate * min(1.0, (1.0 - DELTA) + self.reward)

    def tested(self, *, alarm: bool) -> None:
        """Record a test. ``alarm`` is whether the window got a verdict."""
        self.reward = self.reward * DELTA * G + (DELTA * (1.0 - G) if alarm else 0.0)
        if self.reward < FORGOTTEN:
            self.reward = 0.0
