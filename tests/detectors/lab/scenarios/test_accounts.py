"""Crowds of new accounts: who they are, how many, when they act, and what they do besides."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from detectors.lab.scenarios.registry import SCENARIOS
from detectors.lab.traffic.platform import Labelled, Platform
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS
from tests.detectors.lab.scenarios.plays import START_MS, background, end_ms, of_scenario, platform_of, play

ON_LIKES = ("likes_only_fresh", "likes_only_hits", "likes_only_course")


def by_target(rows: list[Labelled]) -> dict[str, list[Labelled]]:
    found: dict[str, list[Labelled]] = defaultdict(list)
    for row in rows:
        found[row.event.target].append(row)
    return found


def age_ms(row: Labelled) -> int:
    assert row.event.actor_created_at is not None
    return row.event.ts - row.event.actor_created_at


def test_sold_followers_are_days_old_and_follow_a_channel_within_four_hours() -> None:
    rows = of_scenario("fresh_followers")
    orders = by_target(rows)
    assert len(orders) == 2
    assert set(orders) <= set(platform_of("fresh_followers").owners)
    for order in orders.values():
        assert len(order) > 100
        assert order[-1].event.ts - order[0].event.ts <= 4 * HOUR_MS
    assert {row.event.metric for row in rows} == {"follow"}
    assert all(0 < age_ms(row) < 12 * DAY_MS for row in rows)


def test_a_full_order_has_twelve_hundred_followers() -> None:
    scenario = SCENARIOS["fresh_followers"]
    platform = Platform(5, targets=200, actors=3000, views_per_day=40_000)
    chunks = scenario.events(platform, seed=5, start_ms=START_MS, base_rate=0.012)
    orders = Counter(row.event.target for chunk in chunks for row in chunk if row.artificial)
    assert all(abs(count - 1200) < 300 for count in orders.values())


def test_most_sold_followers_do_nothing_else_and_some_follow_other_customers() -> None:
    acts: Counter[str | None] = Counter()
    sold = {row.event.actor for row in of_scenario("fresh_followers")}
    for event, _, _ in play("fresh_followers"):
        if event.actor in sold:
            acts[event.actor] += 1
    once = sum(count == 1 for count in acts.values()) / len(acts)
    assert 0.6 < once < 0.95


@pytest.mark.parametrize("name", ON_LIKES)
def test_a_platform_of_likes_sends_nothing_else(name: str) -> None:
    for event, _, _ in play(name):
        assert event.metric == "like"
        assert event.actor_created_at is not None
        fields = event.ip, event.user_agent, event.session, event.country, event.referrer, event.watch_ms
        assert fields == (None,) * 6


@pytest.mark.parametrize("name", ON_LIKES)
def test_on_a_platform_of_likes_hardly_anybody_is_new_and_nobody_likes_twice(name: str) -> None:
    rows = background(name)
    assert 0 < sum(age_ms(row) < DAY_MS for row in rows) / len(rows) < 0.01
    assert sum(age_ms(row) < 30 * DAY_MS for row in rows) / len(rows) < 0.03
    assert max(Counter((row.event.actor, row.event.target) for row in rows).values()) == 1


def test_sold_likes_are_by_accounts_of_one_day_within_a_day() -> None:
    rows = of_scenario("likes_only_fresh")
    for order in by_target([row for row in rows if row.artificial]).values():
        assert 15 <= len(order) < 105
        assert order[-1].event.ts - order[0].event.ts <= DAY_MS
        assert len({(row.event.actor_created_at or 0) // DAY_MS for row in order}) == 1
        assert all(0 < age_ms(row) < 8 * DAY_MS for row in order)
    camouflage = sum(not row.artificial for row in rows)
    assert 0 < camouflage < 0.6 * len(rows)


def test_of_a_sign_up_wave_most_go_on_and_a_third_never_comes_back() -> None:
    wave = {row.event.actor for row in of_scenario("sign_up_wave") if (row.event.actor or "").startswith("w")}
    channels = {row.event.target for row in of_scenario("sign_up_wave") if row.event.target.startswith("star")}
    rows = [row for row in play("sign_up_wave") if row.event.actor in wave]
    joined = Counter((row.event.actor_created_at or 0) // HOUR_MS for row in rows if row.event.target == "star")
    assert max(joined.values()) > 300
    elsewhere = {row.event.actor for row in rows if row.event.target not in channels and row.event.metric == "view"}
    followers = {row.event.actor for row in rows if row.event.target == "star"}
    assert len(followers) > 600
    assert 0.5 < len(followers & elsewhere) / len(followers) < 0.8


@pytest.mark.parametrize("name", ["fresh_followers", "likes_only_fresh", "likes_only_hits", "likes_only_course"])
def test_the_scenario_goes_on_for_the_two_days_in_which_conduct_decides(name: str) -> None:
    rows = of_scenario(name)
    targets = {row.event.target for row in rows if row.artificial} or {
        target for target, count in Counter(row.event.target for row in rows).items() if count >= 20
    }
    last = [max(row.event.ts for row in rows if row.event.target == target) for target in targets]
    late = sum(at > end_ms(name) - 48 * HOUR_MS for at in last)
    assert late == 0 if SCENARIOS[name].kind != "honest" else late <= 0.4 * len(last)


def test_of_a_course_a_third_never_likes_anything_else() -> None:
    rows = of_scenario("likes_only_course")
    new = [row for row in rows if age_ms(row) < 30 * DAY_MS]
    items = {target for target, order in by_target(new).items() if len({row.event.actor for row in order}) >= 14}
    acts = Counter(row.event.actor for row in new)
    assert items
    assert 0.2 < sum(count == 1 for count in acts.values()) / len(acts) < 0.5
    for item in items:
        first = [row for row in by_target(new)[item] if age_ms(row) < DAY_MS]
        assert first[0].event.ts + 5 * HOUR_MS > first[len(first) // 2].event.ts


def test_of_a_hit_nearly_all_accounts_are_old() -> None:
    hit = max(by_target(of_scenario("likes_only_hits")).values(), key=len)
    assert len(hit) > 100
    assert sum(age_ms(row) < 30 * MINUTE_MS for row in hit) / len(hit) < 0.12
