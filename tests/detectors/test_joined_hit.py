"""Bots that join an honest hit: when they are gone, the hit is no longer taken out."""

from __future__ import annotations

import random

from detectors.events.event import Event
from detectors.records import Outcome
from tests.crowds import MINUTE_MS, START_MS, bought, in_order, ordinary
from tests.detectors.test_judge import audited

BEGIN_MS = START_MS + 100 * MINUTE_MS
BOTS_END_MS = BEGIN_MS + 26 * MINUTE_MS
HOME = "https://home.example/"


def hit(seed: int, target: str, *, minutes: int, per_minute: int) -> list[Event]:
    """People of the platform's networks and ages who were never seen before: a hit reaches those who seldom come."""
    rng = random.Random(seed)
    events = ordinary(seed, minutes=minutes, targets=per_minute // 3, start=BEGIN_MS)
    for event in events:
        event.target, event.actor = target, f"seldom{rng.getrandbits(40)}"
    return events


def joined() -> Outcome:
    events = in_order(
        ordinary(1, minutes=300),
        hit(2, "v3", minutes=180, per_minute=12),
        bought(3, "v3", begin=BOTS_END_MS - 6 * MINUTE_MS),
    )
    for event in events:
        event.referrer = HOME
    return audited(events)[1]


def test_the_honest_rest_of_a_hit_stays_when_the_bots_are_gone() -> None:
    outcome = joined()
    taken = [one for one in outcome.corrections if one.target == "v3" and one.from_ == "valid"]
    later = sum(one.count for one in taken if one.window["start"] >= BOTS_END_MS + 5 * MINUTE_MS)
    assert sum(one.count for one in taken) > 600
    assert later < 20
