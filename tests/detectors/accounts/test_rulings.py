"""Who gets which ruling, and who gets none."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from detectors.accounts.acts.conduct import Suspicion
from detectors.accounts.outcome import AccountsOutcome, RulingRecord
from detectors.accounts.rulings.verdicts import NO_ACCOUNT_MAX, SHARED_MAX, Judged, verdict_on
from detectors.accounts.storage.columns import blank
from detectors.actors.conduct import AUTOMATED_MIN
from detectors.controls import AUTOMATED, KINDS, Removed, Ruled
from detectors.windows.scales import DAY_MS, HOUR_MS
from tests.detectors.accounts.traffic import LIKE, START_MS, Act, accounts_with, actor_hash, block_of, people, play

MINUTE = 60_000


@cache
def platform() -> tuple[Act, ...]:
    """A day of ordinary people, from whom the accounts learn what is usual."""
    return tuple(people(np.random.default_rng(1), 250, hours=20, per_hour=4))


def replay(
    actor: str,
    *,
    gap: float,
    hours: float,
    watch: int = 31_000,
    duration: int = 90_000,
    begin: int = 0,
    **fields: Any,
) -> list[Act]:
    """An account that plays one clip again and again, at intervals that vary by two per cent."""
    rng, at, acts = np.random.default_rng(2), float(begin), []
    while at < begin + hours * HOUR_MS:
        seen = int(watch + rng.normal(0, 300))
        acts.append(Act(int(at), actor, "v7", owner="c7", watch=min(seen, duration), duration=duration, **fields))
        at += gap * rng.normal(1.0, 0.02)
    return acts


def driven(actor: str, *, hours: float, created: int | None = None) -> list[Act]:
    """A browser that a program drives from clip to clip: it leaves each at the same share of its length."""
    rng, at, acts = np.random.default_rng(3), 0.0, []
    while at < hours * HOUR_MS:
        clip = int(rng.integers(0, 40))
        duration = 60_000 + 2_500 * clip
        watch = int(duration * rng.normal(0.6, 0.01))
        acts.append(Act(int(at), actor, f"v{clip}", owner=f"c{clip}", watch=watch, duration=duration, created=created))
        at += watch + 5_000 + rng.exponential(700)
    return acts


def last_rulings(outcome: AccountsOutcome) -> dict[str, RulingRecord]:
    return {record.actor: record for record in outcome.rulings}


def rulings_with(*extra: list[Act], **settings: Any) -> dict[str, RulingRecord]:
    """The rulings after the platform's day with some further acts on its evening."""
    acts = [*platform(), *(move(act, 8 * HOUR_MS) for listed in extra for act in listed)]
    return last_rulings(play(accounts_with(**settings), acts))


def move(act: Act, by: int) -> Act:
    return Act(act.at + by, *(getattr(act, name) for name in act.__slots__[1:]))


