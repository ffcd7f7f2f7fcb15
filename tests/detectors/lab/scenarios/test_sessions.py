"""Programs and people with many views: how even a session is, and who does it."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from statistics import mean, pstdev

from detectors.events.event import Event
from detectors.windows.scales import DAY_MS, HOUR_MS
from tests.detectors.lab.scenarios.plays import background, of_scenario, platform_of


def by_actor(name: str) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event, _, _ in of_scenario(name):
        found[event.actor or ""].append(event)
    return found


def test_a_driven_browser_views_for_hours_at_nearly_even_gaps() -> None:
    sessions = by_actor("driven_browsers")
    assert len(sessions) >= 3
    for events in sessions.values():
        gaps = [after.ts - before.ts for before, after in pairwise(events)]
        assert len(events) >= 30
        assert events[-1].ts - events[0].ts > 0.5 * HOUR_MS
        assert pstdev(gaps) < 0.4 * mean(gaps)
        shares = [(event.watch_ms or 0) / (event.duration_ms or 1) for event in events]
        seconds = [event.watch_ms or 0 for event in events]
        assert min(pstdev(shares) / mean(shares), pstdev(seconds) / mean(seconds)) < 0.05
        assert len({event.target for event in events}) >= 5


def test_a_driven_browser_is_known_by_its_session_and_comes_from_a_household() -> None:
    for events in by_actor("driven_browsers").values():
        assert {event.actor_created_at for event in events} == {None}
        assert len({(event.ip, event.user_agent) for event in events}) == 1
        assert not (events[0].ip or "").startswith(("185.", "186.", "187.", "188.", "189.", "190.", "191.", "192."))


def test_on_no_target_driven_browsers_are_most_of_the_views() -> None:
    seen = Counter(row.event.target for row in background("driven_browsers"))
    driven = Counter(row.event.target for row in of_scenario("driven_browsers"))
    assert sum(driven[target] < seen[target] for target in driven) > 0.7 * len(driven)


def test_members_of_an_exchange_view_many_owners_for_the_required_time_and_have_honest_events() -> None:
    members = by_actor("view_exchange")
    honest = Counter(row.event.actor for row in background("view_exchange"))
    assert len(members) >= 12
    assert sum(honest[who] > 0 for who in members) > 0.8 * len(members)
    lengths = dict(zip(platform_of("view_exchange").names, platform_of("view_exchange").duration_ms, strict=True))
    for events in members.values():
        assert 10 <= len(events) / 2 <= 60
        assert len({event.owner for event in events}) >= 5
        for event in events:
            watched = event.watch_ms or 0
            assert watched == lengths[event.target] or 30_000 <= watched < 120_000
        assert max(Counter(event.ts // DAY_MS for event in events).values()) < 60


def test_a_sitting_of_an_exchange_is_one_view_after_the_other() -> None:
    for events in by_actor("view_exchange").values():
        gaps = [after.ts - before.ts for before, after in pairwise(events)]
        assert sum(gap < 0.1 * HOUR_MS for gap in gaps) > 0.6 * len(gaps)
