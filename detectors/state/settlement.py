"""Persisted: one case that waits for what its accounts do."""

from __future__ import annotations

import msgspec

from detectors.state.case import Case


class Settlement(msgspec.Struct, omit_defaults=True):
    """A case that has ended, whose quarantined events are settled by the conduct of its accounts.

    ``Case.sample`` has the accounts that were asked about.
    """

    case: Case
    due: int
    """until when the accounts' acts count, in epoch ms"""
    close_at: int
    """when it is settled even if answers are missing"""
    acted: int = 0
    empty: int = 0
    unknown: int = 0
    usual_acted: int = 0
    usual_empty: int = 0
    """sums of the answers so far (``controls.Answered``)"""

    def answered(self) -> int:
        """Accounts of which an answer has come."""
        return self.acted + self.empty + self.unknown
