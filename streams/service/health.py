"""The health of a worker for the probes: whether it makes progress, and whether it is ready."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.clock import Clock


@dataclass(frozen=True, slots=True)
class Unreachable:
    """An outage: a broker that this worker needs does not answer it."""

    since: float
    """monotonic seconds"""
    reason: str
    curable: bool
    """whether a restart may cure it: the broker answers a new connection, but not those of this worker"""


@dataclass(slots=True)
class Health:
    """The state of a worker at its last heartbeat. Times are monotonic seconds.

    The thread of the web server reads it. Each field is set in one step, and an answer may be one heartbeat old.
    """

    watchdog_seconds: float
    clock: Clock
    waiting_for: str = "starting"
    beat: float = field(init=False)
    behind_since: float | None = None
    """since when there has been something to do without a break; None if there is nothing"""
    progress: float = field(init=False)
    """when a task last took records or committed, or a restore last read records"""
    unsaved_since: float | None = None
    """since when records have been taken that are in no committed checkpoint; None if there are none"""
    assigned: int = 0
    tasks: int = 0
    unreachable: Unreachable | None = None
    """None while the broker answers"""
    _excused_until: float = field(init=False)
    """until when the broker was away: what stood still before that is not the worker's fault"""

    def __post_init__(self) -> None:
        self.beat = self.progress = self._excused_until = self.clock.monotonic()

    def note(
        self,
        *,
        behind: bool,
        progress: float,
        unsaved_since: float | None,
        assigned: int,
        tasks: int,
        unreachable: Unreachable | None,
    ) -> None:
        """Note the state of the worker at a heartbeat."""
        self.beat = self.clock.monotonic()
        self.unreachable = unreachable
        if unreachable is not None and not unreachable.curable:
            self._excused_until = self.beat
        if not behind:
            self.behind_since = None
        elif self.behind_since is None:
            self.behind_since = self.beat
        self.progress, self.unsaved_since = progress, unsaved_since
        self.assigned, self.tasks = assigned, tasks

    def live(self) -> tuple[bool, str]:
        """False if the loop is blocked, or there is lag without progress, or checkpoints have stopped.

        An outage of the broker is none of these, however long it lasts: a restart cannot cure it. When it ends, the
        worker has as long as ever for its next progress.
        """
        if self.waiting_for:
            return True, self.waiting_for
        now, limit = self.clock.monotonic(), self.watchdog_seconds
        if now - self.beat > limit:
            return False, f"the event loop has been blocked for {now - self.beat:.0f} s"
        behind, unsaved, excused = self.behind_since, self.unsaved_since, self._excused_until
        if behind is not None and now - max(behind, self.progress, excused) > limit:
            return False, f"there is lag, and no progress for {now - max(behind, self.progress, excused):.0f} s"
        if unsaved is not None and now - max(unsaved, excused) > limit:
            return False, f"records have been taken for {now - max(unsaved, excused):.0f} s without a checkpoint"
        return True, "alive" if self.unreachable is None else self._outage(self.unreachable)

    def ready(self) -> tuple[bool, str]:
        """True if the worker can work now: the broker answers, and all assigned partitions are restored."""
        if self.waiting_for:
            return False, self.waiting_for
        if self.unreachable is not None:
            return False, self._outage(self.unreachable)
        if not self.assigned:
            return False, "no partition is assigned yet"
        if self.tasks < self.assigned:
            return False, f"{self.tasks} of {self.assigned} partitions are restored"
        return True, f"{self.tasks} tasks"

    def _outage(self, outage: Unreachable) -> str:
        return f"no answer for {self.clock.monotonic() - outage.since:.0f} s: {outage.reason}"
