"""Accounts that come together to one target after another: who is suspected, and who is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.accounts.accounts import Accounts
from detectors.accounts.crowds.stocks import STOCK_MS, STOCKS_MAX, Stock
from detectors.accounts.outcome import AccountsOutcome, RulingRecord
from detectors.accounts.storage.columns import ROW
from detectors.controls import KINDS, SELLER
from detectors.windows.scales import DAY_MS, HOUR_MS
from tests.detectors.accounts.traffic import FOLLOW, LIKE, START_MS, Act, accounts_with, actor_hash, load, people, play

MINUTE = 60_000
STOCK = tuple(f"aged{number}" for number in range(60))
HOURS = 9


@cache
def platform() -> tuple[Act, ...]:
    """Hours of ordinary people."""
    return tuple(people(np.random.default_rng(1), 1500, hours=HOURS, per_hour=0.7))


def orders(
    rng: np.random.Generator,
    *,
    count: int = 9,
    size: int = 35,
    watched: Callable[[np.random.Generator], float] = lambda rng: float(np.clip(rng.normal(0.33, 0.08), 0.05, 0.9)),
    owner: str | None = None,
    created: int = -400 * DAY_MS,
) -> list[Act]:
    """Orders of half an hour, the one forty minutes after the other, by accounts drawn from one stock."""
    acts = []
    for order in range(count):
        duration = 100_000 + 7_000 * order
        for number in rng.permutation(len(STOCK))[:size].tolist():
            at = 2 * HOUR_MS + 40 * MINUTE * order + int(rng.integers(0, 30 * MINUTE))
            watch = int(watched(rng) * duration)
            here = owner if owner is not None else f"o{order}"
            acts.append(
                Act(at, STOCK[number], f"t{order}", owner=here, watch=watch, duration=duration, created=created)
            )
    return acts


def ruled(accounts: Accounts, acts: list[Act], **how: Any) -> dict[str, RulingRecord]:
    """The accounts with a ruling against them after these acts."""
    outcome = play(accounts, [*platform(), *acts], step=5 * MINUTE, **how)
    last = {record.actor: record for record in outcome.rulings}
    return {actor: record for actor, record in last.items() if record.until > record.as_of}


class TestSuspected:
    def test_a_sellers_stock_is_suspected_and_nobody_else(self) -> None:
        found = ruled(accounts_with(), orders(np.random.default_rng(2)))
        assert len(found) >= 0.8 * len(STOCK)
        assert set(found) <= set(STOCK)
        record = found[min(found)]
        assert (record.ruling, record.score) == (KINDS[SELLER], 90)
        (reason,) = record.reasons
        assert reason.code == "shared_targets"
        assert reason.value > 3 * reason.baseline
        assert "came together to" in reason.text
        assert "leave videos elsewhere" in reason.text

    @pytest.mark.parametrize("first_hour", [2, 3])
    def test_orders_that_the_end_of_an_hour_cuts_in_two(self, first_hour: int) -> None:
        rng, acts = np.random.default_rng(8), []
        for order in range(6):
            end_of_hour = (first_hour + order // 2 * 2) * HOUR_MS
            for number in rng.permutation(len(STOCK))[:30].tolist():
                at = end_of_hour + int(rng.integers(-20 * MINUTE, 20 * MINUTE))
                watch = int(np.clip(rng.normal(0.33, 0.08), 0.05, 0.9) * 100_000)
                acts.append(Act(at, STOCK[number], f"t{order}", owner=f"o{order}", watch=watch, duration=100_000))
        found = ruled(accounts_with(), acts)
        assert len(found) >= 0.5 * len(STOCK)
        assert set(found) <= set(STOCK)

    def test_the_profile_of_an_account_says_why(self) -> None:
        accounts = accounts_with()
        found = ruled(accounts, orders(np.random.default_rng(2)))
        profile = accounts.profile(actor_hash(min(found)))
        assert profile is not None
        assert profile.ruling is not None
        (reason,) = profile.ruling.reasons
        assert (reason.code, "accounts that came together" in reason.text) == ("shared_targets", True)

    def test_aged_accounts_that_like_whatever_they_view_and_do_nothing_else(self) -> None:
        rng = np.random.default_rng(3)
        views = orders(rng, watched=lambda rng: float(rng.random()))
        likes = [Act(act.at + MINUTE, act.actor, act.target, LIKE, act.owner) for act in views]
        found = ruled(accounts_with(), [*views, *likes])
        assert len(found) >= 0.6 * len(STOCK)
        assert set(found) <= set(STOCK)
        assert "like or follow what they view" in found[min(found)].reasons[0].text

    def test_follows_of_channels_and_views_of_their_videos_are_at_one_owner(self) -> None:
        rng = np.random.default_rng(3)
        views = orders(rng, watched=lambda rng: float(rng.random()))
        follows = [Act(act.at + MINUTE, act.actor, act.owner or "", FOLLOW, act.owner) for act in views]
        found = ruled(accounts_with(), [*views, *follows])
        assert len(found) >= 0.6 * len(STOCK)
        assert set(found) <= set(STOCK)

    @pytest.mark.parametrize("channels", [False, True])
    def test_a_burst_that_makes_most_of_the_hours_visits(self, channels: bool) -> None:
        burst = six_targets_at_once(np.random.default_rng(7), channels=channels, likes=True)
        found = ruled(accounts_with(), burst)
        assert len(found) >= 0.8 * BURST
        assert all(actor.startswith("burst") for actor in found)


BURST = 300


def six_targets_at_once(rng: np.random.Generator, *, channels: bool, likes: bool) -> list[Act]:
    """Aged accounts that come to six targets within half an hour; follows are of the channel, or of the video."""
    acts = []
    for number in range(BURST):
        for target in range(6):
            at = 4 * HOUR_MS + 15 * MINUTE + int(rng.integers(0, 30 * MINUTE))
            who, video, owner = f"burst{number}", f"t{target}", f"o{target}"
            acts.append(Act(at, who, video, owner=owner, watch=30_000, duration=100_000))
            if likes:
                acts.append(Act(at + 20_000, who, video, LIKE, owner))
                acts.append(Act(at + 30_000, who, owner if channels else video, FOLLOW, owner))
    return acts


class TestNotSuspected:
    def test_people_who_all_come_to_the_headlines_of_the_day(self) -> None:
        assert ruled(accounts_with(), six_targets_at_once(np.random.default_rng(7), channels=False, likes=False)) == {}

    def test_people_of_one_taste_who_watch_as_others_do(self) -> None:
        assert ruled(accounts_with(), orders(np.random.default_rng(2), watched=lambda rng: float(rng.random()))) == {}

    def test_fans_of_one_owner(self) -> None:
        assert ruled(accounts_with(), orders(np.random.default_rng(2), owner="idol")) == {}

    def test_new_accounts_that_like_everything_as_voters_in_a_contest_do(self) -> None:
        views = orders(np.random.default_rng(3), watched=lambda rng: float(rng.random()), created=-2 * DAY_MS)
        likes = [Act(act.at + MINUTE, act.actor, act.target, LIKE, act.owner) for act in views]
        assert ruled(accounts_with(), [*views, *likes]) == {}

    def test_listeners_of_one_list_who_leave_its_tracks_early(self) -> None:
        rng, acts = np.random.default_rng(4), []
        for number in range(len(STOCK)):
            begin = 3 * HOUR_MS + int(rng.integers(0, 2 * HOUR_MS))
            for track in range(8):
                watch = int(rng.normal(60_000, 4_000))
                acts.append(
                    Act(
                        begin + track * 4 * MINUTE,
                        STOCK[number],
                        f"t{track}",
                        owner=f"o{track}",
                        watch=watch,
                        duration=180_000,
                    )
                )
        assert ruled(accounts_with(), acts) == {}

    def test_people_who_all_come_to_what_is_popular(self) -> None:
        rng, acts = np.random.default_rng(5), []
        for person in range(300):
            for target in rng.permutation(6)[:4].tolist():
                at = int(rng.integers(0, 2 * HOUR_MS))
                acts.append(
                    Act(at, f"q{person}", f"hit{target}", owner=f"h{target}", watch=40_000, duration=120_000 + target)
                )
        assert ruled(accounts_with(), acts) == {}

    def test_an_account_of_the_operators_list(self) -> None:
        found = ruled(accounts_with(allow=frozenset({"aged1", "aged2"})), orders(np.random.default_rng(2)))
        assert found
        assert {"aged1", "aged2"}.isdisjoint(found)


class TestLife:
    def test_a_stock_that_is_not_seen_again_ends_and_so_do_its_rulings(self) -> None:
        accounts = accounts_with()
        found = ruled(accounts, orders(np.random.default_rng(2)))
        late = HOURS * HOUR_MS + STOCK_MS + DAY_MS
        play(accounts, [Act(late + 1000 * n, who, "v1") for n, who in enumerate(sorted(found))], step=HOUR_MS)
        assert accounts._evaluation.stocks.found == {}
        profiles = [accounts.profile(actor_hash(who)) for who in found]
        assert all(profile is not None and profile.ruling is None for profile in profiles)

    def test_a_ruling_is_kept_while_the_stock_is_known(self) -> None:
        accounts = accounts_with()
        found = ruled(accounts, orders(np.random.default_rng(2)))
        late = 20 * DAY_MS
        play(accounts, [Act(late + 1000 * n, who, "v1") for n, who in enumerate(sorted(found))], step=HOUR_MS)
        profile = accounts.profile(actor_hash(min(found)))
        assert profile is not None
        assert profile.ruling is not None
        assert profile.ruling.ruling == KINDS[SELLER]
        assert profile.ruling.until >= START_MS + late + 29 * DAY_MS

    def test_a_restart_changes_nothing(self) -> None:
        acts = sorted([*platform(), *orders(np.random.default_rng(2))], key=lambda act: act.at)
        half = len(acts) // 2
        whole, first = accounts_with(), accounts_with()
        for accounts in (whole, first):
            play(accounts, acts[:half], step=5 * MINUTE)
        second = accounts_with()
        load(second, [(key, msgspec.msgpack.decode(msgspec.msgpack.encode(value))) for key, value in first.dump()])
        outcomes = [play(accounts, acts[half:], step=5 * MINUTE) for accounts in (whole, second)]
        assert outcomes[0] == outcomes[1]
        assert msgspec.msgpack.encode(whole.dump()) == msgspec.msgpack.encode(second.dump())

    def test_stocks_and_the_bytes_of_an_account_are_bounded(self) -> None:
        accounts, outcome = accounts_with(), AccountsOutcome()
        stocks = accounts._evaluation.stocks
        stocks.found = {number: Stock(number, START_MS, START_MS + number) for number in range(1, STOCKS_MAX + 1)}
        stocks.latest = STOCKS_MAX
        play(accounts, [*platform(), *orders(np.random.default_rng(2))], step=5 * MINUTE)
        assert len(stocks.found) == STOCKS_MAX
        assert 1 not in stocks.found
        assert ROW.itemsize + 36 <= 300
        assert outcome.failures == {}


@pytest.mark.parametrize("seed", range(3))
def test_ordinary_people_have_no_stock(seed: int) -> None:
    accounts = accounts_with()
    play(accounts, people(np.random.default_rng(seed), 300, hours=12, per_hour=6), step=5 * MINUTE)
    assert accounts._evaluation.stocks.found == {}
