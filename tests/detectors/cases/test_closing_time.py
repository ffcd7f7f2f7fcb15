"""A case closes five minutes after its last evidence, or after two windows of a longer scale."""

from __future__ import annotations

import pytest

from detectors.cases.closing_time import close_time
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

END = 7 * HOUR_MS


@pytest.mark.parametrize(
    ("span_ms", "waits_ms"),
    [
        (10_000, 5 * MINUTE_MS),
        (2 * MINUTE_MS, 5 * MINUTE_MS),
        (3 * MINUTE_MS, 6 * MINUTE_MS),
        (5 * MINUTE_MS, 10 * MINUTE_MS),
        (HOUR_MS, 2 * HOUR_MS),
        (DAY_MS, 2 * DAY_MS),
    ],
)
def test_a_case_waits_for_two_windows_and_for_five_minutes_at_least(span_ms: int, waits_ms: int) -> None:
    assert close_time(END, span_ms) == END + waits_ms
