"""Logs failures of detection that were contained."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from detectors.records import Unjudged
from streams.clock import Clock

log = structlog.get_logger()

LOG_AGAIN_SECONDS = 60.0
"""The same failure is logged once in this time: a detector that always fails does so thousands of times a second."""
SIGNATURES_MAX = 1_000


@dataclass(slots=True)
class FailureLog:
    """Logs failures of detection that were contained, each once in LOG_AGAIN_SECONDS."""

    partition: int
    clock: Clock
    _logged_at: dict[tuple[str, str], float] = field(default_factory=dict)
    _suppressed: dict[tuple[str, str], int] = field(default_factory=dict)

    def contained(self, failure: Unjudged, position: int) -> None:
        """Log that a part of detection failed on the record at a position."""
        signature = failure.part, failure.error
        now = self.clock.monotonic()
        if now - self._logged_at.get(signature, -LOG_AGAIN_SECONDS) < LOG_AGAIN_SECONDS:
            self._suppressed[signature] = self._suppressed.get(signature, 0) + 1
            return
        if len(self._logged_at) >= SIGNATURES_MAX:
            self._logged_at.clear()
            self._suppressed.clear()
        self._logged_at[signature] = now
        log.error(
            "detection failed and was skipped; the counts are complete",
            partition=self.partition,
            position=position,
            part=failure.part,
            key=failure.key,
            window=failure.start,
            unjudged=failure.events,
            as_often_before=self._suppressed.pop(signature, 0),
            failure=failure.error,
        )
