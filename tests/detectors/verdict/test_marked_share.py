"""Estimates of the artificial share of a crowd from the marks that convicted it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.key import VIEW, key_of
from detectors.features.names import FRESH, NETWORK, WATCH
from detectors.measurement.other_metrics import OtherMetrics
from detectors.platform.platform import Platform
from detectors.reference.mixes import Mix, platform_mixes
from detectors.scoring.sentences import TEXTS
from detectors.state.marks import MARKS_MAX, Marks
from detectors.state.target_states import MemoryTargetStates
from detectors.verdict.marked_share import convicting_marks, share_beyond, share_with_marks
from detectors.windows.crowd import Crowd, Row
from detectors.windows.scales import ladder
from tests.crowds import fold

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
        fold(crowd, (honest(rng) for _ in range(20)))
        for name in ("network", "account"):
            learned[name].learn(crowd.histogram(name))
        learned["watch"].learn(crowd.watch)
    return learned


def crowd_of(rows: list[Row]) -> Crowd:
    crowd = Crowd()
    fold(crowd, rows)
    return crowd


def codes(*names: str, share: float = 0.9) -> dict[str, float]:
    return {TEXTS[name][0]: share for name in names}


@pytest.mark.parametrize("of_them", [0, 40, 100, 200])
def test_the_estimate_is_the_bought_share(of_them: int) -> None:
    rng = random.Random(1)
    usual = mixes(rng)
    crowd = crowd_of([bought(rng) for _ in range(of_them)] + [honest(rng) for _ in range(200 - of_them)])
    convicted = convicting_marks(crowd_of([bought(rng) for _ in range(100)]), codes(FRESH, NETWORK, WATCH), usual)
    estimate = share_with_marks(crowd, convicted, usual, NEW_SHARE)
    assert estimate.share == pytest.approx(of_them / 200, abs=max(0.05, 2 * estimate.standard_error))


def test_a_person_with_several_marks_counts_once() -> None:
    rng = random.Random(2)
    usual = mixes(rng)
    rows = [bought(rng, rented=False) for _ in range(100)] + [bought(rng, new=False) for _ in range(100)]
    crowd = crowd_of(rows)
    apart = [
        share_with_marks(crowd, convicting_marks(crowd, codes(name), usual), usual, NEW_SHARE).share
        for name in (FRESH, NETWORK)
    ]
    both = share_with_marks(crowd, convicting_marks(crowd, codes(FRESH, NETWORK), usual), usual, NEW_SHARE).share
    assert max(apart) < 0.7
    assert both > 0.95


def test_people_without_marks_do_not_count() -> None:
    rng = random.Random(3)
    usual = mixes(rng)
    assert share_with_marks(crowd_of([bought(rng)] * 9), Marks(), usual, NEW_SHARE).share == 0.0
    blank: Row = (7, -1, -1, -1, -1, -1, -1)
    assert (
        share_with_marks(crowd_of([blank]), Marks([1900], [3], [0], [TEXTS[FRESH][0]]), usual, NEW_SHARE).share == 0.0
    )


def test_a_code_of_a_small_part_is_not_stored_as_a_mark() -> None:
    rng = random.Random(4)
    assert convicting_marks(crowd_of([bought(rng)]), {"few_actors": 0.4}, mixes(rng)).codes == []
    assert convicting_marks(crowd_of([bought(rng)]), {"few_actors": 0.6}, mixes(rng)).codes == ["few_actors"]


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10_000))
def test_a_share_is_a_share_and_its_doubt_shrinks_with_the_crowd(marked: float, usual: float, size: int) -> None:
    estimate = share_beyond(marked, usual, size)
    assert 0.0 <= estimate.share <= 1.0
    assert estimate.standard_error >= share_beyond(marked, usual, 100 * size).standard_error or size == 0


@given(st.lists(st.integers(0, 10**6)), st.lists(st.integers(0, 10**6)))
def test_marks_are_joined_in_any_order_and_stay_bounded(some: list[int], others: list[int]) -> None:
    one, other = Marks(networks=some), Marks(networks=others, codes=["few_actors"])
    assert one.joined(other) == other.joined(one)
    assert len(one.joined(other).networks) <= MARKS_MAX


@pytest.mark.parametrize("viewers", [0, 60, 1200])
def test_viewers_are_found_among_the_people_who_like(viewers: int) -> None:
    rng = random.Random(5)
    watches, scales = MemoryTargetStates(), ladder(10)
    likers = [rng.getrandbits(62) for _ in range(60)]
    came = likers[: min(60, viewers)] + [rng.getrandbits(62) for _ in range(viewers - 60)]
    watches.change(key_of(VIEW, "v")).open["hour"] = crowd_of(
        [honest(rng, actor=actor) for actor in came] or [honest(rng)]
    )
    crowd = crowd_of([honest(rng, actor=actor) for actor in likers])
    estimate = OtherMetrics(watches, [Platform()], scales).viewer_events(key_of(1, "v"), crowd)
    assert estimate == pytest.approx(min(60, viewers), abs=1e-6)


def test_quarantined_views_do_not_count_for_likes() -> None:
    rng = random.Random(6)
    watches, scales = MemoryTargetStates(), ladder(10)
    rows = [honest(rng) for _ in range(40)]
    watches.change(key_of(VIEW, "v")).open["hour"] = views = crowd_of(rows)
    views.quarantined = 30
    other_metrics = OtherMetrics(watches, [Platform()], scales)
    assert other_metrics.viewer_events(key_of(1, "v"), crowd_of(rows)) == pytest.approx(10)
    assert other_metrics.counts(key_of(1, "v"), 2, 0, {})[0] == 10
