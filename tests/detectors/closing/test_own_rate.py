"""What is learned of how often the viewers of a target like it."""

from __future__ import annotations

import random

from detectors.audit import Audit
from detectors.events.event import Event
from detectors.events.key import VIEW, key_of
from detectors.records import Outcome
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, bought, in_order, ordinary
from tests.detectors.test_judge import audited
from tests.states import states_of

LIKED, IGNORED = "v0", "v1"


def day(*others: list[Event]) -> tuple[Audit, Outcome]:
    """A day of views of three targets. Every tenth view is followed by a like, but those of one target."""
    rng = random.Random(4)
    views = ordinary(1, minutes=23 * 60, targets=3)
    likes = [
        Event(
            ts=view.ts + 5_000,
            actor=view.actor,
            target=view.target,
            metric="like",
            actor_created_at=view.actor_created_at,
        )
        for view in views
        if view.target != IGNORED and rng.random() < 0.1
    ]
    return audited(in_order(views, likes, *others), until=START_MS + 2 * DAY_MS)


def own(audit: Audit, target: str) -> tuple[float, float]:
    return states_of(audit)[key_of(VIEW, target)].interaction


def test_the_own_rate_of_a_target_is_learned_from_its_days() -> None:
    audit, _ = day()
    (came, expected), (missing, usual) = own(audit, LIKED), own(audit, IGNORED)
    assert came > 1.2 * expected > 0.0
    assert missing == 0.0
    assert usual > 0.5 * expected


def test_a_day_with_bought_views_teaches_nothing() -> None:
    audit, outcome = day(bought(2, LIKED, begin=START_MS + 600 * MINUTE_MS))
    assert any(flag.target == LIKED for flag in outcome.flags)
    assert own(audit, LIKED) == (0.0, 0.0)
    assert own(audit, IGNORED)[1] > 0.0
