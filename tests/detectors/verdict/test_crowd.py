"""A verdict needs both halves: a surge, and a crowd that is wrong."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.cases.ids import correction_id, flag_id
from detectors.features import names as f
from detectors.scoring.detector import Finding
from detectors.state.case import ARTIFICIAL, SUSPECT, Case
from detectors.verdict.crowd import crowd_score, joined
from detectors.verdict.crowd_rules import ALONE_MAX
from detectors.verdict.marked_share import EstimatedShare
from detectors.verdict.opinion import NO_SHARE, Opinion, about_several_events, opinion

SURGE = Finding("surge", "surge", 600.0, 10.0, 1e-20, 0.98, "600 events where 10 are usual")


def crowd(share: float = 0.8, p: float = 1e-6, code: str = "fresh_accounts") -> Finding:
    return Finding(code, "accounts", share, 0.05, p, share, "new accounts")


def judged(
    *,
    count: float = 600,
    expected: float = 10,
    surge: float = 20,
    score: float = 6,
    case: Case | None = None,
    findings: list[Finding] | None = None,
    marked: EstimatedShare = NO_SHARE,
) -> Opinion:
    x = {f.COUNT: count, f.EXPECTED: expected, f.DISPERSION: 5.0}
    return opinion(x, (surge, score), ([SURGE], [crowd()] if findings is None else findings), case=case, marked=marked)


def test_a_surge_with_a_wrong_crowd_is_artificial() -> None:
    view = judged()
    assert view.verdict == ARTIFICIAL
    assert view.artificial == pytest.approx(480)
    assert [g.detector for g in view.findings] == ["surge", "accounts"]


def test_a_few_are_enough_where_most_of_them_are_rare_enough() -> None:
    assert judged(count=15, expected=10).verdict == ARTIFICIAL
    assert judged(count=20, expected=10, score=3.9).verdict == SUSPECT


def test_a_very_wrong_crowd_needs_less_of_a_surge() -> None:
    assert judged(surge=1.5, score=6).verdict == ARTIFICIAL


def test_a_crowd_that_is_only_odd_makes_a_suspect() -> None:
    assert judged(score=3.5).verdict == SUSPECT


@pytest.mark.parametrize(
    "lack",
    [
        {"surge": 0.9},
        {"surge": 2.9, "score": 3.0},
        {"score": 2.9},
        {"findings": []},
        {"findings": [crowd(share=0.2)]},
        {"findings": [crowd(p=0.05)]},
        {"count": 14, "expected": 10},
        {"count": 19, "expected": 10, "score": 3.9, "surge": 20},
        {"count": 19, "expected": 10, "findings": [crowd(share=0.45)]},
    ],
    ids=[
        "no surge",
        "little of both",
        "no wrong crowd",
        "no evidence",
        "a small part of it",
        "weak evidence",
        "hardly anybody",
        "few, and not rare enough",
        "few, and not most of them",
    ],
)
def test_one_half_alone_is_no_verdict(lack: dict[str, float]) -> None:
    assert judged(**lack).verdict is None  # type: ignore[arg-type]  # each names one argument


def test_what_whole_crowds_honestly_share_makes_no_verdict() -> None:
    assert judged(findings=[crowd(code="no_interaction"), crowd(code="even_gaps")]).verdict is None


def test_an_open_case_goes_on_with_more_of_its_own_people_and_with_nobody_elses() -> None:
    case = Case("id", 0, 0, 0, ARTIFICIAL, "fresh_accounts")
    assert judged(surge=1.5, score=1.5, case=case, findings=[], marked=EstimatedShare(0.5, 0.05)).artificial == 300
    assert judged(surge=1.5, score=2.5, case=case, findings=[]).verdict is None
    assert judged(surge=1.5, score=1.5, case=case, findings=[], marked=EstimatedShare(0.05, 0.04)).verdict is None


def test_what_is_uncertain_of_a_share_is_left_in_the_count() -> None:
    view = judged(marked=EstimatedShare(0.9, 0.1))
    assert view.artificial == pytest.approx(540)
    assert view.certain_artificial == pytest.approx(480)


@given(
    count=st.integers(1, 10**6),
    expected=st.floats(0.05, 10**6),
    surge=st.floats(0, 300),
    score=st.floats(0, 300),
    share=st.floats(0, 1),
    open_case=st.booleans(),
)
def test_the_artificial_part_lies_in_its_interval_and_within_the_excess(
    *, count: int, expected: float, surge: float, score: float, share: float, open_case: bool
) -> None:
    case = Case("id", 0, 0, 0, SUSPECT, "fresh_accounts", judged=1.0, found=share) if open_case else None
    view = judged(count=count, expected=expected, surge=surge, score=score, findings=[crowd(share=share)], case=case)
    if view.verdict is None:
        assert (view.artificial, view.low, view.high) == (0.0, 0.0, 0.0)
    else:
        assert 0 <= view.low <= view.artificial <= view.high <= count
        assert view.artificial <= count - expected


def test_what_a_shorter_window_has_explained_opens_nothing_again() -> None:
    x = {f.COUNT: 600.0, f.EXPECTED: 10.0, f.DISPERSION: 5.0}
    assert opinion(x, (20.0, 6.0), ([SURGE], [crowd()]), case=None, already=470).verdict is None


def test_what_may_be_explained_already_opens_nothing() -> None:
    # Half of 100 are wrong, give or take five, of which 40 are out of the count: ten more are left, or five.
    x = {f.COUNT: 100.0, f.EXPECTED: 1.0, f.DISPERSION: 5.0}
    half, most = ([SURGE], [crowd(share=0.5)]), ([SURGE], [crowd(share=0.8)])
    assert opinion(x, (20.0, 6.0), half, case=None).verdict == ARTIFICIAL
    assert opinion(x, (20.0, 6.0), half, case=None, already=40).verdict is None
    assert opinion(x, (20.0, 6.0), most, case=None, already=40).verdict == ARTIFICIAL


def test_ids_depend_on_what_happened_and_on_nothing_else() -> None:
    one = flag_id("v1", "view", "a+b", 10)
    assert one == flag_id("v1", "view", "a+b", 10)
    others = {flag_id("v2", "view", "a+b", 10), flag_id("v1", "like", "a+b", 10), flag_id("v1", "view", "a+b", 20)}
    assert one not in others
    assert correction_id(one, 1) != correction_id(one, 2)


@pytest.mark.parametrize(("odd", "events", "kept"), [(1, 5, 0), (2, 5, 1), (1, 6, 0), (150, 1000, 1)])
def test_one_odd_event_is_no_evidence_however_few_the_others(odd: int, events: int, kept: int) -> None:
    finding = Finding("no_views", "engagement", odd / events, 0.01, 1e-3, (odd / events - 0.01) / 0.99, "…")
    assert len(about_several_events([finding], float(events))) == kept


WHO, HOW = (("neighbours",), ()), ((), ("forest",))


@pytest.mark.parametrize(
    ("models", "name", "beside"), [(WHO, "neighbours", "watch"), (HOW, "forest", "accounts")], ids=["who", "how"]
)
def test_a_model_with_a_vote_stands_in_for_its_family_and_convicts_nobody_alone(
    models: tuple[tuple[str, ...], tuple[str, ...]], name: str, beside: str
) -> None:
    both = {name: (4.0, 0.7), beside: (3.0, 0.6)}
    none, x = (0.0, 0.0), {f.ONCE: 0.0, f.PEOPLE: 500.0}
    assert crowd_score(x, both, none, models) > 4.0
    assert crowd_score(x, both, none) < 3.0
    assert crowd_score(x, {name: (9.0, 0.9)}, none, models) < 3.0


VIEWS, NO_RENTED = {f.ONCE: 0.0, f.PEOPLE: 500.0}, (0.0, 0.0)
USUAL_WAYS, OTHER_WAYS = {f.UNUSUAL_REFERRERS: 0.1}, {f.UNUSUAL_REFERRERS: 0.9}


@pytest.mark.parametrize(
    ("evidence", "found", "convicts"),
    [
        ({"accounts": (4.0, 0.74), "watch": (3.0, 0.16)}, {}, False),
        ({"accounts": (4.0, 0.74), "watch": (3.0, 0.5)}, {}, True),
        ({"accounts": (4.0, 0.74), "watch": (3.0, 0.5)}, {f.PEOPLE: 12.0}, False),
        ({"accounts": (4.0, 0.4), "watch": (3.0, 0.4)}, {f.SAME: 4.0, f.SAME_SHARE: 0.3}, True),
        ({"accounts": (4.0, 0.4), "watch": (3.0, 0.4)}, {f.SAME: 1.0, f.SAME_SHARE: 0.3}, False),
        ({"accounts": (4.0, 0.4), "watch": (3.0, 0.4)}, {f.SAME: 4.0, f.SAME_SHARE: 0.1}, False),
        ({"accounts": (4.0, 0.4), "watch": (3.0, 0.4), "engagement": (3.0, 1.0)}, USUAL_WAYS, True),
        ({"accounts": (4.0, 0.4), "watch": (3.0, 0.4), "engagement": (3.0, 1.0)}, OTHER_WAYS, False),
        ({"accounts": (4.0, 0.4), "watch": (3.0, 0.4), "engagement": (3.0, 1.0)}, {}, False),
        ({"accounts": (4.0, 0.6), "watch": (3.0, 0.4), "engagement": (3.0, 1.0)}, OTHER_WAYS, True),
        ({"record": (4.0, 0.3), "watch": (3.0, 0.3)}, {}, True),
        ({"record": (4.0, 0.3), "engagement": (3.0, 1.0)}, {}, True),
        ({"record": (4.0, 0.2), "watch": (3.0, 0.3)}, {}, False),
        ({"record": (9.0, 1.0)}, {}, False),
        ({"repetition": (4.0, 0.52), "watch": (6.0, 0.5)}, {}, False),
        ({"repetition": (4.0, 0.7), "watch": (6.0, 0.6)}, {}, True),
    ],
    ids=[
        "new people of whom some leave",
        "so many of each that some are both",
        "so many of few that it may be chance",
        "the same people",
        "perhaps the same people",
        "the same people but few",
        "silent as well",
        "an advertisement's: some register, some skip, nobody likes",
        "silent, but nobody knows by what way they came",
        "most of an advertisement's are new",
        "many were taken out elsewhere and leave",
        "many were taken out elsewhere and bring nothing",
        "some were taken out elsewhere",
        "all were taken out elsewhere and behave",
        "a promotion that some see twice and half of its people leave",
        "few who come again and leave",
    ],
)
def test_who_and_how_must_be_of_the_same_people(
    evidence: dict[str, tuple[float, float]], found: dict[str, float], convicts: bool
) -> None:
    assert (crowd_score({**VIEWS, **found}, evidence, NO_RENTED) > 3.0) is convicts


def test_a_surge_that_was_looked_at_often_needs_stronger_witnesses() -> None:
    weak, strong = ({"accounts": (score, 0.9), "watch": (9.0, 0.9)} for score in (2.2, 3.5))
    assert crowd_score({**VIEWS, f.TIMES_JUDGED: 3.0}, weak, NO_RENTED) > 3.0
    assert crowd_score({**VIEWS, f.TIMES_JUDGED: 50.0}, weak, NO_RENTED) < 3.0
    assert crowd_score({**VIEWS, f.TIMES_JUDGED: 50.0}, strong, NO_RENTED) > 3.0


def test_a_silent_school_is_spared_whatever_its_pupils_accounts_and_silent_bought_views_are_not() -> None:
    school = {"origin": (10.0, 0.96), "accounts": (4.0, 0.8), "engagement": (6.0, 1.0)}
    everywhere = {"accounts": (4.0, 0.8), "engagement": (6.0, 1.0)}
    embedded = {"accounts": (4.0, 0.3), "engagement": (6.0, 1.0)}
    assert crowd_score(VIEWS, school, NO_RENTED) < 3.0
    assert crowd_score(VIEWS, school, (9.0, 0.6)) > 3.0
    assert crowd_score(VIEWS, everywhere, NO_RENTED) > 3.0
    assert crowd_score(VIEWS, embedded, NO_RENTED) < 3.0
    assert crowd_score({f.ONCE: 1.0}, school, NO_RENTED) > 3.0


def test_likes_of_what_nobody_opened_convict_alone_where_nobody_likes_what_he_did_not_open() -> None:
    lonely = {"engagement": (6.0, 0.99)}
    assert crowd_score({f.ONCE: 1.0, f.VIEWED_FIRST: 0.99}, lonely, NO_RENTED) == 6.0
    assert crowd_score({f.ONCE: 1.0, f.VIEWED_FIRST: 0.9}, lonely, NO_RENTED) < 3.0
    assert crowd_score({f.ONCE: 1.0}, lonely, NO_RENTED) < 3.0
    assert crowd_score({f.ONCE: 1.0, f.VIEWED_FIRST: 0.99}, {"engagement": (6.0, 0.6)}, NO_RENTED) < 3.0


@pytest.mark.parametrize(("new", "convicted"), [(0.2, False), (0.6, True)])
def test_fans_of_whom_a_few_are_new_are_fans(new: float, *, convicted: bool) -> None:
    fans = {"repetition": (7.0, 0.7), "accounts": (3.0, new)}
    assert (crowd_score(VIEWS, fans, NO_RENTED) > 3.0) == convicted


LIKES = {f.ONCE: 1.0, f.PEOPLE: 500.0}
WHOLE = {"accounts": (4.0, 1.0), "watch": (4.0, 1.0)}
TOGETHER = joined(4.0, 4.0)


@pytest.mark.parametrize(
    ("x", "evidence", "rented", "score"),
    [
        (VIEWS, WHOLE, NO_RENTED, TOGETHER),
        (VIEWS, {**WHOLE, "accounts": (2.0, 1.0)}, NO_RENTED, joined(2.0, 4.0)),
        (VIEWS, {**WHOLE, "accounts": (1.99, 1.0)}, NO_RENTED, ALONE_MAX),
        (VIEWS, {**WHOLE, "watch": (1.99, 1.0)}, NO_RENTED, ALONE_MAX),
        ({**VIEWS, f.TIMES_JUDGED: 4.0}, {**WHOLE, "accounts": (2.0, 1.0)}, NO_RENTED, joined(2.0, 4.0)),
        ({**VIEWS, f.TIMES_JUDGED: 40.0}, {**WHOLE, "accounts": (3.0, 1.0)}, NO_RENTED, joined(3.0, 4.0)),
        ({**VIEWS, f.TIMES_JUDGED: 40.0}, {**WHOLE, "accounts": (2.99, 1.0)}, NO_RENTED, ALONE_MAX),
        (VIEWS, {"accounts": (2.4, 1.0)}, NO_RENTED, 2.4),
        (VIEWS, {"accounts": (9.0, 0.149)}, NO_RENTED, 0.0),
        (VIEWS, {"accounts": (9.0, 0.15)}, NO_RENTED, ALONE_MAX),
    ],
    ids=[
        "both",
        "one as weak as a witness may be",
        "one weaker",
        "the other weaker",
        "looked at four times",
        "looked at forty times",
        "and weaker",
        "one alone",
        "of too few",
        "of enough",
    ],
)
def test_two_witnesses_convict_and_one_alone_is_watched(
    x: dict[str, float], evidence: dict[str, tuple[float, float]], rented: tuple[float, float], score: float
) -> None:
    assert crowd_score(x, evidence, rented) == pytest.approx(score)


@pytest.mark.parametrize(
    ("x", "evidence", "rented", "convicts"),
    [
        (LIKES, {"accounts": (4.0, 0.15), "engagement": (4.0, 0.15)}, NO_RENTED, True),
        (LIKES, {"accounts": (4.0, 0.149), "engagement": (4.0, 0.15)}, NO_RENTED, False),
        (LIKES, {"accounts": (4.0, 0.15), "cadence": (4.0, 0.15)}, NO_RENTED, True),
        (LIKES, {"accounts": (4.0, 0.5), "repetition": (4.0, 0.5)}, NO_RENTED, True),
        (VIEWS, {"accounts": (4.0, 0.49), "repetition": (4.0, 0.5)}, NO_RENTED, False),
        (VIEWS, {"accounts": (4.0, 0.5), "repetition": (4.0, 0.49)}, NO_RENTED, False),
        (VIEWS, {"accounts": (4.0, 0.5), "engagement": (4.0, 0.5)}, NO_RENTED, True),
        (VIEWS, {"accounts": (4.0, 0.49), "engagement": (4.0, 0.5)}, NO_RENTED, False),
        (VIEWS, {"origin": (4.0, 0.5), "watch": (4.0, 0.5)}, NO_RENTED, True),
        (VIEWS, {"origin": (4.0, 0.49), "watch": (4.0, 0.5)}, NO_RENTED, False),
        (VIEWS, {"origin": (4.0, 0.5), "watch": (4.0, 0.49)}, NO_RENTED, False),
        (VIEWS, {"watch": (4.0, 0.15)}, (4.0, 0.15), True),
        (VIEWS, {"watch": (4.0, 0.15)}, (4.0, 0.149), False),
        (VIEWS, {"engagement": (4.0, 0.15)}, (4.0, 0.15), True),
        (VIEWS, {"cadence": (4.0, 0.15)}, (4.0, 0.15), True),
        (VIEWS, {"accounts": (4.0, 0.15)}, (4.0, 0.3), True),
        (VIEWS, {"accounts": (4.0, 0.15)}, (4.0, 0.29), False),
        (VIEWS, {"record": (4.0, 0.25), "cadence": (4.0, 0.15)}, NO_RENTED, True),
        (VIEWS, {"record": (4.0, 0.249), "cadence": (4.0, 0.15)}, NO_RENTED, False),
        (VIEWS, {"record": (4.0, 0.25), "repetition": (4.0, 0.5)}, NO_RENTED, True),
        (VIEWS, {"repetition": (4.0, 0.6), "watch": (4.0, 0.56)}, NO_RENTED, True),
        (VIEWS, {"repetition": (4.0, 0.6), "watch": (4.0, 0.54)}, NO_RENTED, False),
        (VIEWS, {"repetition": (4.0, 0.7), "watch": (4.0, 0.49)}, NO_RENTED, False),
        (VIEWS, {"origin": (4.0, 0.5), "accounts": (4.0, 0.9), "engagement": (4.0, 0.15)}, NO_RENTED, False),
        (VIEWS, {"origin": (1.9, 0.5), "accounts": (4.0, 0.9), "engagement": (4.0, 0.15)}, NO_RENTED, True),
        (VIEWS, {"origin": (4.0, 0.5), "accounts": (4.0, 0.9), "engagement": (4.0, 0.15)}, (1.0, 0.3), True),
    ],
)
def test_each_pair_of_evidence_must_speak_of_its_part_of_the_crowd(
    x: dict[str, float], evidence: dict[str, tuple[float, float]], rented: tuple[float, float], *, convicts: bool
) -> None:
    assert (crowd_score(x, evidence, rented) > ALONE_MAX) == convicts


@pytest.mark.parametrize(
    ("x", "evidence", "score"),
    [
        ({**LIKES, f.VIEWED_FIRST: 0.95}, {"engagement": (6.0, 0.8)}, 6.0),
        ({**LIKES, f.VIEWED_FIRST: 0.949}, {"engagement": (6.0, 0.8)}, ALONE_MAX),
        ({**LIKES, f.VIEWED_FIRST: 0.95}, {"engagement": (6.0, 0.79)}, ALONE_MAX),
        (LIKES, {"repetition": (6.0, 0.15)}, 6.0),
        (VIEWS, {"repetition": (6.0, 0.9)}, ALONE_MAX),
    ],
)
def test_what_can_honestly_not_be_done_convicts_alone(
    x: dict[str, float], evidence: dict[str, tuple[float, float]], score: float
) -> None:
    assert crowd_score(x, evidence, NO_RENTED) == score


@pytest.mark.parametrize(
    ("least", "people", "convicts"), [(0.17, 10_000.0, True), (0.15, 10_000.0, False), (0.17, 300.0, False)]
)
def test_of_many_people_it_is_certain_that_some_are_both(least: float, people: float, *, convicts: bool) -> None:
    """So many are new and so many leave that ``least`` of the crowd are both at least."""
    new = leaving = (1.0 + least) / 2.0
    evidence = {"accounts": (4.0, new), "watch": (4.0, leaving)}
    assert (crowd_score({f.ONCE: 0.0, f.PEOPLE: people}, evidence, NO_RENTED) > ALONE_MAX) == convicts


@pytest.mark.parametrize(("same", "share", "convicts"), [(2.0, 0.15, True), (1.99, 0.15, False), (2.0, 0.149, False)])
def test_or_they_are_seen_to_be_the_same(same: float, share: float, *, convicts: bool) -> None:
    evidence = {"accounts": (4.0, 0.4), "watch": (4.0, 0.4)}
    x = {**VIEWS, f.SAME: same, f.SAME_SHARE: share}
    assert (crowd_score(x, evidence, NO_RENTED) > ALONE_MAX) == convicts


def test_independent_evidence_is_joined_by_fishers_method() -> None:
    for first, second in ((2.0, 3.0), (0.5, 0.5), (0.0, 4.0)):
        product = 10.0 ** -(first + second)
        assert joined(first, second) == pytest.approx(-math.log10(product * (1.0 - math.log(product))))
