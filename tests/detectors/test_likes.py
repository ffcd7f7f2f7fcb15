"""Likes of what nobody opened: impossible on one platform, what everybody does on another."""

from __future__ import annotations

import random
from functools import cache

import msgspec
import pytest

from detectors.audit import Audit, AuditSettings
from detectors.cases.explanations import Promotion
from detectors.events.event import Event
from detectors.lab.traffic.blocks import Packer
from detectors.platform.platform import Platform
from detectors.records import Outcome
from tests.crowds import MINUTE_MS, START_MS, in_order

HOURS = 6
BOUGHT_MS = START_MS + 5 * 60 * MINUTE_MS
LASTS_MS = 60_000
LIKED = "v3"
SALE = (Promotion("the sale", LIKED, BOUGHT_MS - MINUTE_MS, BOUGHT_MS + 60 * MINUTE_MS),)


def platform(*, in_a_feed: float, at_the_end: bool, shortest_ms: int, lasts_ms: int) -> list[Event]:
    """Two thousand people view eighty targets and like one view in five, some of them somebody else in a feed."""
    rng, made = random.Random(7), []
    for _ in range(HOURS * 60 * 60):
        who, target = f"u{rng.randrange(2000)}", f"v{rng.randrange(80)}"
        begin = START_MS + rng.randrange(HOURS * 60 * MINUTE_MS)
        watch_ms = rng.randrange(shortest_ms, lasts_ms)
        emitted_at = begin + (watch_ms if at_the_end else 0)
        made.append(Event(emitted_at, who, target, "view", watch_ms=watch_ms, duration_ms=lasts_ms))
        if rng.random() < 0.2:
            liker = f"u{rng.randrange(2000)}" if rng.random() < in_a_feed else who
            made.append(Event(begin + watch_ms // 2, liker, target, "like"))
    return made


def members() -> list[Event]:
    """Eighty of these people like one target within four minutes, and open nothing."""
    rng = random.Random(8)
    who = rng.sample(range(2000), 80)
    return [Event(BOUGHT_MS + rng.randrange(4 * MINUTE_MS), f"u{number}", LIKED, "like") for number in who]


@cache
def audited(
    promotions: tuple[Promotion, ...] = (),
    *,
    in_a_feed: float = 0.0,
    at_the_end: bool = False,
    shortest_ms: int = 1_000,
    lasts_ms: int = LASTS_MS,
    views_lost: bool = False,
) -> tuple[Audit, Outcome]:
    audit, outcome, packer = Audit(AuditSettings(promotions=promotions)), Outcome(), Packer(1)
    events = platform(in_a_feed=in_a_feed, at_the_end=at_the_end, shortest_ms=shortest_ms, lasts_ms=lasts_ms)
    if views_lost:
        events = [event for event in events if event.metric != "view" or event.ts < BOUGHT_MS]
    events = in_order(events, members())
    at = 0
    for position, end in enumerate(range(START_MS + MINUTE_MS, START_MS + HOURS * 60 * MINUTE_MS, MINUTE_MS)):
        first = at
        while at < len(events) and events[at].ts < end:
            at += 1
        for _, block in packer.pack(events[first:at]):
            audit.observe(block, position, outcome)
        audit.advance(end - 10_000, outcome)
    return audit, outcome


def convicted(outcome: Outcome) -> set[tuple[str, str]]:
    return {(flag.target, flag.metric) for flag in outcome.flags if flag.verdict != "explained"}


def test_they_are_taken_out_where_nobody_likes_what_he_did_not_open() -> None:
    _, outcome = audited()
    assert convicted(outcome) == {(LIKED, "like")}
    last = outcome.flags[-1]
    assert [reason.code for reason in last.reasons] == ["surge", "no_views"]
    assert 70 <= last.artificial.value <= 82


@pytest.mark.parametrize(
    "platforms",
    [
        {"in_a_feed": 0.2},
        {"at_the_end": True},
        {"shortest_ms": 20_000},
        {"views_lost": True},
    ],
    ids=str,
)
def test_nobody_is_odd_who_does_as_others_do_or_of_whose_views_nothing_is_known(platforms: dict[str, float]) -> None:
    assert convicted(audited(**platforms)[1]) == set()


def test_a_call_to_like_that_was_announced_is_one_odd_thing_and_no_more() -> None:
    assert convicted(audited(SALE)[1]) == set()


def test_whose_account_was_taken_over_has_no_record() -> None:
    audit, _ = audited()
    assert len(audit.rulings) == 0


def test_what_precedes_likes_is_remembered() -> None:
    views, again = audited()[0].platforms[0], Platform()
    again.load(msgspec.msgpack.decode(msgspec.msgpack.encode(views.dump()), strict=False))
    assert again.rates.emitted_at_start()
    assert again.rates.acts_and_viewers == views.rates.acts_and_viewers


@pytest.mark.parametrize(
    ("platforms", "at_once"),
    [({"in_a_feed": 0.3}, True), ({"at_the_end": True}, True), ({"at_the_end": True, "lasts_ms": 600_000}, False)],
    ids=str,
)
def test_views_are_told_at_once_where_those_who_like_and_view_have_viewed_soon(
    platforms: dict[str, float], *, at_once: bool
) -> None:
    """Clips of a minute are over soon; likes in a feed prove nothing."""
    assert audited(**platforms)[0].platforms[0].rates.emitted_at_start() == at_once
