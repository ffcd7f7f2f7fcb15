"""Judges windows before their end, because they grow."""

from __future__ import annotations

from collections.abc import Set

from detectors.campaigns.bands import Bands
from detectors.judge import Judge
from detectors.measurement.window_view import WindowView


class EarlyJudge:
    """See early_windows.OpenJudge."""

    def __init__(self, judge: Judge, bands: Bands) -> None:
        self._judge, self._bands = judge, bands

    def prepare(self, window: WindowView, actors: Set[int]) -> bool:
        """See OpenJudge."""
        measured = self._judge.prepare_open(window)
        if actors:
            self._bands.find_band(window, actors)
        return measured

    def decide(self, window: WindowView, *, judged: bool) -> None:
        """See OpenJudge."""
        self._judge.decide(window, judged=judged)
