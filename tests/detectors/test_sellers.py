"""Rulings on a seller's accounts condemn what these did before, when the hour or the day ends."""

from __future__ import annotations

import random
from functools import cache
from unittest.mock import patch

import pytest

from detectors.actors.conduct import ConductRulings
from detectors.cases.given_back import RULINGS_REVERSED, GivenBack
from detectors.catalog.registry import SELLERS_CODE
from detectors.closing import closing, tabulate
from detectors.controls import HUMAN, SELLER, Removed, Ruled
from detectors.events.actor import without_account
from detectors.events.event import Event
from detectors.events.key import VIEW, key_of
from detectors.lab.traffic.blocks import text_hash
from detectors.records import Flag
from detectors.state.ledger import QUARANTINED, VALID
from detectors.verdict import sellers
from detectors.windows.crowd import HASH_SPACE
from tests.crowds import DAY_MS, MINUTE_MS, START_MS
from tests.detectors.test_controls import Run

CUSTOMER = key_of(VIEW, "v3")
HOUR_MS = 60 * MINUTE_MS
HOURS, TARGETS, PEOPLE = 6, 16, 30_000
LENGTH_MS = 200_000
STOCK = tuple(f"stock{number}" for number in range(40))
EARLY_MS, LATE_MS = START_MS + 190 * MINUTE_MS, START_MS + 310 * MINUTE_MS
"""An order before the accounts are ruled, and one after."""
RULED_MS = START_MS + 270 * MINUTE_MS
DAY_END_MS = START_MS + DAY_MS
CLOSED_MS = DAY_END_MS + 2 * DAY_MS
"""When the case of a day closes."""


def view(rng: random.Random, ts: int, who: str, target: str, watched: float) -> Event:
    number = rng.randrange(4000)
    return Event(
        ts=ts,
        actor=who,
        target=target,
        ip=f"10.{number % 40}.{number % 97}.{number % 250}",
        user_agent=f"agent/{number % 30}",
        country="de",
        watch_ms=round(watched * LENGTH_MS),
        duration_ms=LENGTH_MS,
        actor_created_at=START_MS - (40 + number % 900) * DAY_MS,
    )


@cache
def ordinary() -> tuple[Event, ...]:
    """Six hours of views by people who seldom come twice, and who watch anything from a little to all."""
    rng = random.Random(3)
    return tuple(
        view(
            rng,
            START_MS + rng.randrange(HOURS * HOUR_MS),
            f"p{rng.randrange(PEOPLE)}",
            f"v{target}",
            watched=rng.random(),
        )
        for target in range(TARGETS)
        for _ in range(35 * HOURS)
    )


def order(begin: int, *, people: tuple[str, ...] = STOCK, odd: bool = True) -> list[Event]:
    """Within half an hour, each of some accounts views the customer's video, about a third of it if that is odd."""
    rng = random.Random(5)
    return [
        view(
            rng,
            begin + rng.randrange(30 * MINUTE_MS),
            who,
            "v3",
            watched=0.3 + 0.1 * rng.random() if odd else rng.random(),
        )
        for who in people
    ]


def ruled(people: tuple[str, ...], *, kind: int = SELLER, at: int = RULED_MS, score: int = 90) -> Ruled:
    actors = [without_account(text_hash(who) % HASH_SPACE) for who in people]
    return Ruled(at, actors, [kind] * len(actors), [score] * len(actors), [at + 30 * DAY_MS] * len(actors))


