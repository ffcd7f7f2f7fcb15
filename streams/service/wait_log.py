"""Logs a wait: once when it begins or its reason changes, once a minute while it lasts, and once when it ends."""

from __future__ import annotations

import structlog

from streams.clock import Clock

log = structlog.get_logger()

REMIND_SECONDS = 60.0


class WaitLog:
    """Log of something that a worker waits for, such as its broker."""

    def __init__(self, clock: Clock, *, waiting: str, ended: str) -> None:
        """``waiting`` and ``ended`` are the texts of the events in the log."""
        self._clock = clock
        self._waiting, self._ended = waiting, ended
        self._reason = ""
        self._since: float | None = None
        self._logged = 0.0

    def wait(self, reason: str, *, since: float | None = None) -> None:
        """Note that it waits. Call it as often as it is known; most calls log nothing.

        ``since`` is when the wait began (monotonic seconds): by default at the first call.
        """
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now if since is None else since
        elif reason == self._reason and now - self._logged < REMIND_SECONDS:
            return
        self._reason, self._logged = reason, now
        log.warning(self._waiting, reason=reason, seconds=round(now - self._since))

    def end(self) -> None:
        """Note that it does not wait any more. Logs nothing if it did not wait."""
        if self._since is None:
            return
        log.info(self._ended, seconds=round(self._clock.monotonic() - self._since), reason=self._reason)
        self._since = None
