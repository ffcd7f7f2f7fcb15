"""The accounts of one partition of ``by-actor``. See the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from detectors.accounts.block import ActorBlock
from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.pages import AccountPages
from detectors.accounts.profile import Profile
from detectors.accounts.settings import AccountSettings
from detectors.controls import ToActors
from detectors.state.parts import Part


class Accounts:
    """What is known and concluded of the accounts of one partition.

    The outputs and the state depend on the order of events and control records in the log and on event time, never on
    how the log is cut into blocks. ``target_hash`` hashes a target's text as ``ActorBlock.target`` does.
    ``target_partition`` is the partition of ``by-target`` of a target's text.
    """

    def __init__(
        self,
        settings: AccountSettings,
        pages: AccountPages | None = None,
        *,
        target_hash: Callable[[str], int],
        target_partition: Callable[[str], int],
    ) -> None:
        self._settings = settings
        self.parts: tuple[Part, ...] = ()

    def observe(self, block: ActorBlock, outcome: AccountsOutcome) -> None:
        """Add events, in log order."""
        raise NotImplementedError

    def control(self, record: ToActors, outcome: AccountsOutcome) -> None:
        """Take a question or a removal, at its position in the log."""
        raise NotImplementedError

    def advance(self, now_ms: int, outcome: AccountsOutcome) -> None:
        """Move event time to ``now_ms``. Rulings, answers and followers are emitted at each multiple of five minutes.

        Time never goes back: a ``now_ms`` below the last one does nothing.
        """
        raise NotImplementedError

    def profile(self, actor: int) -> Profile | None:
        """What is known of the account with this hash (without account bit); None if nothing."""
        raise NotImplementedError

    def memory_bytes(self) -> int:
        """Bytes in memory, without those of the pages."""
        raise NotImplementedError

    def dump(self) -> list[tuple[str, Any]]:
        """The whole state: (key, value that msgspec can encode), as the records of all parts would be."""
        raise NotImplementedError

    def load(self, records: list[tuple[str, Any]]) -> None:
        """Load a dumped state into new, empty accounts."""
        raise NotImplementedError
