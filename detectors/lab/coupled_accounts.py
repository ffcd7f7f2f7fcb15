"""Accounts beside the audits of one stream, in one process: control records go both ways, in a fixed order.

What the accounts emit reaches the audits before the next events. What the audits ask reaches the accounts at whole
hours of event time, in the order of partitions.
"""

from __future__ import annotations

from msgspec.structs import replace

from detectors.accounts.accounts import Accounts
from detectors.accounts.outcome import AccountsOutcome, RulingRecord
from detectors.accounts.settings import AccountSettings
from detectors.audit import Audit
from detectors.controls import ToActors
from detectors.lab.traffic.actor_blocks import ActorPacker, actor_partition
from detectors.lab.traffic.blocks import text_hash
from detectors.lab.traffic.platform import Labelled
from detectors.records import Outcome
from detectors.windows.scales import HOUR_MS


class CoupledAccounts:
    """The accounts of all partitions of one stream.

    ``rulings`` has the last one of each actor, and ``outcome`` the exceptions that were contained.
    """

    def __init__(self, audits: list[Audit], without: tuple[str, ...], settings: AccountSettings) -> None:
        self._audits = audits
        self._partitions = len(audits)
        self._packer = ActorPacker(self._partitions, without)
        self.accounts = [
            Accounts(
                settings,
                target_hash=self._packer.target_hash,
                target_partition=lambda target: text_hash(target) % self._partitions,
            )
            for _ in audits
        ]
        self.rulings: dict[str, RulingRecord] = {}
        self.outcome = AccountsOutcome()
        self._requests: list[list[ToActors]] = [[] for _ in audits]
        self._hour = -1

    def hand_on(self, position: int, outcome: Outcome) -> None:
        """Give the audits what the accounts have emitted."""
        for partition, record in self.outcome.controls:
            for audit in self._audits if partition is None else [self._audits[partition]]:
                audit.control(record, position, outcome)
        self.outcome.controls.clear()

    def request(self, partition: int, requests: list[ToActors]) -> None:
        """Keep what the audit of a partition asks until the next whole hour."""
        self._requests[partition] += requests

    def observe(self, chunk: list[Labelled]) -> None:
        """Observe a chunk of the stream."""
        for place, block in self._packer.pack(labelled.event for labelled in chunk):
            self.accounts[place].observe(block, self.outcome)

    def advance(self, now_ms: int) -> None:
        """Take what was asked if an hour has begun, and move event time to ``now_ms``."""
        if now_ms // HOUR_MS > self._hour:
            self._hour = now_ms // HOUR_MS
            self._hand_over()
        for accounts in self.accounts:
            accounts.advance(now_ms, self.outcome)
        for ruling in self.outcome.rulings:
            self.rulings[ruling.actor] = ruling
        self.outcome.rulings.clear()

    def _hand_over(self) -> None:
        for requests in self._requests:
            for request in requests:
                actors: dict[int, list[int]] = {}
                for actor in request.actors:
                    actors.setdefault(actor_partition(actor, self._partitions), []).append(actor)
                for place, listed in sorted(actors.items()):
                    self.accounts[place].control(replace(request, actors=listed), self.outcome)
            requests.clear()
