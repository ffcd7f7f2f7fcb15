"""By what ways a crowd came, and that it takes the platform's own ways to hold it against accounts to be unseen."""

from __future__ import annotations

import pytest

from detectors.events.buckets import MIX_BUCKETS
from detectors.features import names as f
from detectors.features.crowd import crowd_columns, newcomers_of
from detectors.features.people import people_of
from detectors.reference.mixes import Mix, platform_mixes
from detectors.scoring.detector import Finding
from detectors.verdict.referrers import by_networks, by_unusual_referrers
from detectors.windows.crowd import Crowd
from detectors.windows.sample import pack_people
from tests.mixes import learn

SEARCH, FEED, FORUM = 3, 4, 77


def mix() -> Mix:
    usual = Mix(MIX_BUCKETS)
    for _ in range(100):
        learn(usual, {SEARCH: 6, FEED: 6})
    return usual


def crowd(referrers: list[int]) -> Crowd:
    people = [(2 * at + 1, 1, -1, -1, referrer, -1, -1, -1) for at, referrer in enumerate(referrers)]
    return Crowd(n=len(referrers), sample=pack_people(people))


def share_of(referrers: list[int], direct: float | None) -> float | None:
    made = crowd(referrers)
    mixes = platform_mixes() | {"referrer": mix()}
    people = people_of([made])
    x = crowd_columns([made], people, mixes, newcomers_of([made], people, []), direct)
    return None if f.UNUSUAL_REFERRERS not in x else float(x[f.UNUSUAL_REFERRERS][0])


@pytest.mark.parametrize(
    ("referrers", "direct", "least", "most"),
    [
        ([SEARCH, FEED, -1, -1] * 25, 0.5, 0.0, 0.1),
        ([FORUM] * 90 + [SEARCH] * 10, 0.5, 0.8, 1.0),
        ([-1] * 100, 0.4, 0.4, 0.6),
        ([SEARCH] * 100, 0.5, 0.3, 0.6),
    ],
    ids=["as the platform's come", "a forum's link", "a word in chats", "all by one of the platform's ways"],
)
def test_what_the_platforms_ways_leave_over(referrers: list[int], direct: float, least: float, most: float) -> None:
    share = share_of(referrers, direct)
    assert share is not None
    assert least <= share <= most
    assert by_unusual_referrers({f.ONCE: 0.0, f.UNUSUAL_REFERRERS: share}) == (least > 0.0)


@pytest.mark.parametrize("direct", [None, 0.9])
def test_where_referrers_are_hardly_given_a_crowd_may_have_come_from_anywhere(direct: float | None) -> None:
    assert share_of([-1] * 50, direct) is None
    assert by_unusual_referrers({f.ONCE: 0.0})


def test_likes_have_no_way_here() -> None:
    assert not by_unusual_referrers({f.ONCE: 1.0})


def finding(code: str, share: float, p: float) -> Finding:
    return Finding(code, "origin", share, 0.0, p, share, "")


def test_several_networks_that_should_send_fewer_are_no_links_and_a_school_is_one_place() -> None:
    several, place = finding("rented_networks", 0.1, 1e-3), finding("few_networks", 0.2, 1e-3)
    assert by_networks([several, place])
    assert not by_networks([place])
    assert not by_networks([finding("rented_networks", 0.02, 1e-3), finding("few_networks", 0.03, 1e-3)])
    assert not by_networks([finding("rented_networks", 0.2, 0.05)])


@pytest.mark.parametrize(("share", "unusual"), [(0.249, False), (0.25, True)])
def test_a_quarter_beyond_the_platforms_referrers_makes_them_unusual(share: float, *, unusual: bool) -> None:
    assert by_unusual_referrers({f.ONCE: 0.0, f.UNUSUAL_REFERRERS: share}) == unusual


@pytest.mark.parametrize(("share", "p", "apart"), [(0.15, 0.01, True), (0.149, 0.01, False), (0.15, 0.0101, False)])
def test_networks_set_a_crowd_apart_if_they_are_enough_of_it_and_rare_enough(
    share: float, p: float, *, apart: bool
) -> None:
    assert by_networks([finding("rented_networks", share, p)]) == apart
    assert not by_networks([finding("fresh_accounts", share, p)])
