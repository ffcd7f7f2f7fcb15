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


@dataclass(frozen=True, slots=True)
class OutageWait:
    """Whether the sources of a worker hold their watermarks.

    Each source waits for the whole worker: producers keep records for every partition of a broker that is gone. After
    the outage they send them within ``recovery_seconds``, one producer earlier than another.
    """

    answers: Answers
    recovery_seconds: float
    clock: Clock

    def holds(self) -> bool:
        """True from the beginning of an outage until ``recovery_seconds`` after its end."""
        now, since, ended = self.clock.monotonic(), self.answers.silent_since, self.answers.ended_at
        if since is not None and SILENT_SECONDS <= now - since < LONGEST_WAIT_SECONDS:
            return True
        return ended is not None and now - ended < self.recovery_seconds

    def unheard_ms(self) -> int:
        """For how long no broker has answered, in ms. What it has got since is not known."""
        since = self.answers.silent_since
        return 0 if since is None else round((self.clock.monotonic() - since) * 1000)
