"""How many of a crowd are those that were convicted, by what they were convicted by."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.features.names import COHORT, FRESH, NETWORK, SPREAD, WATCH
from detectors.measurement.other_metrics import Peers
from detectors.platform.platform import Platform
from detectors.reference.mixes import Mix, platform_mixes
from detectors.scoring.sentences import TEXTS
from detectors.state.marks import MARKS_MAX, Marks
from detectors.state.watches import Watches
from detectors.verdict.marked_share import marks_of, part, share_of
from detectors.windows.crowd import Crowd, Row, pack_row
from detectors.windows.scales import ladder

NEW_SHARE = 0.1
"""Usual share of new accounts on the platform of these tests."""


def honest(rng: random.Random, *, actor: int | None = None) -> Row:
    """One view by one of the platform's people: 200 networks of one country, 30 cohorts, any watched fraction."""
    age = rng.randrange(30) * 2 + (rng.random() < NEW_SHARE)
    return (actor or rng.getrandbits(62), 1000 + rng.randrange(200), 1, 1, 1, age, rng.randrange(8))


def bought(rng: random.Random, *, new: bool = True, rented: bool = True) -> Row:
    """One bought view: by a new account, from one of eight rented networks, left at once."""
    network = rng.randrange(1900, 1908) if rented else 1000 + rng.randrange(200)
    return (rng.getrandbits(62), network, 1, 1, 1, rng.randrange(30) * 2 + new, 0)


def mixes(rng: random.Random) -> dict[str, Mix]:
    learned = platform_mixes()
    for _ in range(300):
        crowd = Crowd()
        crowd.fold(honest(rng) for _ in range(20))
        for name in ("network", "account"):
            learned[name].learn(crowd.histogram(name))
        learned["watch"].learn(crowd.watch)
    return learned


def crowd_of(rows: list[Row]) -> Crowd:
    crowd = Crowd()
    crowd.fold(rows)
    return crowd


def codes(*names: str, share: float = 0.9) -> dict[str, float]:
    return {TEXTS[name][0]: share for name in names}


@pytest.mark.parametrize("of_them", [0, 40, 100, 200])
def test_as_many_are_told_as_were_bought(of_them: int) -> None:
    rng = random.Random(1)
    usual = mixes(rng)
    crowd = crowd_of([bought(rng) for _ in range(of_them)] + [honest(rng) for _ in range(200 - of_them)])
    convicted = marks_of(crowd_of([bought(rng) for _ in range(100)]), codes(FRESH, NETWORK, WATCH), usual)
    told = part(crowd, convicted, usual, NEW_SHARE)
    assert told.share == pytest.approx(of_them / 200, abs=max(0.05, 2 * told.doubt))


def test_whoever_has_any_of_the_marks_is_told_once() -> None:
    rng = random.Random(2)
    usual = mixes(rng)
    rows = [bought(rng, rented=False) for _ in range(100)] + [bought(rng, new=False) for _ in range(100)]
    crowd = crowd_of(rows)
    apart = [part(crowd, marks_of(crowd, codes(name), usual), usual, NEW_SHARE).share for name in (FRESH, NETWORK)]
    both = part(crowd, marks_of(crowd, codes(FRESH, NETWORK), usual), usual, NEW_SHARE).share
    assert max(apart) < 0.7
    assert both > 0.95


def test_people_without_marks_are_nobody() -> None:
    rng = random.Random(3)
    usual = mixes(rng)
    assert part(crowd_of([bought(rng)] * 9), Marks(), usual, NEW_SHARE).share == 0.0
    blank: Row = (7, -1, -1, -1, -1, -1, -1)
    assert part(crowd_of([blank]), Marks([1900], [3], [0], [TEXTS[FRESH][0]]), usual, NEW_SHARE).share == 0.0


def test_a_code_that_spoke_of_a_part_only_convicts_nobody_later() -> None:
    rng = random.Random(4)
    assert marks_of(crowd_of([bought(rng)]), {"few_actors": 0.4}, mixes(rng)).codes == []
    for share in (0.5, 0.6):
        assert marks_of(crowd_of([bought(rng)]), {"few_actors": share}, mixes(rng)).codes == ["few_actors"]


