"""One account in readable form."""

from __future__ import annotations

import pytest

from detectors.accounts.outcome import AccountsOutcome
from detectors.controls import Removed
from detectors.windows.scales import DAY_MS, HOUR_MS
from tests.detectors.accounts.traffic import FOLLOW, LIKE, START_MS, Act, accounts_with, actor_hash, block_of, hash_of

MINUTE = 60_000


def test_a_profile_says_what_an_account_did_when() -> None:
    accounts, outcome = accounts_with(), AccountsOutcome()
    acts = [
        Act(9 * HOUR_MS, "me", "v1", owner="c1", network=3, watch=300_000, duration=900_000, created=-DAY_MS),
        Act(9 * HOUR_MS + 30_000, "me", "v2", owner="c2", network=4, watch=300_000, duration=900_000),
        Act(9 * HOUR_MS + MINUTE, "me", "v2", LIKE, owner="c2"),
        Act(20 * HOUR_MS, "me", "c2", FOLLOW),
        Act(20 * HOUR_MS + MINUTE, "me", "c2", FOLLOW, undo=True),
        Act(20 * HOUR_MS + 2 * MINUTE, "me", "v3"),
    ]
    accounts.observe(block_of(acts), outcome)
    accounts.control(Removed(START_MS, "f", "0v3", 0.8, [actor_hash("me")]), outcome)
    accounts.advance(START_MS + 21 * HOUR_MS, outcome)
    profile = accounts.profile(actor_hash("me"))
    assert profile is not None
    assert (profile.actor, profile.account, profile.created_at) == ("me", True, START_MS - DAY_MS)
    assert (profile.first_seen, profile.last_seen) == (START_MS + acts[0].at, START_MS + acts[-1].at)
    assert (profile.acts, profile.undos) == ({"view": 3, "like": 1, "follow": 1}, 1)
    assert (profile.targets, profile.owners, profile.networks) == (4, 3, 2)
    assert profile.hours[2] == "." * 9 + "#" + "." * 10 + "#..."
    assert (profile.gaps["< 1 min"], profile.gaps["< 10 min"], profile.gaps["< 1 d"]) == (2, 2, 1)
    assert (profile.watched_ms, profile.views_without_watch_time) == (600_000, 1)
    assert profile.overlap_share == 270_000 / 600_000
    assert [act.target_hash for act in profile.recent] == [
        hash_of(text) & 0xFFFFFFFF for text in ("v3", "c2", "v2", "v1")
    ]
    assert [act.removed for act in profile.recent] == [True, False, False, False]
    assert profile.condemned == pytest.approx(0.8 * 0.5 ** (21 / 24 / 30))
    assert profile.ruling is None


def test_of_an_unknown_account_there_is_no_profile() -> None:
    assert accounts_with().profile(actor_hash("nobody")) is None


def test_a_profile_changes_nothing() -> None:
    accounts, outcome = accounts_with(), AccountsOutcome()
    accounts.observe(block_of([Act(0, "me", "v1")]), outcome)
    accounts.advance(START_MS + HOUR_MS, outcome)
    before = accounts.dump()
    accounts.profile(actor_hash("me"))
    assert accounts.dump() == before
