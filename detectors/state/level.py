"""The usual count of a target: exponentially weighted level and spread for each scale."""

from __future__ import annotations

import math

import msgspec

from detectors.windows.scales import DAY, HOUR, MINUTES, Scale

MEMORY_WINDOWS: dict[str, int] = {MINUTES: 96, HOUR: 96, DAY: 28}
"""Memory of a level in windows: 8 hours, 4 days, 4 weeks. Long enough to learn a rhythm, short enough to follow a
channel that grows honestly."""

GAP_WINDOWS_MAX = 256
"""Empty windows after which a longer silence changes no level: by then every level has forgotten the rest."""

CLIP_SPREADS = 4.0
"""A level learns at most mean + 4 spreads from a window: a burst cannot set a new normal in one window, and a lasting
change is still learned within the memory."""

YOUNG_WINDOWS = 4
"""Windows after which a target's own level replaces the platform's."""

DISPERSION_RANGE = (0.15, 50.0)
"""Bounds of the negative binomial's size r: 0.15 is burstier than any page measured, 50 is almost Poisson."""


class Level(msgspec.Struct, array_like=True, gc=False):
    """Level of one target at one scale: EW mean of counts and of squared counts, in events per window."""

    mean: float = 0.0
    mean_square: float = 0.0
    windows: int = 0
    last_start: int = -1

    def learn(self, scale: Scale, start_ms: int, count: float, season: float) -> None:
        """Learn a closed window's count divided by its season, and the empty windows since the last one."""
        memory = MEMORY_WINDOWS[scale.name]
        if self.last_start >= 0:
            gap = (start_ms - self.last_start) // scale.span_ms - 1
            if gap > 0:
                self._silence(gap, memory)
        mean, mean_square, windows = self.mean, self.mean_square, self.windows
        x = count / season
        if windows >= YOUNG_WINDOWS:
            spread = math.sqrt(max(mean_square - mean * mean, mean, 1.0))
            x = min(x, mean + CLIP_SPREADS * spread)
        # River's EWMean, bit for bit (tests/detectors/state/test_level.py), without two calls for every window.
        self.windows = windows + 1
        fading = 1.0 / min(memory, windows + 1)
        self.mean = fading * x + (1.0 - fading) * mean
        self.mean_square = fading * (x * x) + (1.0 - fading) * mean_square
        self.last_start = start_ms

    def dispersion(self) -> float:
        """Size r of a negative binomial with this mean and variance."""
        variance = self.mean_square - self.mean * self.mean
        low, high = DISPERSION_RANGE
        if self.mean <= 0.0 or self.windows < YOUNG_WINDOWS:
            return low
        over = variance - self.mean
        if over <= 0.0:
            return high
        size = self.mean * self.mean / over
        return high if size > high else max(size, low)

    def _silence(self, windows: int, memory: int) -> None:
        """Learn that many empty windows, in one step."""
        young = min(windows, max(0, memory - self.windows))
        remaining = self.windows / (self.windows + young)
        remaining *= (1.0 - 1.0 / memory) ** min(windows - young, GAP_WINDOWS_MAX)
        self.windows += windows
        self.mean *= remaining
        self.mean_square *= remaining