def test_new_accounts_convict_later_windows_whatever_part_of_the_crowd_they_were() -> None:
    """What part is usual is known of them, and taken off: nothing honest is counted with them."""
    rng = random.Random(4)
    usual = mixes(rng)
    convicted = marks_of(crowd_of([bought(rng)]), codes(FRESH, share=0.4), usual)
    assert convicted.codes == [TEXTS[FRESH][0]]
    later = crowd_of([bought(rng) for _ in range(60)] + [honest(rng) for _ in range(60)])
    assert part(later, convicted, usual, NEW_SHARE).share == pytest.approx(0.5, abs=0.1)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10_000))
def test_a_share_is_a_share_and_its_doubt_shrinks_with_the_crowd(marked: float, usual: float, size: int) -> None:
    told = share_of(marked, usual, size)
    assert 0.0 <= told.share <= 1.0
    assert told.doubt >= share_of(marked, usual, 100 * size).doubt or size == 0


@given(st.lists(st.integers(0, 10**6)), st.lists(st.integers(0, 10**6)))
def test_marks_are_joined_in_any_order_and_stay_bounded(some: list[int], others: list[int]) -> None:
    one, other = Marks(networks=some), Marks(networks=others, codes=["few_actors"])
    assert one.joined(other) == other.joined(one)
    assert len(one.joined(other).networks) <= MARKS_MAX


@pytest.mark.parametrize("viewers", [0, 60, 1200])
def test_those_who_had_viewed_are_known_among_those_who_like(viewers: int) -> None:
    rng = random.Random(5)
    watches, scales = Watches(), ladder(10)
    likers = [rng.getrandbits(62) for _ in range(60)]
    came = likers[: min(60, viewers)] + [rng.getrandbits(62) for _ in range(viewers - 60)]
    watches.change("0v").open["hour"] = crowd_of([honest(rng, actor=actor) for actor in came] or [honest(rng)])
    crowd = crowd_of([honest(rng, actor=actor) for actor in likers])
    told = Peers(watches, [Platform()], scales).viewers("1v", crowd)
    assert told == pytest.approx(min(60, viewers), abs=1e-6)


def test_views_in_quarantine_are_no_answer_to_likes() -> None:
    rng = random.Random(6)
    watches, scales = Watches(), ladder(10)
    rows = [honest(rng) for _ in range(40)]
    watches.change("0v").open["hour"] = views = crowd_of(rows)
    views.quarantined = 30
    peers = Peers(watches, [Platform()], scales)
    assert peers.viewers("1v", crowd_of(rows)) == pytest.approx(10)
    assert peers.counts("1v", 2, 0, {})[0] == 10


@pytest.mark.parametrize(
    ("marked", "usual", "size", "share", "doubt"),
    [
        (0.6, 0.2, 100, 0.5, math.sqrt(61 / 102 * 41 / 102 / 100) / 0.8),
        (0.6, 0.0, 100, 0.6, math.sqrt(61 / 102 * 41 / 102 / 100)),
        (1.0, 0.0, 3, 1.0, math.sqrt(4 / 5 * 1 / 5 / 3)),
        (0.95, 0.899, 100, 0.051 / 0.101, math.sqrt(96 / 102 * 6 / 102 / 100) / 0.101),
        (0.95, 0.9, 100, 0.0, 0.0),
        (1.0, 0.0, 0, 0.0, 0.0),
        (1.0, 0.0, 1, 1.0, math.sqrt(2 / 3 * 1 / 3)),
    ],
)
def test_a_share_is_what_is_beyond_the_usual_with_the_error_of_two_more_observations(
    marked: float, usual: float, size: int, share: float, doubt: float
) -> None:
    assert share_of(marked, usual, size) == pytest.approx((share, doubt))


