"""How the log is cut, and where a restart happens, changes neither state nor outputs."""

from __future__ import annotations

from typing import Any
from unittest import mock

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.accounts.accounts import Accounts
from detectors.accounts.block import ActorBlock, joined
from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.pages import PagesInMemory
from detectors.controls import Asked, Removed, ToActors
from tests.detectors.accounts.traffic import FOLLOW, START_MS, Act, accounts_with, actor_hash, block_of, load

SECOND = 1_000

acts = st.builds(
    Act,
    at=st.integers(0, 4_000).map(lambda seconds: seconds * SECOND * 7),
    actor=st.integers(0, 12).map("a{}".format),
    target=st.integers(0, 9).map("v{}".format),
    metric=st.integers(0, 2),
    owner=st.none() | st.integers(0, 4).map("v{}".format),
    network=st.integers(-1, 9),
    created=st.none() | st.integers(-500_000, 20_000).map(lambda seconds: seconds * SECOND),
    watch=st.integers(-1, 400).map(lambda seconds: seconds * SECOND if seconds >= 0 else -1),
    duration=st.sampled_from([-1, 0, 60_000, 300_000]),
    undo=st.booleans(),
    robot=st.sampled_from([False] * 9 + [True]),
)
asked = st.builds(
    lambda case, target, actors, onset, hours: Asked(
        case, f"2v{target}", 3, -1, START_MS, START_MS + onset, START_MS + hours * 3_600_000, actors
    ),
    st.integers(0, 3).map("case{}".format),
    st.integers(0, 9),
    st.lists(st.integers(0, 14).map(lambda number: actor_hash(f"a{number}")), max_size=8),
    st.integers(0, 3_600_000),
    st.integers(0, 9),
)
removed = st.builds(
    lambda at, case, target, share, actors: Removed(START_MS + at, case, f"0v{target}", share, actors),
    st.integers(0, 20_000_000),
    st.integers(0, 3).map("case{}".format),
    st.integers(0, 9),
    st.floats(0, 1),
    st.lists(st.integers(0, 14).map(lambda number: actor_hash(f"a{number}")), max_size=8),
)
times = st.integers(0, 40_000_000).map(lambda at: START_MS + at)
logs = st.lists(st.lists(acts, min_size=1, max_size=25) | asked | removed | times, max_size=14)

SETTINGS: dict[str, Any] = {"active_max": 5, "stored_max": 9, "followers_min": 1, "questions_max": 2}


def run(log: list[Any], cut: int, *, joined: int = 1, restart: int = -1) -> tuple[list[Any], list[Any]]:
    """Outputs and state after a log, with blocks of at most ``cut`` events, and a restart at an entry.

    Blocks wait until there are ``joined`` events.
    """
    accounts, outcome = accounts_with(**SETTINGS), AccountsOutcome()
    with mock.patch("detectors.accounts.accounts.JOINED_EVENTS", joined):
        for place, entry in enumerate(log):
            if place == restart:
                accounts.complete(outcome)
                accounts = reloaded(accounts)
            if isinstance(entry, list):
                for begin in range(0, len(entry), cut):
                    accounts.observe(block_of(entry[begin : begin + cut]), outcome)
            elif isinstance(entry, int):
                accounts.advance(entry, outcome)
            else:
                control(accounts, entry, outcome)
        accounts.complete(outcome)
    return [outcome], state_of(accounts)


def control(accounts: Accounts, record: ToActors, outcome: AccountsOutcome) -> None:
    accounts.control(msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=type(record)), outcome)


def state_of(accounts: Accounts) -> list[Any]:
    return [(key, msgspec.msgpack.encode(value)) for key, value in accounts.dump()]


def reloaded(accounts: Accounts) -> Accounts:
    """Accounts from the state of others, as it is read from a changelog."""
    again = accounts_with(**SETTINGS)
    load(again, [(key, msgspec.msgpack.decode(value)) for key, value in reversed(state_of(accounts))])
    return again


@given(logs, st.integers(1, 30), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_blocks_may_be_cut_and_joined_anywhere(log: list[Any], cut: int, joined: int) -> None:
    assert run(log, cut, joined=joined) == run(log, 1000)


@given(logs, st.integers(1, 60), st.integers(0, 13))
@settings(max_examples=150, deadline=None)
def test_a_restart_changes_nothing(log: list[Any], joined: int, restart: int) -> None:
    assert run(log, 1000, joined=joined, restart=restart) == run(log, 1000)


def test_joined_blocks_may_have_different_columns() -> None:
    acts = [Act(0, "a", "v", watch=7, undo=True), Act(1, "b", "w", robot=True)]
    whole, bare = block_of(acts), block_of([Act(2, "c", "v")])
    bare = msgspec.structs.replace(bare, watch_ms=None, undo=None, robot=None)
    assert columns_of(joined([whole, bare, whole])) == columns_of(block_of([*acts, Act(2, "c", "v"), *acts]))


def columns_of(block: ActorBlock) -> dict[str, tuple[str, list[Any]]]:
    """The columns of a block, with their types."""
    columns = {name: getattr(block, name) for name in block.__struct_fields__}
    return {name: (str(getattr(column, "dtype", "")), list(column)) for name, column in columns.items()}


@given(logs)
@settings(max_examples=100, deadline=None)
def test_changed_records_together_are_the_whole_state(log: list[Any]) -> None:
    accounts, outcome = accounts_with(**SETTINGS), AccountsOutcome()
    stored: dict[str, bytes] = {}
    for entry in log:
        if isinstance(entry, list):
            accounts.observe(block_of(entry), outcome)
        elif isinstance(entry, int):
            accounts.advance(entry, outcome)
        else:
            control(accounts, entry, outcome)
        for part in accounts.parts:
            for suffix, value in part.take_changed():
                key = part.kind.prefix.decode() + suffix
                if value is None:
                    stored.pop(key, None)
                else:
                    stored[key] = msgspec.msgpack.encode(value)
    stored.setdefault("accounts/head", msgspec.msgpack.encode(dict(accounts.dump())["accounts/head"]))
    assert stored == dict(state_of(accounts))


@given(logs)
@settings(max_examples=100, deadline=None)
def test_no_more_accounts_are_stored_than_the_budget(log: list[Any]) -> None:
    pages = PagesInMemory()
    accounts, outcome = accounts_with(pages, **SETTINGS), AccountsOutcome()
    for entry in log:
        if isinstance(entry, list):
            accounts.observe(block_of(entry), outcome)
            assert len(accounts) <= SETTINGS["stored_max"] + SETTINGS["active_max"]
            assert sum(len(page.names) for page in pages.values()) <= 4 * SETTINGS["stored_max"]


def test_one_account_may_have_a_whole_block() -> None:
    rng = np.random.default_rng(1)
    rows = [Act(at, "a", f"v{int(rng.integers(0, 9))}", FOLLOW) for at in range(0, 900_000, 700)]
    assert run([rows], 7) == run([rows], 10_000)
