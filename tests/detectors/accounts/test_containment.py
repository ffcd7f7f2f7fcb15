"""An exception anywhere in the accounts costs a conclusion: the log goes on, and every question gets an answer."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from detectors.accounts.accounts import Accounts
from detectors.accounts.outcome import AccountsOutcome
from detectors.controls import Answered, Asked, Forgotten, Removed
from detectors.failures import ACCOUNT_PARTS
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS
from tests.detectors.accounts.test_chunks import state_of
from tests.detectors.accounts.traffic import (
    FOLLOW,
    LIKE,
    START_MS,
    Act,
    accounts_with,
    actor_hash,
    block_of,
    load,
    people,
)
from tests.streams.injection import ACCOUNTS, InjectedError, Injection, places_in

DAYS = 5
CASES = {f"case{number}": START_MS + (20 + 30 * number) * HOUR_MS for number in range(3)}
"""The questions, and when they are due."""

ENTRANCES = {
    *(
        f"accounts.accounts.Accounts.{name}"
        for name in ("observe", "control", "advance", "complete", "load_piece", "load_record", "lose_pages")
    ),
    "accounts.storage.idle.IdleAccounts.lose",
    *(
        f"accounts.accounts.Accounts.{name}"
        for name in ("memory_bytes", "profile", "replaying", "take_changed", "take_changed_pages", "take_page_changes")
    ),
    *(f"accounts.state.{kind}.take_changed" for kind in ("AccountsPart", "AccountPagesPart")),
    "accounts.profile.profile_of",
    "accounts.rulings.replays.Replays.of",
    "accounts.containment.contained",
    "accounts.crowds.settlement.unknown_answer",
    "accounts.outcome.AccountsOutcome.fail",
    "accounts.outcome.AccountsOutcome.drain",
}
"""What the role itself calls, what answers a person, and the containment."""
OF_STATE = {
    "accounts.crowds.newcomers.Newcomers.take_changed",
    "accounts.crowds.newcomers.Newcomers.hours",
    "accounts.crowds.newcomers.Newcomers.record",
    "accounts.crowds.newcomers.Newcomers.memory_bytes",
    *(
        f"accounts.storage.idle.IdleAccounts.{name}"
        for name in ("take_page_changes", "take_changed_indexes", "indexes", "memory_bytes")
    ),
    *(
        f"accounts.storage.table.Table.{name}"
        for name in ("take_changed", "records", "load_record", "finish_loading", "memory_bytes", "find_name")
    ),
    "accounts.storage.index.Index.memory_bytes",
    *(
        f"accounts.storage.presence.Presence.{name}"
        for name in ("all_here", "group", "here", "memory_bytes", "take_left")
    ),
    *(f"accounts.pages.AccountPages.{name}" for name in ("read", "read_page", "write", "drop")),
}
"""Called by checkpoints, restores, gauges, commands and requests to delete. AccountPages is a protocol."""

FINDS_QUESTIONS = "accounts.crowds.settlement.Settlement.take_due"


@cache
def acts() -> tuple[tuple[Act, ...], ...]:
    """Hours of acts: people, a program that never rests, a declared robot, new followers, addresses, undos, a stock."""
    rng = np.random.default_rng(3)
    rows = people(rng, 30, hours=6, days=DAYS)
    rows += [Act(at, "bot", f"v{at % 7}", watch=30_000, duration=30_000) for at in range(0, DAYS * DAY_MS, 90_000)]
    rows += [Act(at, "replayer", "clip", watch=20_000, duration=20_000) for at in range(0, 3 * HOUR_MS, 90_000)]
    rows += [Act(at, "crawler", f"v{at % 11}", robot=True) for at in range(0, DAY_MS, HOUR_MS)]
    for number in range(80):
        at = 10 * HOUR_MS + number * MINUTE_MS // 2
        rows.append(Act(at, f"new{number}", "channel", FOLLOW, created=at - HOUR_MS))
        rows.append(Act(at + 500, f"192.0.2.{number}", f"v{number}", created=None))
        rows.append(Act(at + 900, f"p{number % 30}", "channel", FOLLOW, undo=True))
    for number in range(25):  # a stock of accounts that come together
        for place in range(4):
            at = 100 * HOUR_MS + int(rng.integers(0, 55)) * MINUTE_MS
            rows.append(Act(at, f"aged{number}", f"t{place}", owner=f"o{place}", watch=9_000, duration=30_000))
            rows.append(Act(at + 1_000, f"aged{number}", f"t{place}", LIKE, owner=f"o{place}"))
    rows += [Act(33 * DAY_MS + place * MINUTE_MS, f"p{place}", "v1") for place in range(30)]
    rows.sort(key=lambda act: act.at)
    hours: dict[int, list[Act]] = {}
    for act in rows:
        hours.setdefault(act.at // HOUR_MS, []).append(act)
    return tuple(map(tuple, hours.values()))


def run(accounts: Accounts | None = None) -> AccountsOutcome:
    """The acts, with questions, a condemned crowd and a request to delete between them."""
    accounts = accounts or accounts_with(active_max=60, stored_max=150)
    outcome = AccountsOutcome()
    asked = [actor_hash(f"new{number}") for number in range(80)]
    for hour in acts():
        begin = START_MS + hour[0].at // HOUR_MS * HOUR_MS
        accounts.observe(block_of(hour), outcome)
        accounts.advance(begin + HOUR_MS, outcome)
        if hour[0].at // HOUR_MS == 12:
            for case, due in CASES.items():
                question = Asked(case, "2channel", 1, -1, START_MS + 10 * HOUR_MS, START_MS + 11 * HOUR_MS, due, asked)
                accounts.control(question, outcome)
        if hour[0].at // HOUR_MS == 30:
            for number in range(4):
                accounts.control(Removed(begin, f"r{number}", f"0v{number}", 0.9, [actor_hash("p1")]), outcome)
            accounts.control(Forgotten(actor_hash("p2"), "p2"), outcome)
    return outcome


def answers(outcome: AccountsOutcome) -> list[tuple[str, int]]:
    """The questions that were answered, and the number of accounts in each answer."""
    found = [record for _, record in outcome.controls if isinstance(record, Answered)]
    return sorted((record.case, record.acted + record.empty + record.unknown) for record in found)


@cache
def undisturbed() -> AccountsOutcome:
    return run()


def test_the_log_has_something_to_disturb() -> None:
    whole = undisturbed()
    assert whole.failures == {}
    assert answers(whole) == [(case, 80) for case in CASES]
    assert {"automated", "declared_robot", "empty", "seller"} <= set(whole.ruled)
    assert whole.dropped > 0


@pytest.mark.parametrize("place", [place for place in places_in(ACCOUNTS) if place not in ENTRANCES])
def test_what_always_fails_stops_nothing(place: str) -> None:
    accounts = accounts_with(active_max=60, stored_max=150)
    with Injection(place, target=None).anywhere() as injection:
        outcome = run(accounts)
    assert bool(injection.hits) == (place not in OF_STATE), "it is called"
    if place != FINDS_QUESTIONS:  # then audits wait until their cases expire
        assert answers(outcome) == [(case, 80) for case in CASES]
    assert outcome.forgotten == ["p2"]
    assert outcome.events == undisturbed().events
    assert set(outcome.failures) <= set(ACCOUNT_PARTS)
    assert bool(outcome.failures) == bool(injection.hits)
    assert all("InjectedError" in failure.error for failure in outcome.unjudged)
    again = accounts_with(active_max=60, stored_max=150)
    load(again, accounts.dump())
    assert state_of(again) == state_of(accounts), "what is left can be stored"


@pytest.mark.parametrize("place", ["accounts.rulings.verdicts.verdict_on", "accounts.rulings.changes.record_of"])
def test_an_account_that_cannot_be_ruled_on_costs_no_other_its_ruling(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    module, name = f"detectors.{place}".rsplit(".", 1)
    users = {"verdict_on": "detectors.accounts.rulings.evaluation"}
    original = getattr(__import__(module, fromlist=[name]), name)

    def failing(*arguments: Any) -> Any:
        row = arguments[0].row if name == "verdict_on" else arguments[0]
        if int(row["actor"]) == actor_hash("bot"):
            raise InjectedError(place)
        return original(*arguments)

    monkeypatch.setattr(f"{users.get(name, module)}.{name}", failing)
    outcome = run()
    assert set(outcome.failures) == {"rulings"}
    whole = [ruling for ruling in undisturbed().rulings if ruling.actor != "bot"]
    assert [(r.actor, r.ruling, r.since) for r in outcome.rulings] == [(r.actor, r.ruling, r.since) for r in whole]


@pytest.mark.parametrize("error", [OSError(28, "no space"), MemoryError()])
def test_failures_of_the_machine_are_not_contained(error: Exception) -> None:
    with (
        Injection("accounts.acts.conduct.conduct_of", target=None, error=error).anywhere(),
        pytest.raises(type(error)),
    ):
        run()
