"""Traffic for the faults: a function of its seed, in order of time, with everything a count can be made of.

Views, likes and follows with ids; copies of events that a client sent twice; undos; records that are no events; and
from time to time likes and views that were bought, so that there are flags to compare.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

START_MS = 1_767_571_200_000
"""Monday 5 January 2026, 00:00 UTC."""
MINUTE_MS = 60_000
DAY_MS = 86_400_000

HISTORY_MINUTES = 80
"""Honest traffic before the first purchase: verdicts need something to compare with."""
PURCHASE_EVERY_MINUTES = 15
PURCHASE_MINUTES = 6
BOUGHT_PER_MINUTE = 90
BOUGHT_ACCOUNTS = 300

LIKE_SHARE = 0.2
FOLLOW_SHARE = 0.08
COPY_SHARE = 0.006
UNDO_SHARE = 0.02
BAD_SHARE = 0.002
PEOPLE = 4000

BAD = (b"{nonsense", b'{"ts":1767571200000,"actor":"a"}', b'{"ts":"soon","actor":"a","target":"t"}', b"\xff\xfe")

Sent = tuple[str, bytes]
"""A metric, which names the topic, and a record's value."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """``targets`` with about three views a minute each, for ``minutes`` of event time."""

    seed: int
    targets: int
    minutes: int
    start_ms: int = START_MS

    @property
    def end_ms(self) -> int:
        """Event time behind all events."""
        return self.start_ms + self.minutes * MINUTE_MS

    def by_minute(self) -> Iterator[list[Sent]]:
        """All records, a minute of event time at a time, in order of time within it."""
        for rows in self.timed():
            yield [(metric, value) for _, metric, value in rows]

    def timed(self) -> Iterator[list[tuple[int, str, bytes]]]:
        """As ``by_minute``, with the event time at which each record is sent."""
        rng = random.Random(self.seed)
        number = 0
        for minute in range(self.minutes):
            start = self.start_ms + minute * MINUTE_MS
            rows: list[tuple[int, str, bytes]] = []
            for target in range(self.targets):
                for _ in range(1 + int(rng.random() * 5)):
                    number += 1
                    rows += _honest(rng, number, start, f"v{target}")
            since = minute - HISTORY_MINUTES
            if since >= 0 and since % PURCHASE_EVERY_MINUTES < PURCHASE_MINUTES:
                bought = since // PURCHASE_EVERY_MINUTES
                for _ in range(BOUGHT_PER_MINUTE):
                    number += 1
                    rows.append(_bought(rng, number, start, bought, f"v{bought * 7 % self.targets}"))
            rows.sort(key=lambda row: row[0])
            yield rows


def _honest(rng: random.Random, number: int, start: int, target: str) -> list[tuple[int, str, bytes]]:
    ts = start + int(rng.random() * MINUTE_MS)
    share = rng.random()
    metric = "like" if share < LIKE_SHARE else "follow" if share < LIKE_SHARE + FOLLOW_SHARE else "view"
    person = int(rng.random() * PEOPLE)
    value = _event(f"e{number}", ts, f"p{person}", target, person)
    rows = [(ts, metric, value)]
    chance = rng.random()
    if chance < COPY_SHARE:
        rows.append((ts + int(rng.random() * 5000), metric, value))
    elif chance < COPY_SHARE + UNDO_SHARE and metric != "view":
        later = ts + int(rng.random() * 1000)
        rows.append((later, metric, _event(f"u{number}", later, f"p{person}", target, person, more=',"undo":true')))
    elif chance > 1 - BAD_SHARE:
        rows.append((ts, metric, BAD[number % len(BAD)]))
    return rows


def _event(ident: str, ts: int, actor: str, target: str, person: int, *, more: str = "") -> bytes:
    return (
        f'{{"id":"{ident}","ts":{ts},"actor":"{actor}","target":"{target}","ip":"10.{person % 40}.{person % 97}.7",'
        f'"user_agent":"agent/{person % 30}","country":"{("de", "fr", "us", "br", "in")[person % 5]}",'
        f'"actor_created_at":{START_MS - (40 + person % 900) * DAY_MS},"owner":"channel-{target}"{more}}}'
    ).encode()


def _bought(rng: random.Random, number: int, start: int, bought: int, target: str) -> tuple[int, str, bytes]:
    """Every other purchase is of views, the others of likes, by new accounts from three networks.

    Some of them like the target more than once, which is no second like.
    """
    ts = start + int(rng.random() * MINUTE_MS)
    actor = int(rng.random() * BOUGHT_ACCOUNTS)
    value = (
        f'{{"id":"b{number}","ts":{ts},"actor":"bot{bought % 2}-{actor}","target":"{target}",'
        f'"ip":"203.0.{actor % 3}.{1 + actor % 250}","user_agent":"phone/1.0","country":"us",'
        f'"actor_created_at":{ts - 3_600_000 - actor * 60_000}}}'
    ).encode()
    return ts, "view" if bought % 2 else "like", value


CLOSING_MINUTES = (45, 90, 135, 48 * 60, 50 * 60, 51 * 60)
"""Minutes of event time behind the traffic at which it is closed."""
CLOSING_TARGET = "~closing"
"""Begins the names of targets that only the end of the traffic has; they stand in no comparison."""


def closing(end_ms: int, names: list[str]) -> list[list[bytes]]:
    """Rounds of records that every source must get after its last: event time passes over all windows and cases.

    The first hours pass step by step, so that questions about accounts can be answered before their cases expire. Once
    the last round but one has been counted, everything before it has been.
    """
    return [
        [_event(f"~{minutes}{name}", end_ms + minutes * MINUTE_MS, "closer", name, 1) for name in names]
        for minutes in CLOSING_MINUTES
    ]
