"""Estimates of the artificial share of a crowd from the marks that convicted it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.key import VIEW, key_of
from detectors.features.names import COHORT, FRESH, NETWORK, SPREAD, SUSPECTED, WATCH
from detectors.measurement.other_metrics import OtherMetrics
from detectors.platform.platform import Platform
from detectors.reference.mixes import Mix, platform_mixes
from detectors.scoring.sentences import TEXTS
from detectors.state.marks import MARKS_MAX, Marks
from detectors.state.target_states import MemoryTargetStates
from detectors.verdict.marked_share import convicting_marks, share_beyond, share_with_marks, share_with_rulings
from detectors.windows.crowd import Crowd, Row, pack_row
from detectors.windows.scales import ladder
from tests.crowds import fold
from tests.mixes import learn

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
            learn(learned[name], crowd.histogram(name))
        learn(learned["watch"], crowd.watch)
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
    for share in (0.5, 0.6):
        assert convicting_marks(crowd_of([bought(rng)]), {"few_actors": share}, mixes(rng)).codes == ["few_actors"]


def test_new_accounts_convict_later_windows_whatever_part_of_the_crowd_they_were() -> None:
    """What part is usual is known of them, and taken off: nothing honest is counted with them."""
    rng = random.Random(4)
    usual = mixes(rng)
    convicted = convicting_marks(crowd_of([bought(rng)]), codes(FRESH, share=0.4), usual)
    assert convicted.codes == [TEXTS[FRESH][0]]
    later = crowd_of([bought(rng) for _ in range(60)] + [honest(rng) for _ in range(60)])
    assert share_with_marks(later, convicted, usual, NEW_SHARE).share == pytest.approx(0.5, abs=0.1)


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
    estimate = OtherMetrics(watches, [Platform()], scales).viewers(key_of(1, "v"), crowd).events
    assert estimate == pytest.approx(min(60, viewers), abs=1e-6)


def test_quarantined_views_do_not_count_for_likes() -> None:
    rng = random.Random(6)
    watches, scales = MemoryTargetStates(), ladder(10)
    rows = [honest(rng) for _ in range(40)]
    watches.change(key_of(VIEW, "v")).open["hour"] = views = crowd_of(rows)
    views.quarantined = 30
    other_metrics = OtherMetrics(watches, [Platform()], scales)
    assert other_metrics.viewers(key_of(1, "v"), crowd_of(rows)).events == pytest.approx(10)
    assert other_metrics.counts(key_of(1, "v"), 2, 0, {})[0] == 10


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
    assert share_beyond(marked, usual, size) == pytest.approx((share, doubt))


def test_events_without_an_actor_are_none_of_the_marked_ones() -> None:
    rng = random.Random(8)
    usual = mixes(rng)
    crowd = crowd_of([bought(rng) for _ in range(100)])
    marks = Marks(codes=[TEXTS[FRESH][0]])
    named = share_with_marks(crowd, marks, usual, NEW_SHARE)
    crowd.n, crowd.nobody = 200, 100
    half = share_with_marks(crowd, marks, usual, NEW_SHARE)
    assert half == pytest.approx((named.share / 2, named.standard_error / 2))
    assert named == pytest.approx(share_beyond(1.0, NEW_SHARE, 100))


def test_people_count_as_often_as_they_came() -> None:
    new, old = (0, -1, -1, -1, -1, 7, -1), (2, -1, -1, -1, -1, 6, -1)
    marks = Marks(codes=[TEXTS[FRESH][0]])
    crowd = crowd_of([new] * 6 + [old] * 2)
    assert share_with_marks(crowd, marks, platform_mixes(), 0.0) == pytest.approx(share_beyond(0.75, 0.0, 2))


def test_accounts_that_are_not_given_are_not_new() -> None:
    marks = Marks(codes=[TEXTS[FRESH][0]])
    assert share_with_marks(crowd_of([(0, -1, -1, -1, -1, -1, -1)]), marks, platform_mixes(), 0.0).share == 0.0
    assert share_with_marks(crowd_of([(0, -1, -1, -1, -1, 1, -1)]), marks, platform_mixes(), 0.0).share == 1.0


def test_a_person_is_marked_by_network_cohort_or_newness() -> None:
    usual, rng = mixes(random.Random(9)), random.Random(9)
    row = (rng.getrandbits(62), 1950, 1, 1, 1, 5 << 1, 0)
    for marks in (Marks(networks=[1950]), Marks(cohorts=[5])):
        assert share_with_marks(crowd_of([row]), marks, usual, 0.0).share > 0.9
    for marks in (Marks(networks=[1951]), Marks(cohorts=[6]), Marks(codes=[TEXTS[FRESH][0]])):
        assert share_with_marks(crowd_of([row]), marks, usual, 0.0).share == 0.0


def test_either_the_people_or_the_watch_times_say_how_many_whichever_says_more() -> None:
    rng = random.Random(10)
    usual = mixes(rng)
    crowd = crowd_of([bought(rng) for _ in range(50)] + [honest(rng) for _ in range(50)])
    by_people, by_watch = Marks(codes=[TEXTS[FRESH][0]]), Marks(watches=[0])
    both = Marks(watches=[0], codes=[TEXTS[FRESH][0]])
    one, other = (share_with_marks(crowd, marks, usual, NEW_SHARE) for marks in (by_people, by_watch))
    assert share_with_marks(crowd, both, usual, NEW_SHARE) == max(one, other)
    assert other.share == pytest.approx(0.5, abs=0.12)


def test_rows_that_a_window_has_not_looked_into_yet_count_as_well() -> None:
    rng = random.Random(12)
    usual, rows = mixes(rng), [bought(rng) for _ in range(40)]
    waiting = Crowd()
    waiting.take(b"".join(pack_row(*row) for row in rows))
    assert convicting_marks(waiting, codes(WATCH), usual).watches == [0]
    waiting = Crowd()
    waiting.take(b"".join(pack_row(*row) for row in rows))
    assert share_with_marks(waiting, Marks(watches=[0]), usual, NEW_SHARE) == share_with_marks(
        crowd_of(rows), Marks(watches=[0]), usual, NEW_SHARE
    )


def test_what_a_code_points_at_is_noted_and_nothing_else() -> None:
    rng = random.Random(11)
    usual = mixes(rng)
    crowd = crowd_of([bought(rng) for _ in range(100)])
    of_networks = convicting_marks(crowd, {TEXTS[SPREAD][0]: 0.9}, usual)
    assert of_networks.networks == convicting_marks(crowd, codes(NETWORK), usual).networks == list(range(1900, 1908))
    assert (of_networks.cohorts, of_networks.watches) == ([], [])
    assert convicting_marks(crowd, codes(WATCH), usual).watches == [0]
    assert convicting_marks(crowd, codes(FRESH), usual) == Marks(codes=[TEXTS[FRESH][0]])
    same_days = crowd_of([(*bought(rng)[:5], 4 << 1, 0) for _ in range(60)])
    assert convicting_marks(same_days, codes(COHORT), usual).cohorts == [4]


def test_events_of_actors_with_rulings_are_counted_one_by_one() -> None:
    rng = random.Random(5)
    rows = [bought(rng) for _ in range(30)] + [honest(rng) for _ in range(10)]
    ruled = {row[0] for row in rows[:30]}
    estimate = share_with_rulings(crowd_of(rows), crowd_of(rows).actor_hashes() & ruled)
    assert estimate == pytest.approx((0.75, 0.0))
    assert share_with_rulings(crowd_of(rows), set()).share == 0.0


def test_events_of_a_crowd_that_is_only_sampled_have_an_error() -> None:
    rng = random.Random(6)
    crowd = crowd_of([bought(rng) for _ in range(3000)])
    people = crowd.people["actor"].tolist()
    chosen = set(people[: len(people) // 2])
    estimate = share_with_rulings(crowd, chosen)
    assert estimate.share == pytest.approx(0.5, abs=0.1)
    assert estimate.standard_error > 0.01


def test_rulings_are_kept_as_marks_though_few_of_a_crowd_have_them() -> None:
    rng = random.Random(7)
    crowd = crowd_of([honest(rng) for _ in range(30)])
    assert convicting_marks(crowd, codes(SUSPECTED, share=0.3), mixes(rng)).codes == [TEXTS[SUSPECTED][0]]
    assert convicting_marks(crowd, codes(WATCH, share=0.3), mixes(rng)).codes == []
