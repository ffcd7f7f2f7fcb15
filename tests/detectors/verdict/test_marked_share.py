"""How many of a crowd are those that were convicted, by what they were convicted by."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.features.names import FRESH, NETWORK, WATCH
from detectors.measurement.other_metrics import Peers
from detectors.platform.platform import Platform
from detectors.reference.mixes import Mix, platform_mixes
from detectors.scoring.sentences import TEXTS
from detectors.state.marks import MARKS_MAX, Marks
from detectors.state.watches import Watches
from detectors.verdict.marked_share import marks_of, part, share_of
from detectors.windows.crowd import Crowd, Row
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
