"""Makes the windows under judgement of one audit, with what surrounds them."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.actors.rulings import Rulings
from detectors.events.key import Key, metric_of
from detectors.measurement.other_metrics import OtherMetrics
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.state.target_state import TargetState
from detectors.windows.crowd import Crowd
from detectors.windows.scales import Scale


@dataclass(frozen=True, slots=True)
class WindowViews:
    """What surrounds the windows of one audit. All fields belong to it."""

    platforms: list[Platform]
    """by metric"""
    other_metrics: OtherMetrics
    rulings: Rulings
    scales: tuple[Scale, ...]
    parts: tuple[int, ...]
    """see scales.parts_of"""

    def view(
        self,
        order: int,
        start: int,
        row: tuple[Key, TargetState, Crowd],
        outcome: Outcome,
        *,
        early_at_ms: int = -1,
    ) -> WindowView:
        """The window of a key that begins at ``start``. ``order`` is the place of its scale.

        The interaction of a tick is not measured: it is too short for likes to follow.
        """
        key, state, crowd = row
        metric = metric_of(key)
        return WindowView(
            *(key, state, self.scales[order], start, crowd),
            *(self.platforms[metric], self.other_metrics.reference(metric), outcome),
            early_at_ms=early_at_ms,
            parts=self.parts[order],
            rates=self.platforms[0].rates if order else None,
            rulings=self.rulings,
        )