class TestAutomated:
    @pytest.mark.parametrize("gap", [33_000, 75_000, 180_000])
    def test_an_account_that_replays_a_clip_for_hours(self, gap: int) -> None:
        found = rulings_with(replay("bot", gap=gap, hours=5))
        assert {actor for actor, record in found.items() if record.ruling == "automated"} == {"bot"}
        codes = [reason.code for reason in found["bot"].reasons]
        assert codes == ["even_gaps", "same_watch"]
        assert "is usual" in found["bot"].reasons[0].text

    def test_a_browser_that_a_program_drives_counts_half_because_it_is_no_account(self) -> None:
        found = rulings_with(driven("session-9", hours=3))
        assert found["session-9"].ruling == "automated"
        assert found["session-9"].score <= 50
        assert not found["session-9"].account
        assert found["session-9"].reasons[-1].code == "no_account"

    def test_an_address_counts_half_even_with_an_age(self) -> None:
        found = rulings_with(replay("203.0.113.9", gap=75_000, hours=5))
        assert found["203.0.113.9"].score <= SHARED_MAX
        assert not found["203.0.113.9"].account

    def test_an_account_that_a_household_may_share_counts_less_than_a_session_of_a_program(self) -> None:
        suspicion = Suspicion(8.0, (2, 3))
        assert suspicion.convincing
        assert not suspicion.regular
        row = blank(np.array([2]))[0]
        found = verdict_on(Judged(row, 0, suspicion, allowed=False, settled_empty=False, returns_are_rare=True))
        assert (found.kind, found.score) == (AUTOMATED, SHARED_MAX)
        assert SHARED_MAX < AUTOMATED_MIN <= NO_ACCOUNT_MAX

    def test_on_a_platform_without_ages_everybody_is_an_account(self) -> None:
        acts = [
            Act(act.at, act.actor, act.target, owner=act.owner, created=None, watch=act.watch, duration=act.duration)
            for act in platform()
        ]
        found = last_rulings(
            play(accounts_with(), [*acts, *replay("bot", gap=75_000, hours=5, begin=8 * HOUR_MS, created=None)])
        )
        assert found["bot"].account
        assert found["bot"].score > 50

    def test_someone_who_sleeps_to_a_looped_track_is_not(self) -> None:
        loop = replay("sleeper", gap=300_400, hours=9, watch=300_000, duration=300_000)
        assert "sleeper" not in rulings_with(loop)

    def test_someone_who_loops_a_babys_video_all_night_without_watch_times_is_not(self) -> None:
        loop = [Act(act.at, "parent", "v7") for act in replay("parent", gap=150_000, hours=10)]
        assert "parent" not in rulings_with(loop)

    def test_someone_who_rates_dozens_of_items_in_a_sitting_is_not(self) -> None:
        rng, at, acts = np.random.default_rng(4), 0, []
        for item in range(400):
            at += int(rng.lognormal(np.log(9), 0.8)) * 1000
            acts.append(Act(at, "rater", f"i{item}", LIKE))
        assert "rater" not in rulings_with(acts)

    def test_a_shop_that_plays_previews_of_a_catalogue_is_not(self) -> None:
        rng, at, acts = np.random.default_rng(5), 0.0, []
        for _ in range(140):
            duration = int(rng.integers(150_000, 400_000))
            watch = min(duration, 200_000)
            acts.append(Act(int(at), "shop", f"v{int(rng.integers(0, 300))}", watch=watch, duration=duration))
            at += watch + rng.exponential(3_000)
        assert "shop" not in rulings_with(acts)

    def test_nobody_is_before_the_platform_is_known(self) -> None:
        assert play(accounts_with(), replay("bot", gap=75_000, hours=5)).rulings == []

    def test_the_operators_list_wins(self) -> None:
        found = rulings_with(replay("bot", gap=75_000, hours=5), allow=frozenset({"bot"}))
        assert "bot" not in found

    def test_a_ruling_is_kept_while_the_conduct_lasts_and_taken_back_when_it_ends(self) -> None:
        accounts = accounts_with()
        first = play(accounts, [*platform(), *replay("bot", gap=75_000, hours=5, begin=8 * HOUR_MS)])
        assert [record.ruling for record in first.rulings if record.actor == "bot"] == ["automated"]
        rng = np.random.default_rng(6)
        honest = [Act(act.at + DAY_MS, "bot", act.target, owner=act.owner, watch=act.watch, duration=act.duration)
                  for act in people(rng, 1, hours=20, per_hour=6, days=4)]  # fmt: skip
        record = last_rulings(play(accounts, honest))["bot"]
        assert (record.ruling, record.previous, record.reversed_by) == ("human", "automated", "conduct")
        assert record.until <= record.as_of or record.score > 0


