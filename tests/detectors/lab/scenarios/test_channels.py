"""The platform with channels: what its people follow, how they come, and what new accounts do."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS
from tests.detectors.lab.scenarios.plays import START_MS, background, end_ms, platform_of

NAME = "fresh_followers"


def test_follows_name_the_channel_and_views_and_likes_the_video() -> None:
    platform = platform_of(NAME)
    channels, videos = set(platform.owners), set(platform.names)
    for event, _, _ in background(NAME):
        if event.metric == "follow":
            assert event.target in channels
            assert event.owner is None
        else:
            assert event.target in videos
            assert event.owner in channels


def test_most_who_follow_a_channel_have_viewed_it_and_some_have_not() -> None:
    viewed: set[tuple[str | None, str | None]] = set()
    by_viewer: Counter[bool] = Counter()
    for event, _, _ in background(NAME):
        if event.metric == "view":
            viewed.add((event.actor, event.owner))
        elif event.metric == "follow" and not event.undo:
            by_viewer[(event.actor, event.target) in viewed] += 1
    assert 0.6 < by_viewer[True] / by_viewer.total() < 0.95


def test_nobody_follows_a_channel_or_likes_a_video_twice() -> None:
    standing: Counter[tuple[str | None, str, str | None]] = Counter()
    for event, _, _ in background(NAME):
        if event.metric != "view":
            standing[event.actor, event.target, event.metric] += -1 if event.undo else 1
    # A visit may repeat a like of the usual background, which does not know of it.
    assert sum(count > 1 for count in standing.values()) < 0.02 * len(standing)
    assert all(standing[act] <= 1 for act in standing if act[2] == "follow")


def test_new_accounts_come_every_day_and_a_third_of_them_never_again() -> None:
    acts: dict[str, list[int]] = defaultdict(list)
    born: dict[str, int] = {}
    for event, _, _ in background(NAME):
        if event.actor is not None and event.actor.startswith("n"):
            acts[event.actor].append(event.ts)
            born[event.actor] = event.actor_created_at or 0
    days = Counter((at - START_MS) // DAY_MS for at in born.values())
    assert min(days[day] for day in range(4)) >= 10
    assert all(0 <= acts[who][0] - born[who] < HOUR_MS for who in born)
    observed = [who for who in born if born[who] < end_ms(NAME) - 2.5 * DAY_MS]
    gone = sum(acts[who][-1] - born[who] < 12 * HOUR_MS for who in observed)
    assert 0.3 < gone / len(observed) < 0.65
    once = sum(len(acts[who]) == 1 for who in observed)
    assert 0.05 < once / len(observed) < 0.4


def test_some_people_watch_for_hours_at_even_intervals() -> None:
    views: dict[str, list[int]] = defaultdict(list)
    for event, _, _ in background(NAME):
        if event.metric == "view" and event.actor is not None:
            views[event.actor].append(event.ts)
    long = 0
    for times in views.values():
        run = 0
        for before, after in pairwise(times):
            run = run + 1 if after - before < 30 * MINUTE_MS else 0
            long += run == 15
    assert long >= 10


def test_the_background_does_not_depend_on_what_the_scenario_adds() -> None:
    def acts(name: str) -> list[tuple[int, str | None, str, str | None]]:
        return [(event.ts, event.actor, event.target, event.metric) for event, _, _ in background(name)]

    assert sorted(acts(NAME), key=str) == sorted(acts("sign_up_wave"), key=str)
