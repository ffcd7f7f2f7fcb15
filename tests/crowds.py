"""Small honest and bought crowds as native events: enough history for a verdict in a second of test time."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import count

from detectors.events.event import Event
from detectors.windows.crowd import Crowd, Row, pack_row

START_MS = 1_700_006_400_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000
TICK_MS = 10_000

HISTORY_MINUTES = 90
TARGETS = 24

_COUNTRIES = ("de", "fr", "us", "br", "in")


def ordinary(
    seed: int, *, minutes: int = HISTORY_MINUTES, targets: int = TARGETS, ids: bool = False, start: int = START_MS
) -> list[Event]:
    """Honest views: each target gets about three a minute from the platform's people, in order of time."""
    rng = random.Random(seed)
    events = []
    for target in range(targets):
        for minute in range(minutes):
            for _ in range(rng.randint(1, 5)):
                ts = start + minute * MINUTE_MS + rng.randrange(MINUTE_MS)
                events.append(_view(rng, f"v{target}", ts))
    return _numbered(events, "o", ids)


def bought(
    seed: int, target: str, *, begin: int, minutes: float = 6, per_minute: int = 120, ids: bool = False
) -> list[Event]:
    """A bought burst: new accounts from three networks with one user agent."""
    rng = random.Random(seed)
    events = []
    for _ in range(round(minutes * per_minute)):
        ts = begin + rng.randrange(round(minutes * MINUTE_MS))
        event = _view(rng, target, ts)
        event.actor = f"bot{rng.randrange(400)}"
        event.ip = f"203.0.{rng.randrange(3)}.{rng.randrange(1, 250)}"
        event.user_agent = "phone/1.0"
        event.actor_created_at = ts - rng.randrange(2 * DAY_MS)
        events.append(event)
    return _numbered(events, f"b{seed}", ids)


def viral(
    seed: int, target: str, *, begin: int, minutes: float = 6, per_minute: int = 120, ids: bool = False
) -> list[Event]:
    """As large a surge whose crowd is the platform's own."""
    rng = random.Random(seed)
    events = [
        _view(rng, target, begin + rng.randrange(round(minutes * MINUTE_MS)))
        for _ in range(round(minutes * per_minute))
    ]
    return _numbered(events, f"h{seed}", ids)


def in_order(*crowds: list[Event]) -> list[Event]:
    """Crowds joined in order of time."""
    return sorted((event for crowd in crowds for event in crowd), key=lambda e: e.ts)


def by_tick(events: Iterable[Event]) -> list[tuple[int, list[Event]]]:
    """The events of each tick of ten seconds that has any, with its end, in order of time."""
    ticks: dict[int, list[Event]] = {}
    for event in events:
        ticks.setdefault(event.ts // TICK_MS, []).append(event)
    return [((tick + 1) * TICK_MS, rows) for tick, rows in sorted(ticks.items())]


def _view(rng: random.Random, target: str, ts: int) -> Event:
    person = rng.randrange(4000)
    return Event(
        ts=ts,
        actor=f"p{person}",
        target=target,
        ip=f"10.{person % 40}.{person % 97}.{person % 250}",
        user_agent=f"agent/{person % 30}",
        country=_COUNTRIES[person % len(_COUNTRIES)],
        actor_created_at=START_MS - (40 + person % 900) * DAY_MS + (38 * DAY_MS if person % 20 == 0 else 0),
    )


def _numbered(events: list[Event], prefix: str, ids: bool) -> list[Event]:
    if ids:
        for number, event in zip(count(), events, strict=False):
            event.id = f"{prefix}{number}"
    return events


def fold(crowd: Crowd, rows: Iterable[Row]) -> None:
    """Take rows into a crowd and fold them at once."""
    crowd.fold_packed(b"".join(pack_row(*row) for row in rows))