class TestOtherKinds:
    def test_a_declared_robot(self) -> None:
        acts = [Act(at, "crawler", f"v{at % 7}", robot=at == 3 * MINUTE) for at in range(0, 10 * MINUTE, MINUTE)]
        record = last_rulings(play(accounts_with(), acts))["crawler"]
        assert (record.ruling, record.score) == ("declared_robot", 100)

    def test_an_account_of_two_condemned_crowds_may_be_a_sellers_until_it_fades(self) -> None:
        accounts, outcome = accounts_with(), AccountsOutcome()
        accounts.observe(block_of([Act(0, "aged", "v1"), Act(0, "once", "v1")]), outcome)
        for case, target, actors in (("f1", "v1", ["aged", "once"]), ("f1", "v1", ["aged"]), ("f2", "v2", ["aged"])):
            accounts.control(Removed(START_MS, case, f"0{target}", 0.9, [actor_hash(each) for each in actors]), outcome)
        accounts.advance(START_MS + 10 * MINUTE, outcome)
        assert [(record.actor, record.ruling) for record in outcome.rulings] == [("aged", "seller")]
        ruled = outcome.controls[-1][1]
        assert isinstance(ruled, Ruled)
        assert ruled.kinds == [KINDS.index("seller")]
        assert ruled.scores[0] >= 90
        later = play(accounts, [Act(day * DAY_MS, "aged", f"v{day}") for day in (25, 50)], step=6 * HOUR_MS)
        assert [(record.ruling, record.previous) for record in later.rulings] == [("seller", None), ("human", "seller")]
        assert later.rulings[0].until > START_MS + 50 * DAY_MS
        assert later.rulings[1].until <= later.rulings[1].as_of

    def test_an_account_that_returns_where_hardly_anybody_does_is_dormant(self) -> None:
        accounts = accounts_with()
        crowd = [Act(day * DAY_MS + person * 1000, f"p{person}", "v1") for person in range(60) for day in range(40)]
        acts = [*crowd, Act(0, "sleeper", "v2"), Act(39 * DAY_MS, "sleeper", "v3")]
        found = last_rulings(play(accounts, acts, step=6 * HOUR_MS))
        assert found["sleeper"].ruling == "dormant"

    def test_a_return_says_nothing_where_everybody_returns(self) -> None:
        acts = [
            Act(visit * 40 * DAY_MS + person * 1000, f"p{person}", "v1") for person in range(60) for visit in range(3)
        ]
        assert play(accounts_with(), acts, step=6 * HOUR_MS).rulings == []

    def test_people_are_people_in_the_profile_but_not_published(self) -> None:
        accounts = accounts_with()
        outcome = play(accounts, people(np.random.default_rng(7), 20, hours=14, days=7))
        assert outcome.rulings == []
        profile = accounts.profile(actor_hash("p3"))
        assert profile is not None
        assert profile.ruling is not None
        assert profile.ruling.ruling == "human"


class TestPublishing:
    def test_a_point_of_the_grid_publishes_a_limited_number_in_order_of_hash(self) -> None:
        accounts, outcome = accounts_with(ruled_max=3), AccountsOutcome()
        accounts.observe(block_of([Act(0, f"r{number}", "v1", robot=True) for number in range(8)]), outcome)
        for minute in range(0, 60, 5):
            accounts.advance(START_MS + minute * MINUTE, outcome)
        ruled = [record for _, record in outcome.controls if isinstance(record, Ruled)]
        assert [len(record.actors) for record in ruled] == [3, 3, 2]
        assert all(record.actors == sorted(record.actors) for record in ruled)
        assert all(place is None for place, _ in outcome.controls)
        assert len(outcome.rulings) == 8
        assert outcome.ruled == {"declared_robot": 8}

    def test_a_ruling_is_published_once(self) -> None:
        acts = replay("bot", gap=75_000, hours=5, begin=8 * HOUR_MS)
        outcome = play(accounts_with(), [*platform(), *acts])
        assert [record for record in outcome.rulings if record.actor == "bot"][1:] == []
        assert outcome.ruled == {KINDS[AUTOMATED]: 1}