def audited(
    events: list[Event], ruling: Ruled | None, *, pieces: int = 1, restarts: bool = False, until: int = CLOSED_MS
) -> Run:
    """An audit that gets a ruling at its time, and goes on until the case of the day has closed."""
    run = Run(answering=False)
    events = [*ordinary(), *events]
    run.take([event for event in events if event.ts < RULED_MS], pieces=pieces)
    if ruling is not None:
        run.audit.control(ruling, 1, run.outcome)
    run.take([event for event in events if event.ts >= RULED_MS], pieces=pieces)
    for hour in range(HOURS, (until - START_MS) // HOUR_MS + 1):
        run.advance(START_MS + hour * HOUR_MS)
        if restarts:
            run.restart()
    return run


@cache
def condemned_late() -> Run:
    return audited(order(EARLY_MS), ruled(STOCK))


def parts(run: Run) -> tuple[int, int, dict[str, int]]:
    ledger = run.audit.target_states[CUSTOMER].ledger
    assert ledger.raw == sum(event.target == "v3" for event in ordinary()) + len(STOCK)
    return ledger.valid, ledger.quarantined, ledger.invalid


def last_flags(run: Run) -> list[Flag]:
    return list({flag.flag_id: flag for flag in run.outcome.flags}.values())


class TestViewsBeforeTheRuling:
    def test_they_are_taken_out_at_the_end_of_the_day(self) -> None:
        run = condemned_late()
        _, quarantined, invalid = parts(run)
        assert (quarantined, invalid) == (0, {SELLERS_CODE: len(STOCK)})
        first, second = run.outcome.corrections
        assert (first.from_, first.to, first.count) == (VALID, QUARANTINED, len(STOCK))
        assert (first.window, first.reason) == ({"start": START_MS, "end": DAY_END_MS}, SELLERS_CODE)
        assert (second.from_, second.to, second.count) == (QUARANTINED, SELLERS_CODE, len(STOCK))

    def test_the_flag_explains_itself(self) -> None:
        (flag,) = last_flags(condemned_late())
        assert (flag.status, flag.verdict, flag.artificial.value) == ("closed", "artificial", len(STOCK))
        assert flag.reasons[0].code == SELLERS_CODE
        assert flag.reasons[0].text.startswith(
            "40 of the 249 people are accounts that have been found to be a seller's"
        )

    def test_without_a_ruling_nothing_is_found(self) -> None:
        run = audited(order(EARLY_MS), None)
        assert parts(run)[1:] == (0, {})
        assert run.outcome.flags == []

    def test_they_give_nobody_else_a_ruling(self) -> None:
        assert not [request for request in condemned_late().outcome.requests if isinstance(request, Removed)]

    def test_the_outputs_do_not_depend_on_blocks_or_restarts(self) -> None:
        assert audited(order(EARLY_MS), ruled(STOCK), pieces=3).outputs() == condemned_late().outputs()
        assert audited(order(EARLY_MS), ruled(STOCK), restarts=True).outputs() == condemned_late().outputs()

    @pytest.mark.parametrize("rows", [1, 5])
    def test_nor_on_how_many_windows_are_measured_together(self, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
        whole = condemned_late().outputs()
        monkeypatch.setattr(closing, "CHANGED_AT_ONCE", rows)
        assert audited(order(EARLY_MS), ruled(STOCK)).outputs() == whole


def test_after_the_ruling_they_are_taken_out_at_the_end_of_the_hour_and_only_once() -> None:
    run = audited(order(LATE_MS), ruled(STOCK), until=START_MS + 9 * HOUR_MS)
    assert parts(run)[1:] == (0, {SELLERS_CODE: len(STOCK)})
    for hour in range(10, 80):
        run.advance(START_MS + hour * HOUR_MS)
    assert parts(run)[1:] == (0, {SELLERS_CODE: len(STOCK)})


class TestPeopleWhoWereRuledWrongly:
    def test_they_watch_as_others_do_so_nothing_is_taken_out(self) -> None:
        run = audited(order(EARLY_MS, odd=False), ruled(STOCK))
        assert parts(run)[1:] == (0, {})
        assert run.outcome.flags == []

    def test_a_few_of_them_are_no_evidence(self) -> None:
        run = audited(order(EARLY_MS), ruled(STOCK[:7]))
        assert parts(run)[1:] == (0, {})

    def test_guest_ids_are_no_evidence(self) -> None:
        assert parts(audited(order(EARLY_MS), ruled(STOCK, score=50)))[1:] == (0, {})

    def test_where_many_people_have_a_ruling_their_usual_number_is_no_evidence(self) -> None:
        everywhere = tuple({str(event.actor) for event in ordinary()})[: PEOPLE // 8]
        run = audited([], ruled(everywhere))
        assert run.outcome.corrections == []

    def test_a_ruling_that_is_taken_back_before_the_case_closes_gives_everything_back(self) -> None:
        run = audited(order(EARLY_MS), ruled(STOCK), until=DAY_END_MS + HOUR_MS)
        assert parts(run)[1] == len(STOCK)
        run.audit.control(ruled(STOCK, kind=HUMAN, at=DAY_END_MS + HOUR_MS), 1, run.outcome)
        run.advance(CLOSED_MS)
        assert parts(run)[1:] == (0, {})
        (flag,) = last_flags(run)
        assert (flag.status, flag.verdict, flag.artificial.value) == ("reversed", "suspect", 0)
        assert flag.reasons[-1].code == run.outcome.corrections[-1].reason == RULINGS_REVERSED

    def test_if_it_is_that_of_some_accounts_their_views_are_given_back(self) -> None:
        run = audited(order(EARLY_MS), ruled(STOCK), until=DAY_END_MS + HOUR_MS)
        run.audit.control(ruled(STOCK[:10], kind=HUMAN, at=DAY_END_MS + HOUR_MS), 1, run.outcome)
        run.restart()
        run.advance(CLOSED_MS)
        assert parts(run)[1:] == (0, {SELLERS_CODE: len(STOCK) - 10})
        assert [c.count for c in run.outcome.corrections] == [len(STOCK), 10, len(STOCK) - 10]
        assert last_flags(run)[0].artificial.value == len(STOCK) - 10

    def test_a_ruling_that_is_taken_back_later_changes_nothing_in_a_closed_case(self) -> None:
        run = audited(order(EARLY_MS), ruled(STOCK))
        run.audit.control(ruled(STOCK, kind=HUMAN, at=CLOSED_MS), 1, run.outcome)
        run.advance(CLOSED_MS + 2 * DAY_MS)
        assert parts(run)[2] == {SELLERS_CODE: len(STOCK)}


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        *((sellers, "sellers_opinion"), (GivenBack, "settle"), (ConductRulings, "sellers")),
        *((tabulate, "find_sellers"), (tabulate, "sellers_among")),
    ],
)
def test_a_failure_costs_no_event(owner: object, name: str) -> None:
    with patch.object(owner, name, side_effect=RuntimeError("injected")):
        run = audited(order(EARLY_MS), ruled(STOCK))
    assert sum(run.outcome.failures.values()) > 0
    valid, quarantined, invalid = parts(run)
    assert (valid + quarantined, invalid) == (sum(event.target == "v3" for event in ordinary()) + len(STOCK), {})
