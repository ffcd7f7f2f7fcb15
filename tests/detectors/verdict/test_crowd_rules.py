"""Each rule convicts at its least shares, and not below them, nor where its exception applies."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from detectors.features import names as f
from detectors.verdict.crowd import crowd_score
from detectors.verdict.crowd_rules import RULES

WATCHED = 2.5
"""One kind of evidence alone scores no more than this."""
CONVICTED = 3.0
"""Two kinds of evidence of the least score reach this together."""

VIEWS, LIKES = {f.ONCE: 0.0}, {f.ONCE: 1.0}
MODELS = (("neighbours",), ("forest",))
PEOPLE_MANY = 1e9
"""So many that a share of them is certain."""

Shares = dict[str, float]


@dataclass(frozen=True)
class Case:
    """What a rule asks for: shares of the crowd at which it just convicts, each with a score of 4."""

    rule: str
    shares: Shares
    x: dict[str, float] = field(default_factory=lambda: dict(VIEWS))
    spared: tuple[tuple[dict[str, float], Shares], ...] = ()
    """changes of features and shares, each of which alone is an exception"""
    convicts_too: tuple[tuple[dict[str, float], Shares], ...] = ()
    """changes that come near an exception and are none"""


CASES = (
    Case(
        "new accounts that repeat",
        {"accounts": 0.5, "repetition": 0.5},
        spared=(
            ({}, {"accounts": 0.499}),
            ({f.PEOPLE: 11.0}, {"accounts": 0.51}),
            ({f.PEOPLE: 11.0}, {"accounts": 0.7}),
            ({f.PEOPLE: 100.0}, {"accounts": 0.55}),
        ),
        convicts_too=(
            ({}, {"accounts": 0.15, "neighbours": 0.5}),
            ({f.PEOPLE: 5.0}, {"accounts": 1.0}),
            ({f.PEOPLE: 11.0}, {"accounts": 0.8}),
            ({f.PEOPLE: 100.0}, {"accounts": 0.6}),
        ),
    ),
    Case("new accounts on a schedule", {"accounts": 0.15, "cadence": 0.15}),
    Case(
        "new accounts that leave",
        {"accounts": 0.15, "watch": 0.15},
        x={**VIEWS, f.PEOPLE: PEOPLE_MANY, f.SAME: 2.0, f.SAME_SHARE: 0.15},
        spared=(
            ({f.SAME: 1.99}, {}),
            ({f.SAME_SHARE: 0.149}, {}),
            ({f.SAME: 0.0}, {"accounts": 0.6, "watch": 0.54}),
            ({f.SAME: 0.0, f.PEOPLE: 12.0}, {"accounts": 0.6, "watch": 0.56}),
            ({f.SAME: 0.0, f.UNUSUAL_REFERRERS: 0.25}, {"engagement": 0.3}),
            ({f.SAME: 0.0}, {"engagement": 0.3}),
            ({f.SAME: 0.0, f.UNUSUAL_REFERRERS: 0.24}, {"engagement": 0.149}),
        ),
        convicts_too=(
            ({f.SAME: 0.0}, {"accounts": 0.6, "watch": 0.56}),
            ({f.SAME: 0.0, f.UNUSUAL_REFERRERS: 0.24}, {"engagement": 0.15}),
        ),
    ),
    Case("new accounts against an own model", {"accounts": 0.15, "forest": 0.15}),
    Case(
        "new accounts that do not like",
        {"accounts": 0.5, "engagement": 0.15},
        spared=(({}, {"accounts": 0.499}), ({}, {"origin": 0.5}), (LIKES, {"accounts": 0.149})),
        convicts_too=(({}, {"origin": 0.499}), (LIKES, {"accounts": 0.15}), (LIKES, {"origin": 0.5})),
    ),
    Case("networks and conduct", {"origin": 0.5, "repetition": 0.5}),
    Case("networks and conduct", {"origin": 0.5, "cadence": 0.5}),
    Case("networks and conduct", {"origin": 0.5, "watch": 0.5}),
    Case("rented networks that repeat", {"rented": 0.15, "repetition": 0.5}),
    Case("rented networks and conduct", {"rented": 0.15, "cadence": 0.15}),
    Case("rented networks and conduct", {"rented": 0.15, "watch": 0.15}),
    Case("rented networks and conduct", {"rented": 0.15, "engagement": 0.15}),
    Case("new accounts from rented networks", {"rented": 0.3, "accounts": 0.15}),
    Case("record and repeats", {"record": 0.25, "repetition": 0.5}),
    Case("record and conduct", {"record": 0.25, "cadence": 0.15}),
    Case("record and conduct", {"record": 0.25, "watch": 0.15}),
    Case("record and conduct", {"record": 0.25, "engagement": 0.15}),
    Case(
        "few actors that leave",
        {"repetition": 0.66, "watch": 0.5},
        spared=(
            ({}, {"repetition": 0.64}),
            ({}, {"repetition": 0.7, "watch": 0.499}),
            ({}, {"repetition": 0.499, "watch": 0.7}),
        ),
        convicts_too=(({}, {"repetition": 0.5, "watch": 0.66}),),
    ),
    Case("repeated where once is honest", {"repetition": 0.15}, x=LIKES, spared=((VIEWS, {}),)),
    Case(
        "likes of what nobody opened",
        {"engagement": 0.8},
        x={**LIKES, f.VIEWED_FIRST: 0.95},
        spared=(({f.VIEWED_FIRST: 0.949}, {}),),
    ),
)


def scored(case: Case, x: dict[str, float] | None = None, shares: Shares | None = None, score: float = 4.0) -> float:
    found = {name: (score, share) for name, share in {**case.shares, **(shares or {})}.items()}
    rented = found.pop("rented", (0.0, 0.0))
    return crowd_score({**case.x, **(x or {})}, found, rented, MODELS)


def _named(case: Case) -> str:
    return f"{case.rule}: {' and '.join(case.shares)}"


def test_every_rule_that_convicts_has_a_case() -> None:
    assert {case.rule for case in CASES} | {"one kind alone"} == {rule.name for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("case", CASES, ids=_named)
def test_a_rule_convicts_from_its_least_shares_on(case: Case) -> None:
    assert scored(case) > CONVICTED
    for name, share in case.shares.items():
        assert scored(case, shares={name: share - 0.001 if share != 0.66 else 0.499}) <= WATCHED, name
        assert scored(case, shares={name: 0.0}) <= WATCHED, f"{name} is not needed"


@pytest.mark.parametrize("case", [case for case in CASES if case.spared], ids=_named)
def test_a_rule_spares_its_exception(case: Case) -> None:
    for x, shares in case.spared:
        assert scored(case, x, shares) <= WATCHED, (x, shares)
    for x, shares in case.convicts_too:
        assert scored(case, x, shares) > CONVICTED, (x, shares)


@pytest.mark.parametrize("case", [case for case in CASES if len(case.shares) > 1], ids=_named)
def test_two_kinds_of_evidence_must_both_reach_the_least_score(case: Case) -> None:
    same = {f.SAME: 9.0} if f.SAME in case.x else {}
    assert scored(case, same, score=2.0) > 2.9
    assert scored(case, same, score=1.99) <= WATCHED
    assert scored(case, {**same, f.TIMES_JUDGED: 40.0}, score=2.99) <= WATCHED
    assert scored(case, {**same, f.TIMES_JUDGED: 40.0}, score=3.01) > CONVICTED


@pytest.mark.parametrize("how", ["repetition", "cadence", "watch", "forest", "engagement"])
def test_an_own_model_of_who_counts_as_new_accounts(how: str) -> None:
    x = {**VIEWS, f.SAME: 9.0, f.SAME_SHARE: 1.0}
    found = {"accounts": (0.0, 0.5), "neighbours": (4.0, 0.15), how: (4.0, 0.5)}
    assert crowd_score(x, found, (0.0, 0.0), MODELS) > CONVICTED
    assert crowd_score(x, {**found, "neighbours": (4.0, 0.149)}, (0.0, 0.0), MODELS) <= WATCHED
    assert crowd_score(x, found, (0.0, 0.0)) <= WATCHED


def test_a_silent_crowd_from_several_networks_is_no_school() -> None:
    school = {"accounts": (4.0, 0.5), "engagement": (4.0, 0.15), "origin": (2.0, 0.5)}
    assert crowd_score(VIEWS, school, (0.0, 0.299)) <= WATCHED
    assert crowd_score(VIEWS, school, (0.0, 0.3)) > CONVICTED
    assert crowd_score(VIEWS, {**school, "origin": (1.99, 0.5)}, (0.0, 0.0)) > CONVICTED


@pytest.mark.parametrize("kind", ["accounts", "origin", "record", "repetition", "cadence", "watch", "engagement"])
def test_one_kind_of_evidence_alone_is_watched_from_its_least_share_on(kind: str) -> None:
    assert crowd_score(VIEWS, {kind: (9.0, 0.15)}, (0.0, 0.0)) == WATCHED
    assert crowd_score(VIEWS, {kind: (1.7, 0.15)}, (0.0, 0.0)) == 1.7
    assert crowd_score(VIEWS, {kind: (9.0, 0.149)}, (0.0, 0.0)) == 0.0


def test_neither_rented_networks_nor_an_own_model_are_watched_alone() -> None:
    assert crowd_score(VIEWS, {"forest": (9.0, 1.0), "neighbours": (1.9, 1.0)}, (9.0, 1.0), MODELS) == 0.0


def same_people_score(x: dict[str, float], new: float, leaving: float) -> float:
    return crowd_score({**VIEWS, **x}, {"accounts": (4.0, new), "watch": (4.0, leaving)}, (0.0, 0.0))


def test_of_shares_that_all_have_nothing_is_uncertain_but_the_other_share() -> None:
    for new, leaving in ((1.0, 0.2), (0.2, 1.0)):
        assert same_people_score({f.PEOPLE: 1000.0}, new, leaving) > CONVICTED
        assert same_people_score({f.PEOPLE: 100.0}, new, leaving) <= WATCHED


def test_shares_of_a_crowd_of_unknown_size_are_as_uncertain_as_those_of_one_person() -> None:
    assert same_people_score({}, 0.9, 0.9) <= WATCHED
    assert same_people_score({f.PEOPLE: 2.0}, 0.9, 0.9) > CONVICTED
