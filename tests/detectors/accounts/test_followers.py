"""Followers that had viewed the owner, and those that had not."""

from __future__ import annotations

from typing import Any

from detectors.accounts.outcome import AccountsOutcome
from detectors.controls import Followed
from tests.detectors.accounts.traffic import FOLLOW, LIKE, START_MS, Act, accounts_with, block_of, hash_of

MINUTE = 60_000


def followed(*acts: Act, **settings: Any) -> list[tuple[int | None, Followed]]:
    accounts, outcome = accounts_with(**settings), AccountsOutcome()
    accounts.observe(block_of(acts), outcome)
    accounts.advance(START_MS + 60 * MINUTE, outcome)
    return [(place, record) for place, record in outcome.controls if isinstance(record, Followed)]


OTHERS = Act(0, "somebody", "v9", owner="else")
"""A view that has an owner: the platform sends owners."""


def test_a_follower_has_viewed_if_an_earlier_view_was_of_the_channel() -> None:
    acts = [
        OTHERS,
        Act(1, "fan", "v1", owner="star"),
        Act(2, "fan", "star", FOLLOW),
        Act(3, "bought", "star", FOLLOW),
        Act(4, "bought", "v1", owner="star"),
        Act(5, "liker", "v1", LIKE, owner="star"),
        Act(6, "liker", "star", FOLLOW),
    ]
    ((place, record),) = followed(*acts)
    assert place == hash_of("star") % 4
    assert (record.target, record.followers, record.unviewed) == ("star", 3, 2)
    assert (record.start, record.end) == (START_MS, START_MS + 5 * MINUTE)


def test_a_view_of_the_profile_itself_counts() -> None:
    ((_, record),) = followed(OTHERS, Act(1, "fan", "star"), Act(2, "fan", "star", FOLLOW))
    assert record.unviewed == 0


def test_a_follow_that_names_the_video_is_compared_by_its_owner() -> None:
    acts = [Act(1, "fan", "v1", owner="star"), Act(2, "fan", "v2", FOLLOW, owner="star")]
    ((_, record),) = followed(*acts)
    assert (record.target, record.unviewed) == ("v2", 0)


def test_an_unfollow_is_no_follow() -> None:
    assert followed(OTHERS, Act(1, "fan", "star", FOLLOW, undo=True)) == []


def test_without_owners_nothing_is_reported() -> None:
    assert followed(Act(1, "fan", "v1"), Act(2, "fan", "star", FOLLOW)) == []


def test_windows_of_five_minutes_are_apart_and_small_ones_can_be_left_out() -> None:
    acts = [OTHERS, *(Act(at * MINUTE, f"f{at}", "star", FOLLOW) for at in range(8))]
    assert [record.followers for _, record in followed(*acts)] == [5, 3]
    assert [record.followers for _, record in followed(*acts, followers_min=4)] == [5]
