"""Rulings of the role actors on the side of targets: what is kept, for how long, and how much it counts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.actors.conduct import CONDUCT_MAX, SELLER_MIN, ConductRulings
from detectors.controls import AUTOMATED, DORMANT, EMPTY, HUMAN, KINDS, SELLER, Ruled


def share(rulings: ConductRulings, actors: list[int], now_ms: int = 0) -> float:
    return float(rulings.shares(np.zeros(len(actors), np.intp), np.array(actors), 1, now_ms)[0])


def test_a_ruling_counts_by_its_score_until_it_expires() -> None:
    rulings = ConductRulings()
    rulings.note(Ruled(0, [2, 4, 6], [AUTOMATED, EMPTY, AUTOMATED], [100, 50, 100], [1000, 1000, 500]))
    assert share(rulings, [3, 5, 7, 9], 499) == 0.625
    assert share(rulings, [3, 5, 7, 9], 500) == 0.375
    assert share(rulings, [3, 5, 7, 9], 1000) == 0.0


def test_people_and_dormant_accounts_are_no_evidence_and_a_ruling_can_be_taken_back() -> None:
    rulings = ConductRulings()
    rulings.note(Ruled(0, [2, 4, 6], [HUMAN, DORMANT, AUTOMATED], [100] * 3, [1000] * 3))
    assert len(rulings) == 1
    rulings.note(Ruled(5, [6], [HUMAN], [100], [1000]))
    assert len(rulings) == 0


def test_the_number_of_rulings_is_bounded_and_those_that_expire_first_go() -> None:
    rulings = ConductRulings()
    many = 2 * np.arange(CONDUCT_MAX + 10)
    rulings.note(Ruled(0, many.tolist(), [AUTOMATED] * len(many), [100] * len(many), (1000 + many).tolist()))
    assert len(rulings) == CONDUCT_MAX
    assert share(rulings, [0]) == 0.0
    assert share(rulings, [int(many[-1])]) == 1.0


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 9), st.integers(0, len(KINDS) - 1), st.integers(0, 100), st.integers(0, 50)),
            max_size=5,
        ),
        max_size=8,
    )
)
def test_the_last_ruling_on_an_actor_counts_also_after_a_restart(
    records: list[list[tuple[int, int, int, int]]],
) -> None:
    rulings, expected = ConductRulings(), dict[int, tuple[int, int, int]]()
    for at, rows in enumerate(records):
        actors, kinds, scores, until = ([row[column] for row in rows] for column in range(4))
        rulings.note(Ruled(at, [2 * actor for actor in actors], kinds, scores, until))
        expected |= {2 * row[0]: row[1:] for row in rows}
        restored = ConductRulings()
        restored.load(rulings.dump())
        rulings = restored
    for actor, (kind, score, expiry) in expected.items():
        counts = kind not in (HUMAN, DORMANT, KINDS.index("declared_robot")) and expiry > len(records)
        assert share(rulings, [actor], len(records)) == (score / 100 if counts else 0.0)
        sellers = {actor, actor + 1} if counts and kind == SELLER and score >= SELLER_MIN else set()
        assert rulings.sellers(len(records)) & {actor, actor + 1} == sellers


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100), st.integers(1, 20)), max_size=8))
def test_sellers_are_those_in_force_whenever_they_were_asked_for_before(rows: list[tuple[int, int, int]]) -> None:
    rulings, expected = ConductRulings(), dict[int, tuple[int, int]]()
    for now, (actor, score, until) in enumerate(rows):
        rulings.note(Ruled(now, [2 * actor], [SELLER], [score], [until]))
        expected[2 * actor] = score, until
        found = {each for each, (high, end) in expected.items() if high >= SELLER_MIN and end > now}
        assert rulings.sellers(now) == found | {each + 1 for each in found}
    for now in range(len(rows), 22):
        found = {each for each, (high, end) in expected.items() if high >= SELLER_MIN and end > now}
        assert rulings.sellers(now) == found | {each + 1 for each in found}


def test_rulings_stored_without_their_kinds_are_evidence_and_reject_nothing() -> None:
    rulings, loaded = ConductRulings(), ConductRulings()
    rulings.note(Ruled(0, [2, 4], [AUTOMATED, EMPTY], [90, 50], [1000, 1000]))
    loaded.load(rulings.dump())
    assert loaded.automated(0).tolist() == [2]
    loaded.load(rulings.dump()[:3])
    assert loaded.automated(0).tolist() == []
    assert share(loaded, [3, 5]) == 0.7
