"""Contains exceptions in what is concluded of accounts, so that a partition goes on without that conclusion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from detectors.accounts.outcome import AccountsOutcome
from detectors.failures import UNCONTAINED


@contextmanager
def contained(part: str, outcome: AccountsOutcome) -> Iterator[None]:
    """Report an exception in the block as a failure of ``part`` (failures.ACCOUNT_PARTS), and go on behind the block.

    The block must leave what it changes usable, wherever it stops.
    """
    try:
        yield
    except UNCONTAINED:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is: it costs a conclusion, and no account
        outcome.fail(part, error)