def test_events_without_an_actor_are_none_of_the_marked_ones() -> None:
    rng = random.Random(8)
    usual = mixes(rng)
    crowd = crowd_of([bought(rng) for _ in range(100)])
    marks = Marks(codes=[TEXTS[FRESH][0]])
    named = part(crowd, marks, usual, NEW_SHARE)
    crowd.n, crowd.nobody = 200, 100
    half = part(crowd, marks, usual, NEW_SHARE)
    assert half == pytest.approx((named.share / 2, named.doubt / 2))
    assert named == pytest.approx(share_of(1.0, NEW_SHARE, 100))


def test_people_count_as_often_as_they_came() -> None:
    new, old = (0, -1, -1, -1, -1, 7, -1), (2, -1, -1, -1, -1, 6, -1)
    marks = Marks(codes=[TEXTS[FRESH][0]])
    crowd = crowd_of([new] * 6 + [old] * 2)
    assert part(crowd, marks, platform_mixes(), 0.0) == pytest.approx(share_of(0.75, 0.0, 2))


def test_accounts_that_are_not_given_are_not_new() -> None:
    marks = Marks(codes=[TEXTS[FRESH][0]])
    assert part(crowd_of([(0, -1, -1, -1, -1, -1, -1)]), marks, platform_mixes(), 0.0).share == 0.0
    assert part(crowd_of([(0, -1, -1, -1, -1, 1, -1)]), marks, platform_mixes(), 0.0).share == 1.0


def test_a_person_is_marked_by_network_cohort_or_newness() -> None:
    usual, rng = mixes(random.Random(9)), random.Random(9)
    row = (rng.getrandbits(62), 1950, 1, 1, 1, 5 << 1, 0)
    for marks in (Marks(networks=[1950]), Marks(cohorts=[5])):
        assert part(crowd_of([row]), marks, usual, 0.0).share > 0.9
    for marks in (Marks(networks=[1951]), Marks(cohorts=[6]), Marks(codes=[TEXTS[FRESH][0]])):
        assert part(crowd_of([row]), marks, usual, 0.0).share == 0.0


def test_either_the_people_or_the_watch_times_say_how_many_whichever_says_more() -> None:
    rng = random.Random(10)
    usual = mixes(rng)
    crowd = crowd_of([bought(rng) for _ in range(50)] + [honest(rng) for _ in range(50)])
    by_people, by_watch = Marks(codes=[TEXTS[FRESH][0]]), Marks(watches=[0])
    both = Marks(watches=[0], codes=[TEXTS[FRESH][0]])
    one, other = (part(crowd, marks, usual, NEW_SHARE) for marks in (by_people, by_watch))
    assert part(crowd, both, usual, NEW_SHARE) == max(one, other)
    assert other.share == pytest.approx(0.5, abs=0.12)


def test_rows_that_a_window_has_not_looked_into_yet_count_as_well() -> None:
    rng = random.Random(12)
    usual, rows = mixes(rng), [bought(rng) for _ in range(40)]
    waiting = Crowd()
    waiting.take(b"".join(pack_row(*row) for row in rows))
    assert marks_of(waiting, codes(WATCH), usual).watches == [0]
    waiting = Crowd()
    waiting.take(b"".join(pack_row(*row) for row in rows))
    assert part(waiting, Marks(watches=[0]), usual, NEW_SHARE) == part(
        crowd_of(rows), Marks(watches=[0]), usual, NEW_SHARE
    )


def test_what_a_code_points_at_is_noted_and_nothing_else() -> None:
    rng = random.Random(11)
    usual = mixes(rng)
    crowd = crowd_of([bought(rng) for _ in range(100)])
    of_networks = marks_of(crowd, {TEXTS[SPREAD][0]: 0.9}, usual)
    assert of_networks.networks == marks_of(crowd, codes(NETWORK), usual).networks == list(range(1900, 1908))
    assert (of_networks.cohorts, of_networks.watches) == ([], [])
    assert marks_of(crowd, codes(WATCH), usual).watches == [0]
    assert marks_of(crowd, codes(FRESH), usual) == Marks(codes=[TEXTS[FRESH][0]])
    same_days = crowd_of([(*bought(rng)[:5], 4 << 1, 0) for _ in range(60)])
    assert marks_of(same_days, codes(COHORT), usual).cohorts == [4]
