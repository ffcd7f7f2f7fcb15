"""When a case closes: how long nothing new may be found."""

from __future__ import annotations

from detectors.windows.scales import MINUTE_MS

QUIET_MS = 5 * MINUTE_MS
QUIET_WINDOWS = 2
"""A case closes after five minutes, or two windows of the scale that last saw it, without evidence."""


def close_time(until_ms: int, span_ms: int) -> int:
    """When a case last seen in a window of ``span_ms`` that ended at ``until_ms`` may be closed."""
    return until_ms + max(QUIET_MS, QUIET_WINDOWS * span_ms)
