"""Accounts whose pages are in a store are those whose pages are in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.pages import PIECE_ACCOUNTS, PagesInMemory, Piece
from streams.actors.pages import StoredPages, piece_key
from streams.state.sealed import DamagedError, encode, seal
from streams.state.store import SCRATCH, Store
from tests.detectors.accounts.traffic import START_MS, Act, accounts_with, block_of

EVENTS, PEOPLE, BLOCK = 6_000, 900, 50


def test_pages_in_a_store_and_in_memory_have_the_same_accounts(tmp_path: Path) -> None:
    store, pages = Store(tmp_path, "here", read_once=True), StoredPages()
    pages.use_store(store)
    stored, kept = (accounts_with(where, active_max=200, stored_max=600) for where in (pages, PagesInMemory()))
    said, wanted = AccountsOutcome(), AccountsOutcome()
    actors = np.random.default_rng(1).integers(0, PEOPLE, EVENTS).tolist()
    for begin in range(0, EVENTS, BLOCK):
        block = block_of([Act(at, f"a{actors[at]}", f"v{at % 7}") for at in range(begin, begin + BLOCK)])
        for accounts, outcome in ((stored, said), (kept, wanted)):
            accounts.observe(block, outcome)
            accounts.advance(START_MS + begin * 1_000, outcome)
        if not begin % (BLOCK * 20):
            pages.cut()
            for _ in pages.stored():
                pass
    assert said.dropped > 0
    assert said == wanted
    assert stored.dump() == kept.dump()
    store.close()


def test_a_damaged_piece_is_not_read(tmp_path: Path) -> None:
    store, pages = Store(tmp_path, "here"), StoredPages()
    pages.use_store(store)
    piece = Piece(b"1" * PIECE_ACCOUNTS, ["a"] * PIECE_ACCOUNTS)
    pages.write([(0, piece), (1, piece)])
    whole = seal(encode(piece))
    store.write_scratch([(SCRATCH + piece_key(1), whole[:-1] + b"?")])
    assert pages.read([0]) == [piece]
    with pytest.raises(DamagedError):
        pages.read([0, 1])
    store.close()


def test_a_piece_of_an_older_version_is_upgraded(tmp_path: Path) -> None:
    store, pages = Store(tmp_path, "here"), StoredPages()
    pages.use_store(store)
    piece = Piece(b"1", ["a"])
    store.promote([(piece_key(0), encode(piece)), (piece_key(1), seal(encode(piece)))])  # version 1 has no seal
    assert pages.read([1, 0]) == [piece, piece]
    store.close()
