"""Sellers' accounts in a closed window: when their views are condemned, and how many."""

from __future__ import annotations

from functools import cache
from itertools import starmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.campaigns.sellers import find_sellers, sellers_among, usual_share
from detectors.catalog.registry import SELLERS_CODE, WATCH
from detectors.features import names as f
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.state.case import ARTIFICIAL, SUSPECT, Case
from detectors.state.target_state import TargetState
from detectors.thresholds import DEFAULTS
from detectors.verdict.opinion import Opinion
from detectors.verdict.sellers import sellers_opinion, with_sellers
from detectors.windows.crowd import Crowd, pack_row
from detectors.windows.sample import ACTOR_SAMPLE
from detectors.windows.scales import HOUR as HOUR_NAME
from tests.crowds import fold
from tests.detectors.judged_windows import HOUR, START_MS, verdict, window

USUAL, ODD = range(8, 16), 11
"""Buckets of watch times."""


@given(st.integers(0, 2 * ACTOR_SAMPLE), st.integers(0, 2 * ACTOR_SAMPLE), st.booleans())
def test_accounts_that_leave_the_sample_when_a_crowd_is_settled_are_not_among_its_people(
    accounts: int, others: int, first: bool
) -> None:
    crowd = Crowd(start=START_MS)
    lower, upper = (accounts, others) if first else (others, accounts)
    rows = [(2 * actor, -1, -1, -1, -1, -1, ODD) for actor in range(lower + upper)]
    hashes = [row[0] for row in rows]
    sellers = frozenset(hashes[:lower] if first else hashes[lower:])
    crowd.take(b"".join(starmap(pack_row, rows)))
    found, people = sellers_among(crowd, sellers)
    closed = window(TargetState(), count=max(1, crowd.n), expected=10.0, crowd=crowd, scale=HOUR)
    closed.platform = closed.reference = taught()
    if len(found) >= f.SELLERS_MIN:
        find_sellers(closed, found)
        assert (len(found), people) == (closed.x[f.SELLERS], closed.x[f.SELLERS_AMONG])
        assert found <= crowd.actor_hashes()


@cache
def taught() -> Platform:
    """A platform whose people leave anywhere, and whose hours differ little in that."""
    platform = Platform()
    for bucket in USUAL:
        platform.mixes[f.WATCH].counts[bucket] = 1_000.0
        platform.mixes[f.WATCH].total += 1_000.0
    for number in range(1_000):
        platform.detectors[HOUR_NAME][WATCH].learn_one({f.COUNT: 40.0, f.WATCH: 0.01 * (number % 10)})
    return platform


def judged(
    *,
    accounts: int = 30,
    others: int = 30,
    watch: int = ODD,
    already: int = 0,
    times: int = 1,
    case: Case | None = None,
) -> WindowView:
    """An hour in which so many accounts of sellers and other people came, the accounts ``times`` each."""
    crowd = Crowd(start=START_MS)
    rows = [(2 * actor, -1, -1, -1, -1, -1, watch) for actor in range(accounts) for _ in range(times)]
    rows += [(2 * (accounts + actor), -1, -1, -1, -1, -1, USUAL[actor % 8]) for actor in range(others)]
    fold(crowd, rows)
    state = TargetState(case=case)
    closed = window(state, count=crowd.n, expected=10.0, crowd=crowd, scale=HOUR)
    closed.platform = closed.reference = taught()
    crowd.quarantined = already
    find_sellers(closed, sellers_among(crowd, frozenset(range(2 * accounts)))[0])
    return closed


def found(closed: WindowView) -> Opinion | None:
    return sellers_opinion(closed, DEFAULTS)


def test_their_views_are_counted_one_by_one_whatever_is_expected() -> None:
    opinion = found(judged(others=200))
    assert opinion is not None
    assert (opinion.verdict, opinion.artificial, opinion.certain_artificial) == (ARTIFICIAL, 30.0, 30.0)
    assert opinion.findings[0].code == SELLERS_CODE


def test_usual_watch_times_condemn_nobody() -> None:
    closed = judged()
    closed.x = {**closed.x, f.SELLERS_WATCH: 0.05}
    assert found(closed) is None


def test_without_watch_times_nothing_is_known_of_how_they_behaved() -> None:
    assert found(judged(watch=-1)) is None


def test_where_such_accounts_are_usual_as_many_are_no_evidence() -> None:
    closed = judged()
    closed.x = {**closed.x, f.SELLERS_EXPECTED: 7.0}
    assert found(closed) is None


def test_a_target_whose_viewers_always_leave_there_is_not_punished_for_it() -> None:
    closed = judged()
    closed.target_state.habits = {HOUR_NAME: {f.WATCH: [0.9, 20]}}
    assert found(closed) is None


@pytest.mark.parametrize(("already", "left"), [(0, True), (27, True), (28, False), (40, False)])
def test_what_is_taken_out_already_is_not_taken_out_again(already: int, left: bool) -> None:
    assert (found(judged(already=already)) is not None) == left


def test_an_opinion_that_takes_out_more_stands() -> None:
    closed = judged()
    more, less = verdict(40.0), verdict(20.0)
    assert with_sellers(closed, more, DEFAULTS) is more
    taken = with_sellers(closed, less, DEFAULTS)
    assert taken is not None
    assert taken.sellers == sorted(closed.sellers)
    nothing = verdict(0.0, verdict=None)
    assert with_sellers(judged(accounts=3), nothing, DEFAULTS) is nothing


@pytest.mark.parametrize(("artificial", "kind"), [(30, ARTIFICIAL), (31, SUSPECT)])
def test_a_few_of_them_make_a_case_of_other_events_no_surer(artificial: int, kind: str) -> None:
    opinion = found(judged(case=Case("id", 0, 0, 0, SUSPECT, "surge", artificial=artificial)))
    assert opinion is not None
    assert opinion.verdict == kind


@given(accounts=st.integers(8, 300), others=st.integers(0, 300), times=st.integers(1, 3))
def test_the_estimate_is_at_most_the_window_and_exact_if_everybody_is_known(
    accounts: int, others: int, times: int
) -> None:
    closed = judged(accounts=accounts, others=others, times=times)
    opinion = found(closed)
    if opinion is None or opinion.certain_artificial is None:
        assert accounts < ACTOR_SAMPLE // 4 or closed.crowd.sampled
        return
    assert 0.0 <= opinion.low <= opinion.certain_artificial <= opinion.artificial + 1e-9
    assert opinion.artificial <= opinion.high <= closed.crowd.n
    if not closed.crowd.sampled:
        assert round(opinion.certain_artificial) == accounts * times


def test_the_usual_share_is_learned_and_begins_small() -> None:
    platform = Platform()
    assert usual_share(platform) == 0.01
    for _ in range(1_000):
        platform.learn_share(f.SELLERS, 1, 20)
    assert 0.045 < usual_share(platform) < 0.055
