"""The stored state of the accounts of a partition: its head record, and its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from detectors.accounts.acts.conduct import UsualConduct
from detectors.accounts.crowds.settlement import Question
from detectors.accounts.crowds.stocks import Stock
from detectors.accounts.pages import Piece
from detectors.accounts.rulings.replays import Replay
from detectors.state.parts import RecordKind

if TYPE_CHECKING:
    from detectors.accounts.accounts import Accounts

ACCOUNTS = RecordKind(b"accounts/")
"""``head``; ``rows/N``, the active accounts; ``pages/N``, which accounts a page was written with; ``here/N``, which of
them are still there, if not all are; ``new/HOUR``, samples of new accounts. A value of None removes the record."""
ACCOUNT_PAGES = RecordKind(b"idle/", Piece, keyed=True)
"""Pieces of the pages of idle accounts; the suffix is the number of the piece. A value of None removes the piece."""


class Head(msgspec.Struct, omit_defaults=True):
    """What is stored once. Versioned by optional fields."""

    now: int = -1
    next_page: int = 0
    usual: UsualConduct = msgspec.field(default_factory=UsualConduct)
    pending: list[int] = []
    questions: list[Question] = []
    distrusted: list[tuple[int, int]] = []
    followers: list[tuple[int, str, int, int]] = []
    owners_viewed: bool = False
    learned: list[list[float]] = []
    ages: tuple[int, int] = (0, 0)
    """new accounts with and without an age"""
    returns: tuple[int, int] = (0, 0)
    replays: list[Replay] = []
    replays_counted: tuple[int, int] = (0, 0)
    stocks: list[Stock] = []
    latest_stock: int = 0


class AccountsPart:
    """Everything but the pages."""

    kind = ACCOUNTS

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def take_changed(self) -> Iterator[tuple[str, Any]]:
        """See Part."""
        return self._accounts.take_changed()

    def load(self, suffix: str, state: Any) -> None:
        """See Part."""
        self._accounts.load_record(suffix, state)


class AccountPagesPart:
    """The pages of idle accounts."""

    kind = ACCOUNT_PAGES

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def take_changed(self) -> Iterator[tuple[str, Piece | None]]:
        """See Part."""
        return self._accounts.take_changed_pages()

    def load(self, suffix: str, state: Any) -> None:
        """See Part. A store that has the pages need not load them."""
        self._accounts.load_piece(int(suffix), msgspec.convert(state, Piece))
