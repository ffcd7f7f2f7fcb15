"""The background: a platform's day, its people and its rhythm."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from detectors.events.event import Event
from detectors.lab.traffic.platform import Platform
from detectors.lab.traffic.population import world_rhythm
from detectors.lab.traffic.stream import FOLLOWS_PER_VIEW, LIKES_PER_VIEW
from detectors.windows.scales import DAY_MS, HOUR_MS

START_MS = 1_700_006_400_000


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform(7, targets=300, actors=4000, views_per_day=60_000)


@pytest.fixture(scope="module")
def day(platform: Platform) -> list[Event]:
    chunks = platform.events(START_MS, START_MS + DAY_MS)
    return [labelled.event for chunk in chunks for labelled in chunk]


def test_the_same_seed_gives_the_same_events_and_another_seed_others(day: list[Event]) -> None:
    again = Platform(7, targets=300, actors=4000, views_per_day=60_000)
    first = next(again.events(START_MS, START_MS + DAY_MS))
    assert [labelled.event for labelled in first] == day[: len(first)]
    other = next(Platform(8, targets=300, actors=4000, views_per_day=60_000).events(START_MS, START_MS + DAY_MS))
    assert [labelled.event for labelled in other] != day[: len(other)]


def test_events_come_in_order_of_time_and_within_the_span(day: list[Event]) -> None:
    assert all(a.ts <= b.ts for a, b in pairwise(day))
    assert day[0].ts >= START_MS
    assert day[-1].ts < START_MS + DAY_MS


def test_every_event_has_an_id_of_its_own(day: list[Event]) -> None:
    assert len({e.id for e in day}) == len(day)


def test_views_by_hour_follow_the_rhythm(day: list[Event]) -> None:
    by_hour = Counter((e.ts - START_MS) // HOUR_MS for e in day if e.metric == "view")
    expected = [world_rhythm(START_MS + hour * HOUR_MS + HOUR_MS // 2) for hour in range(24)]
    seen = [by_hour[hour] / 2500 for hour in range(24)]
    assert np.corrcoef(seen, expected)[0, 1] > 0.9
    assert np.mean(seen) == pytest.approx(1.0, abs=0.15)


def test_likes_and_follows_come_at_their_ratio_to_views(day: list[Event]) -> None:
    counts = Counter(e.metric for e in day if not e.undo)
    assert counts["like"] / counts["view"] == pytest.approx(LIKES_PER_VIEW, rel=0.25)
    assert counts["follow"] / counts["view"] == pytest.approx(FOLLOWS_PER_VIEW, rel=0.35)


def test_nobody_likes_what_they_have_not_seen_or_the_same_thing_twice(day: list[Event]) -> None:
    seen, liked = set(), Counter[tuple[str | None, str]]()
    for event in day:
        pair = (event.actor, event.target)
        if event.metric == "view":
            seen.add(pair)
        elif event.metric == "like" and not event.undo:
            assert pair in seen
            liked[pair] += 1
    assert max(liked.values()) == 1


def test_nobody_watches_longer_than_there_is_to_see(day: list[Event]) -> None:
    views = [e for e in day if e.metric == "view"]
    assert all(e.watch_ms is not None and e.duration_ms is not None and e.watch_ms <= e.duration_ms for e in views)


def test_popularity_has_a_heavy_tail(day: list[Event]) -> None:
    counts = sorted(Counter(e.target for e in day if e.metric == "view").values(), reverse=True)
    assert sum(counts[:30]) > 0.3 * sum(counts)
    assert len(counts) > 280


def test_accounts_are_older_than_their_events_and_mostly_not_fresh(day: list[Event]) -> None:
    ages = [e.ts - e.actor_created_at for e in day if e.actor_created_at is not None]
    assert min(ages) >= 0
    assert 0.03 < sum(age < 30 * DAY_MS for age in ages) / len(ages) < 0.2


def test_a_person_keeps_country_and_lines(day: list[Event]) -> None:
    lines: dict[str | None, set[str | None]] = {}
    countries: dict[str | None, set[str | None]] = {}
    for event in day:
        lines.setdefault(event.actor, set()).add(event.ip)
        countries.setdefault(event.actor, set()).add(event.country)
    assert max(len(ips) for ips in lines.values()) <= 2
    assert max(len(names) for names in countries.values()) == 1
