"""When a case closes: the time without new evidence."""

from __future__ import annotations

from detectors.windows.scales import MINUTE_MS

QUIET_MS = 5 * MINUTE_MS
QUIET_WINDOWS = 2
"""A case closes after five minutes without evidence, or two windows of the scale that last found some if longer."""


def close_time(until_ms: int, span_ms: int) -> int:
    """When a case may close whose last window with evidence had ``span_ms`` and ended at ``until_ms``."""
    return until_ms + max(QUIET_MS, QUIET_WINDOWS * span_ms)
