"""The accounts of all partitions of an offline replay, in the process that reads the file.

Accounts and audits tell each other control records. What accounts emit goes before the frames of the next step. What
audits ask is handed over when event time reaches a whole hour, after the audit of all steps before it. So the result
does not depend on the number of processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.profile import Profile
from detectors.controls import HUMAN, KINDS
from streams.actors.outputs import ruling_value
from streams.actors.step import PartitionAccounts, account_settings
from streams.engine.failed_records import Failed
from streams.engine.step_error import StepError
from streams.log.hashing import actor_hash, actor_partition
from streams.offline.partitions import Frames, LogSoFar
from streams.settings.settings import Settings

ACTORS = "actors"
"""The output file of rulings."""
PROFILES = "actor-profiles"
"""The output file of what is known of actors at the end."""
PROFILES_MAX = 20_000
"""Profiles that are written; one takes some 0.2 ms."""
HUMAN_NAME = KINDS[HUMAN]


class AccountReplay:
    """The accounts of each partition of by-actor, and its log so far."""

    def __init__(self, settings: Settings, sink: Callable[[str, bytes], None]) -> None:
        """``sink`` takes (file name, line)."""
        self._sink = sink
        self._partitions = [_Partition(settings, number) for number in range(settings.partitions)]
        self._pseudonyms = settings.actors.pseudonyms
        self._ruled: dict[str, None] = {}
        self.rulings: Counter[str] = Counter()
        """new or changed rulings by kind"""
        self.reversed: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        """contained exceptions by part (failures.ACCOUNT_PARTS)"""

    def take(self, frames: Frames) -> Frames:
        """Apply frames in order. Returns the control frames for by-target."""
        controls: Frames = []
        for place, frame in frames:
            outcome, made = self._partitions[place].apply(frame)
            controls += made
            self.rulings.update(outcome.ruled)
            self.reversed.update(outcome.reversed)
            self.failures.update(outcome.failures)
            for ruling in outcome.rulings:
                self._sink(ACTORS, ruling_value(ruling))
                if ruling.ruling != HUMAN_NAME:
                    self._ruled[ruling.actor] = None
        return controls

    def write_profiles(self) -> None:
        """Write what is known of the actors with a ruling against them, or that replay a target by a program.

        The first PROFILES_MAX of them.
        """
        replaying = (name for partition in self._partitions for name in partition.replaying())
        for name in list(dict.fromkeys([*self._ruled, *replaying]))[:PROFILES_MAX]:
            actor = int(name, 16) if self._pseudonyms else actor_hash(name)
            profile = self._partitions[actor_partition(actor, len(self._partitions))].profile(actor)
            if profile is not None:
                self._sink(PROFILES, msgspec.json.encode(profile))

    def close(self) -> None:
        """Free the logs."""
        for partition in self._partitions:
            partition.close()


class _Partition:
    def __init__(self, settings: Settings, number: int) -> None:
        self._settings = settings
        self._number = number
        self._failed: Failed = {}
        self._log = LogSoFar()
        self._offset = 0
        self._restart()

    def _restart(self) -> None:
        self._accounts = PartitionAccounts(
            account_settings(self._settings),
            partition=self._number,
            target_partitions=self._settings.partitions,
            failed=self._failed,
        )

    def apply(self, frame: bytes) -> tuple[AccountsOutcome, Frames]:
        """Outcome and control frames of the next record. If it fails, the log so far is applied again."""
        offset = self._offset
        failed = False
        while True:
            try:
                if failed:
                    self._restart()
                    for position, before in enumerate(self._log.first(offset)):
                        self._step(before, position)
                outcome, made = self._step(frame, offset)
            except StepError:
                failed = True
            else:
                self._log.append(frame)
                self._offset += 1
                return outcome, made

    def _step(self, frame: bytes, offset: int) -> tuple[AccountsOutcome, Frames]:
        outcome = self._accounts.apply(frame, offset)
        return outcome, self._accounts.controls_of(outcome, offset)

    def profile(self, actor: int) -> Profile | None:
        return self._accounts.accounts.profile(actor)

    def replaying(self) -> list[str]:
        return self._accounts.accounts.replaying()

    def close(self) -> None:
        self._log.close()
