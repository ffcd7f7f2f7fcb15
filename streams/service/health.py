"""The health of a worker for the probes: whether it makes progress, and whether it is ready."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.clock import Clock


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

    def __post_init__(self) -> None:
        self.beat = self.progress = self.clock.monotonic()

    def note(self, *, behind: bool, progress: float, unsaved_since: float | None, assigned: int, tasks: int) -> None:
        """Note the state of the worker at a heartbeat."""
        self.beat = self.clock.monotonic()
        if not behind:
            self.behind_since = None
        elif self.behind_since is None:
            self.behind_since = self.beat
        self.progress, self.unsaved_since = progress, unsaved_since
        self.assigned, self.tasks = assigned, tasks

    def live(self) -> tuple[bool, str]:
        """False if the loop is blocked, or there is lag without progress, or checkpoints have stopped."""
        if self.waiting_for:
            return True, self.waiting_for
        now, limit = self.clock.monotonic(), self.watchdog_seconds
        if now - self.beat > limit:
            return False, f"the event loop has been blocked for {now - self.beat:.0f} s"
        behind, unsaved = self.behind_since, self.unsaved_since
        if behind is not None and now - max(behind, self.progress) > limit:
            return False, f"there is lag, and no progress for {now - max(behind, self.progress):.0f} s"
        if unsaved is not None and now - unsaved > limit:
            return False, f"records have been taken for {now - unsaved:.0f} s without a checkpoint"
        return True, "alive"

    def ready(self) -> tuple[bool, str]:
        """True if all assigned partitions are restored."""
        if self.waiting_for:
            return False, self.waiting_for
        if not self.assigned:
            return False, "no partition is assigned yet"
        if self.tasks < self.assigned:
            return False, f"{self.tasks} of {self.assigned} partitions are restored"
        return True, f"{self.tasks} tasks"
