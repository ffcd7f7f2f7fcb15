"""What the accounts of a crowd do besides, and what others do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detectors.accounts.accounts import Accounts
from detectors.accounts.crowds import settlement
from detectors.accounts.crowds.newcomers import SAMPLE
from detectors.accounts.crowds.settlement import LOOKED_UP_MAX, Question, Settled
from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.state import Head
from detectors.cases.settlements import conclusion
from detectors.controls import Answered, Asked, Removed
from detectors.state.case import SUSPECT, Case
from detectors.state.settlement import Settlement
from detectors.windows.scales import DAY_MS, HOUR_MS
from tests.detectors.accounts.traffic import FOLLOW, START_MS, Act, accounts_with, actor_hash, block_of, hash_of

MINUTE = 60_000
AWAY = 90 * MINUTE


def question(
    case: str, target: str, actors: list[str], *, due: int = 2 * HOUR_MS, owner: str | None = None, onset: int = 0
) -> Asked:
    hashed = sorted(actor_hash(actor) for actor in actors)
    owned = -1 if owner is None else hash_of(owner) & 0x7FFFFFFF
    return Asked(case, f"2{target}", 3, owned, START_MS + onset, START_MS + onset + HOUR_MS, START_MS + due, hashed)


def answers(accounts: Accounts, at: int) -> list[Answered]:
    outcome = AccountsOutcome()
    accounts.advance(START_MS + at, outcome)
    assert all(place == 3 for place, record in outcome.controls if isinstance(record, Answered))
    return [record for _, record in outcome.controls if isinstance(record, Answered)]


def observed(*acts: Act) -> Accounts:
    accounts = accounts_with()
    accounts.observe(block_of(acts), AccountsOutcome())
    return accounts


def follow(actor: str, *, at: int = 0, target: str = "star", **fields: Any) -> Act:
    return Act(at, actor, target, FOLLOW, **fields)


class TestAnswers:
    def test_accounts_with_other_acts_before_or_after_empty_and_unknown_ones_are_counted(self) -> None:
        accounts = observed(
            Act(0, "earlier", "v1"), follow("later", at=1), follow("empty", at=1), follow("earlier", at=AWAY)
        )
        accounts.control(question("f", "star", ["earlier", "later", "empty", "nobody"]), AccountsOutcome())
        accounts.observe(block_of([Act(AWAY, "later", "v2")]), AccountsOutcome())
        assert answers(accounts, HOUR_MS) == []
        (answer,) = answers(accounts, 2 * HOUR_MS)
        assert (answer.acted, answer.empty, answer.unknown) == (2, 1, 1)
        assert (answer.case, answer.key, answer.at) == ("f", "2star", START_MS + 2 * HOUR_MS)
        assert answers(accounts, 3 * HOUR_MS) == []

    def test_what_comes_to_hand_within_an_hour_does_not_count(self) -> None:
        acts = [Act(n * 20 * MINUTE, "bot", f"popular{n}") for n in (0, 1, 3, 4)]
        accounts = observed(*acts[:2], follow("bot", at=40 * MINUTE), *acts[2:])
        accounts.control(question("f", "star", ["bot"]), AccountsOutcome())
        assert answers(accounts, 2 * HOUR_MS)[0].empty == 1

    def test_who_came_back_so_often_that_the_target_is_forgotten_has_acted(self) -> None:
        acts = [Act(DAY_MS + n * MINUTE, "person", f"v{n}") for n in range(4)]
        accounts = observed(follow("person", at=1), *acts)
        accounts.control(question("f", "star", ["person"], due=2 * DAY_MS), AccountsOutcome())
        assert answers(accounts, 2 * DAY_MS)[0].acted == 1

    def test_a_target_stays_distrusted_after_its_answer(self) -> None:
        accounts = observed(follow("bot", target="acquitted"), follow("bot", at=AWAY))
        accounts.control(question("f0", "acquitted", ["bot"]), AccountsOutcome())
        answers(accounts, 2 * HOUR_MS)
        accounts.control(question("f1", "star", ["bot"], due=4 * HOUR_MS), AccountsOutcome())
        assert answers(accounts, 4 * HOUR_MS)[0].empty == 1

    def test_acts_on_other_targets_of_the_owner_do_not_count(self) -> None:
        accounts = observed(follow("fan", at=1), Act(2, "fan", "v1", owner="star"), Act(3, "fan", "v2", owner="star"))
        accounts.control(question("f", "star", ["fan"]), AccountsOutcome())
        assert answers(accounts, 2 * HOUR_MS)[0].empty == 1

    def test_acts_on_targets_in_question_or_condemned_do_not_count(self) -> None:
        acts = [follow("bot", at=at, target=f"customer{at}") for at in range(3)]
        accounts = observed(*acts, follow("other", at=1, target="customer1"))
        accounts.control(question("f0", "customer0", ["bot"]), AccountsOutcome())
        accounts.control(question("f1", "customer1", ["bot"], due=9 * HOUR_MS), AccountsOutcome())
        accounts.control(Removed(START_MS, "f2", "2customer2", 0.9, [actor_hash("bot")]), AccountsOutcome())
        assert answers(accounts, 2 * HOUR_MS)[0].empty == 1

    def test_what_belongs_to_the_sign_up_does_not_count(self) -> None:
        accounts = observed(
            follow("new", at=20_000, target="suggested", created=0), follow("new", at=90_000, created=0)
        )
        accounts.control(question("f", "star", ["new"]), AccountsOutcome())
        assert answers(accounts, 2 * HOUR_MS)[0].empty == 1

    def test_a_busy_account_has_acted_even_if_its_latest_targets_are_in_question(self) -> None:
        accounts = observed(
            *(Act(at, "busy", f"v{at}") for at in range(20)),
            *(follow("busy", at=AWAY, target=f"c{n}") for n in range(4)),
        )
        for number in range(4):
            accounts.control(question(f"f{number}", f"c{number}", ["busy"]), AccountsOutcome())
        assert [answer.acted for answer in answers(accounts, 2 * HOUR_MS)] == [1, 1, 1, 1]

    def test_a_question_that_is_asked_again_gets_more_accounts_and_one_answer(self) -> None:
        accounts = observed(follow("a"), follow("b"))
        accounts.control(question("f", "star", ["a"]), AccountsOutcome())
        accounts.control(question("f", "star", ["a", "b"], due=3 * HOUR_MS), AccountsOutcome())
        assert answers(accounts, 2 * HOUR_MS) == []
        assert answers(accounts, 3 * HOUR_MS)[0].empty == 2

    def test_too_many_questions_are_answered_as_unknown(self) -> None:
        accounts, outcome = accounts_with(questions_max=1), AccountsOutcome()
        for case in ("f", "g"):
            accounts.control(question(case, "star", ["a"]), outcome)
        ((place, answer),) = outcome.controls
        assert place == 3
        assert isinstance(answer, Answered)
        assert (answer.case, answer.unknown, outcome.refused) == ("g", 1, 1)


def newcomers(rng: np.random.Generator, count: int, *, stays: float, hours: int = 1) -> list[Act]:
    """New accounts, each with an act on a target of its own, some of which come back."""
    acts = []
    for number in range(count):
        at = int(rng.integers(0, hours * HOUR_MS))
        acts.append(Act(at, f"n{number}", f"v{number}", created=at - 90_000))
        if rng.random() < stays:
            acts.append(Act(at + AWAY, f"n{number}", f"v{number + 1}", created=at - 90_000))
    return sorted(acts, key=lambda act: act.at)


class TestWhatIsUsual:
    def test_others_that_are_equally_new_are_measured_too(self) -> None:
        rng = np.random.default_rng(1)
        bots = [follow(f"b{n}", at=HOUR_MS + n * 9_000, created=HOUR_MS + n * 9_000 - 90_000) for n in range(100)]
        accounts = observed(*sorted([*newcomers(rng, 200, stays=0.7), *bots], key=lambda act: act.at))
        accounts.control(
            question("f", "star", [bot.actor for bot in bots], due=DAY_MS, onset=HOUR_MS), AccountsOutcome()
        )
        (answer,) = answers(accounts, DAY_MS)
        assert (answer.acted, answer.empty) == (0, 100)
        others = answer.usual_acted + answer.usual_empty
        assert 20 <= others <= SAMPLE
        assert 0.55 <= answer.usual_acted / others <= 0.85

    def test_a_crowd_that_is_not_in_question_does_not_become_the_yardstick(self) -> None:
        rng = np.random.default_rng(2)
        bots = [
            follow(f"b{n}", at=n * 28_000, target=f"star{n // 500}", created=n * 28_000 - 90_000) for n in range(1_000)
        ]
        accounts = observed(*sorted([*newcomers(rng, 500, stays=0.8, hours=4), *bots], key=lambda act: act.at))
        accounts.control(
            question("f", "star1", [bot.actor for bot in bots[-256:]], due=DAY_MS, onset=4 * HOUR_MS), AccountsOutcome()
        )
        (answer,) = answers(accounts, DAY_MS)
        assert answer.usual_acted > 2 * answer.usual_empty

    def test_old_samples_teach_what_is_usual_of_accounts_that_were_first_seen_long_ago(self) -> None:
        accounts = observed(*newcomers(np.random.default_rng(3), 300, stays=0.7))
        answers(accounts, 9 * DAY_MS)
        accounts.observe(block_of([follow("late", at=9 * DAY_MS, created=9 * DAY_MS - 90_000)]), AccountsOutcome())
        asked = question("f", "star", ["late"], due=10 * DAY_MS, onset=9 * DAY_MS)
        accounts.control(asked, AccountsOutcome())
        (answer,) = answers(accounts, 10 * DAY_MS)
        assert answer.usual_acted + answer.usual_empty == 1

    @given(
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=120),
        st.sampled_from([1, 2, LOOKED_UP_MAX]),
        st.booleans(),
    )
    def test_samples_that_expire_together_teach_what_they_teach_one_by_one(
        self, acts: list[tuple[int, int, int]], at_once: int, idle: bool
    ) -> None:
        rows = sorted((Act(at * HOUR_MS // 7, f"n{n}", f"v{v}", created=0) for at, n, v in acts), key=lambda a: a.at)

        def learned(expired_at: list[int], samples_at_once: int) -> list[list[float]]:
            accounts = accounts_with(active_max=8) if idle else accounts_with()
            accounts.observe(block_of(rows), AccountsOutcome())
            accounts.control(question("f", "v1", ["n0"], due=300 * DAY_MS), AccountsOutcome())
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(settlement, "LOOKED_UP_MAX", samples_at_once)
                for at in expired_at:
                    answers(accounts, at)
            (head,) = [state for part in accounts.parts for _, state in part.take_changed() if isinstance(state, Head)]
            return head.learned

        hourly = [7 * DAY_MS + hour * HOUR_MS for hour in range(60)]
        assert learned([hourly[-1]], at_once) == learned(hourly, LOOKED_UP_MAX)

    def test_without_others_nothing_is_usual(self) -> None:
        accounts = observed(follow("a"))
        accounts.control(question("f", "star", ["a"]), AccountsOutcome())
        (answer,) = answers(accounts, 2 * HOUR_MS)
        assert (answer.usual_acted, answer.usual_empty) == (0, 0)


class TestRulings:
    def test_accounts_of_a_crowd_that_did_nothing_else_are_empty_until_they_act(self) -> None:
        bots = [follow(f"b{number}", at=number, created=-DAY_MS) for number in range(30)]
        accounts, outcome = observed(*bots), AccountsOutcome()
        accounts.control(question("f", "star", [bot.actor for bot in bots]), outcome)
        accounts.advance(START_MS + 2 * HOUR_MS, outcome)
        assert outcome.ruled == {"empty": 30}
        later = AccountsOutcome()
        accounts.observe(
            block_of([Act(2 * HOUR_MS + at, "b3", f"v{at}") for at in range(0, 3 * MINUTE, MINUTE)]), later
        )
        accounts.advance(START_MS + 3 * HOUR_MS, later)
        (record,) = later.rulings
        assert (record.actor, record.ruling, record.previous, record.reversed_by) == ("b3", "human", "empty", "conduct")
        assert later.reversed == {"empty": 1}

    @given(st.tuples(*[st.integers(0, 130)] * 4))
    @example((6, 12, 18, 6))
    def test_a_crowd_counts_as_bought_if_and_only_if_its_case_would_be_condemned(
        self, counts: tuple[int, int, int, int]
    ) -> None:
        acted, empty, *usual = counts
        actors = list(range(acted + empty))
        case = Case("f", START_MS, START_MS, START_MS, SUSPECT, "fresh_accounts", sample=actors)
        _, share, _, _ = conclusion(Settlement(case, START_MS, START_MS, acted, empty, 0, *usual))
        asked = Question("f", "2star", 3, -1, START_MS, START_MS, START_MS, actors)
        settled = Settled(asked, Answered(START_MS, "f", "2star", acted, empty, 0, *usual), actors[:empty])
        assert settled.compared.unusual == (share > 0)

    def test_a_course_of_which_some_do_not_come_back_is_no_empty_crowd(self) -> None:
        others = [
            Act(n * MINUTE + away, f"n{n}", f"v{n + away}", created=n * MINUTE - 90_000)
            for n in range(24)
            for away in ((0, AWAY) if n < 18 else (0,))
        ]
        at = HOUR_MS + MINUTE
        course = [follow(f"p{number}", at=at + number, created=at - 90_000) for number in range(18)]
        on = [Act(at + AWAY + number, f"p{number}", f"v{number}", created=at - 90_000) for number in range(6)]
        accounts, outcome = observed(*sorted([*others, *course, *on], key=lambda act: act.at)), AccountsOutcome()
        accounts.control(question("f", "star", [act.actor for act in course], due=DAY_MS, onset=HOUR_MS), outcome)
        accounts.advance(START_MS + DAY_MS, outcome)
        (answer,) = (record for _, record in outcome.controls if isinstance(record, Answered))
        assert (answer.acted, answer.empty) == (6, 12)
        assert (answer.usual_acted, answer.usual_empty) == (18, 6)
        assert outcome.rulings == []

    def test_people_who_registered_for_one_thing_are_not_if_most_others_of_the_crowd_went_on(self) -> None:
        crowd = [follow(f"p{number}", at=number, created=-9 * MINUTE) for number in range(30)]
        on = [Act(AWAY + number, f"p{number}", f"v{number}") for number in range(20)]
        accounts, outcome = observed(*crowd, *on), AccountsOutcome()
        accounts.control(question("f", "star", [act.actor for act in crowd]), outcome)
        accounts.advance(START_MS + 2 * HOUR_MS, outcome)
        assert outcome.rulings == []
        assert outcome.answered == 1
