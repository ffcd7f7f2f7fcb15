"""Corrections for many tests: of one surge that is judged again and again, and of all windows of a metric."""

from __future__ import annotations

from detectors.events.key import metric_of
from detectors.features import names as f
from detectors.measurement.window_view import WindowView
from detectors.thresholds import Thresholds
from detectors.verdict.evidence import WindowEvidence
from detectors.verdict.opinion import Opinion, min_excess_events
from detectors.windows.scales import MINUTE_MS

JUDGINGS_HALF_LIFE_MS = 30 * MINUTE_MS
"""Half-life of the number of recent judgings, which corrects for repeated tests."""


def with_judgings(window: WindowView, found: WindowEvidence) -> WindowEvidence:
    """Count the judging of a surge without a case, since repeated tests find something by chance.

    Returns the evidence with the number of recent judgings.
    """
    state = window.target_state
    if state.case is not None:
        return found
    state.judged_lately = 1.0 + state.judged_lately * 0.5 ** (
        max(0, window.until - state.judged_lately_at) / JUDGINGS_HALF_LIFE_MS
    )
    state.judged_lately_at = max(state.judged_lately_at, window.until)
    return found._replace(x={**found.x, f.TIMES_JUDGED: state.judged_lately})


def limit_false_discoveries(window: WindowView, view: Opinion, limits: Thresholds) -> Opinion:
    """Withhold a verdict that would open a case if too many alarms would be wrong (``platform.false_discoveries``)."""
    excess = round(window.x[f.COUNT] - window.x[f.EXPECTED])
    if (view.surge < limits.surge_score_least and not view.settles) or excess < min_excess_events(limits):
        return view
    bound, before = window.platform.discoveries, window.platform.discoveries.reward
    withheld = view.verdict is not None and not bound.allows(10.0**-view.crowd, limits.false_discovery_rate)
    if withheld:
        window.outcome.withheld[metric_of(window.key)] += 1
        view = Opinion(None, view.surge, view.crowd, [], 0.0, 0.0, 0.0)
    bound.tested(alarm=view.verdict is not None)
    window.platform.changed = window.platform.changed or bound.reward != before
    return view
