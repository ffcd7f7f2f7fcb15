"""Decides when event time waits because of an outage of the broker."""

from __future__ import annotations

from dataclasses import dataclass

from streams.clock import Clock
from streams.kafka.reachability import SILENT_SECONDS, Answers

LONGEST_WAIT_SECONDS = 900.0
"""So long a source waits for a broker that does not answer, if others do. Then the others go on without it.

Without a bound, one partition without a leader would stop every count. A longer one costs memory: what is read
meanwhile stays in open windows.
"""

RECONNECT_SECONDS = 5.0
RECONNECT_SHARE = 1.5
"""Producers double the time between two tries to connect, and vary it by a fifth: after an outage of D seconds the next
try comes within 1.2 D, or sooner where they have a limit. With the time to send what was kept."""


@dataclass(frozen=True, slots=True)
class OutageWait:
    """Whether the sources of a worker hold their watermarks.

    Each source waits for the whole worker: producers keep records for every partition of a broker that is gone. After
    the outage they send them, one producer earlier than another. ``recovery_seconds`` is the longest wait for that.
    """

    answers: Answers
    recovery_seconds: float
    clock: Clock

    def waits(self) -> bool:
        """True from the beginning of an outage until all producers have had the time to send what they kept."""
        now, since, ended = self.clock.monotonic(), self.answers.silent_since, self.answers.ended_at
        if since is not None and SILENT_SECONDS <= now - since < LONGEST_WAIT_SECONDS:
            return True
        recovery = min(self.recovery_seconds, RECONNECT_SECONDS + RECONNECT_SHARE * self.answers.lasted_seconds)
        return ended is not None and now - ended < recovery

    def unheard_ms(self) -> int:
        """For how long no broker has answered, in ms. What it has got since is not known."""
        since = self.answers.silent_since
        return 0 if since is None else round((self.clock.monotonic() - since) * 1000)
