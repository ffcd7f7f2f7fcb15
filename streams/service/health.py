"""What the probes answer: whether a worker moves, and whether it audits."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.clock import Clock


@dataclass(slots=True)
class Health:
    """The state of a worker as its loop last noted it. Times are monotonic seconds.

    Read from the web server's thread: each field is set in one step, and a verdict that is one beat old is no harm.
    """

    watchdog_seconds: float
    clock: Clock
    waiting_for: str = "starting"
    beat: float = field(init=False)
    behind_since: float | None = None
    """since when there has been something to do without a pause"""
    progress: float = field(init=False)
    """when a task last took records or committed, or a restore last read something"""
    unsaved_since: float | None = None
    """since when records have been taken of which no checkpoint stands"""
    assigned: int = 0
    tasks: int = 0

    def __post_init__(self) -> None:
        self.beat = self.progress = self.clock.monotonic()

    def note(self, *, behind: bool, progress: float, unsaved_since: float | None, assigned: int, tasks: int) -> None:
        """The loop has turned, and this is how things are."""
        self.beat = self.clock.monotonic()
        if not behind:
            self.behind_since = None
        elif self.behind_since is None:
            self.behind_since = self.beat
        self.progress, self.unsaved_since = progress, unsaved_since
        self.assigned, self.tasks = assigned, tasks

    def live(self) -> tuple[bool, str]:
        """False if the loop stands still, or there is work and none is done, or none of it is kept."""
        if self.waiting_for:
            return True, self.waiting_for
        now, limit = self.clock.monotonic(), self.watchdog_seconds
        if now - self.beat > limit:
            return False, f"the loop has not turned for {now - self.beat:.0f} s"
        behind, unsaved = self.behind_since, self.unsaved_since
        if behind is not None and now - max(behind, self.progress) > limit:
            return False, f"there is lag, and no progress for {now - max(behind, self.progress):.0f} s"
        if unsaved is not None and now - unsaved > limit:
            return False, f"records have been taken for {now - unsaved:.0f} s without a checkpoint"
        return True, "alive"

    def ready(self) -> tuple[bool, str]:
        """True once all partitions that are assigned are restored and being worked on."""
        if self.waiting_for:
            return False, self.waiting_for
        if not self.assigned:
            return False, "no partition is assigned yet"
        if self.tasks < self.assigned:
            return False, f"{self.tasks} of {self.assigned} partitions are restored"
        return True, f"{self.tasks} tasks"
