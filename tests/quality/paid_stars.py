"""``python -m tests.quality.paid_stars FILE --map MAP``: small orders of likes, put into recorded likes.

Each order is 15 to 87 accounts, created on one day, that like one item within a day. The people of the recording are
not known to have an age, so each gets one: nearly all are years old, three in a thousand registered for their first
act. Prints which orders were found, with and without accounts, and what honest events it cost. Recordings are not part
of this repository.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from detectors.accounts.settings import AccountSettings
from detectors.events.event import Event
from detectors.lab.account_measures import measure_rulings, measure_settlements
from detectors.lab.backtest import AuditRun
from detectors.lab.measure import Report, Truth, claim, measure
from detectors.lab.removals import TargetMetric
from detectors.lab.traffic.platform import Labelled
from detectors.windows.scales import DAY_MS, HOUR_MS
from streams.offline.backtest import account_cells_of
from streams.offline.recorded.decoding import RowDecoder, events_of
from streams.offline.recorded.file import RecordedFile
from streams.settings.event_time import Time
from streams.settings.settings import load_map

ORDERS, LEAST, MOST = 28, 15, 87
AGE_DAYS, AGE_SPREAD = 700.0, 1.2
"""Median and log-normal spread of the accounts' ages at their first act."""
NEW_SHARE = 0.003
"""Share of the people who registered for their first act."""
LEARN_DAYS, SETTLE_DAYS = 14, 3
"""Days before the first order, and after the last."""
CHUNK_EVENTS = 500
FOUND_SHARE = 0.5
"""An order is found if at least this share of it is removed in the end."""


class Order(NamedTuple):
    """One order: the item, and its likes."""

    item: str
    likes: list[Labelled]


def recorded(path: Path, layout: Path, from_day: str, days: int) -> list[Event]:
    """The events of a span of a recording, in order of time."""
    file = RecordedFile(path, load_map(layout))
    decoder = RowDecoder(file.input, Time(earliest=0), int(time.time() * 1000))
    start = int(np.datetime64(from_day, "ms").astype(np.int64))
    found: list[Event] = []
    with closing(file.rows()) as rows:
        for _, _, decoded in decoder.batches(rows):
            if decoded.good is not None:
                found += [event for _, event in events_of(decoded.good) if 0 <= event.ts - start < days * DAY_MS]
    return sorted(found, key=lambda event: event.ts)


def aged(events: list[Event], rng: np.random.Generator) -> list[Labelled]:
    """The events as likes of people with an age."""
    born: dict[str, int] = {}
    for event in events:
        actor = event.actor or ""
        if actor not in born:
            days = 0.01 if rng.random() < NEW_SHARE else float(rng.lognormal(np.log(AGE_DAYS), AGE_SPREAD))
            born[actor] = event.ts - int(days * DAY_MS)
        event.actor_created_at = born[actor]
        event.metric = "like"
    return [Labelled(event) for event in events]


def orders(organic: list[Labelled], rng: np.random.Generator) -> list[Order]:
    """Orders on different items of usual popularity, at random times after the first days."""
    counts = Counter(row.event.target for row in organic)
    items = sorted(counts, key=lambda item: (counts[item], item))
    chosen = rng.choice(items[len(items) // 4 : len(items) - len(items) // 10], ORDERS, replace=False)
    first, last = organic[0].event.ts + LEARN_DAYS * DAY_MS, organic[-1].event.ts - (SETTLE_DAYS + 1) * DAY_MS
    made: list[Order] = []
    for number, (item, size) in enumerate(zip(chosen, np.linspace(LEAST, MOST, ORDERS).round(), strict=True)):
        begin = int(rng.integers(first, last)) // DAY_MS * DAY_MS
        created = np.sort(begin + (rng.random(int(size)) * 12 * HOUR_MS).astype(np.int64))
        lags = (rng.random(int(size)) * 11 * HOUR_MS).astype(np.int64)
        likes = [
            Event(
                ts=int(at + lag), actor=f"paid{number}.{i}", target=str(item), metric="like", actor_created_at=int(at)
            )
            for i, (at, lag) in enumerate(zip(created, lags, strict=True))
        ]
        made.append(Order(str(item), [Labelled(event, "paid_stars", artificial=True) for event in likes]))
    return made


def measured(rows: list[Labelled], sold: list[Order], accounts: AccountSettings | None) -> tuple[Report, list[str]]:
    """The report of a run, and a line for each order."""
    truth, run = Truth(), AuditRun(accounts=accounts)
    for begin in range(0, len(rows), CHUNK_EVENTS):
        chunk = rows[begin : begin + CHUNK_EVENTS]
        truth.note(chunk)
        run.take(chunk)
    removals, alarms = run.finish()
    report = measure(Report("paid_stars", "truecount", 0), truth, removals, alarms)
    right: Counter[TargetMetric] = Counter()
    for removal, claimed in claim(truth, removals):
        right[removal.key] += claimed
    lines, found = [], 0
    for order in sold:
        removed = right[TargetMetric(order.item, "like")]
        found += removed >= FOUND_SHARE * len(order.likes)
        statuses = {f.flag_id: f"{f.status}/{f.verdict}" for f in run.outcome.flags if f.target == order.item}
        lines.append(
            f"{order.item}: {removed} of {len(order.likes)} removed, {', '.join(statuses.values()) or 'no flag'}"
        )
    lines.append(f"found {found} of {len(sold)}; honest events removed: {report.removed_honest}")
    if accounts is not None:
        measure_settlements(report, truth, run.outcome)
        measure_rulings(report, truth, run.accounts.rulings if run.accounts is not None else {})
    return report, lines


def main() -> None:
    """Run it without and with accounts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--map", type=Path, required=True)
    parser.add_argument("--start", default="2006-05-01", help="first day")
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("on", "off"), help="with or without accounts only")
    told = parser.parse_args()
    for switch, accounts in (("off", None), ("on", AccountSettings())):
        if told.only in (None, switch):
            rng = np.random.default_rng(told.seed)
            organic = aged(recorded(told.file, told.map, told.start, told.days), rng)
            sold = orders(organic, rng)
            rows = sorted([*organic, *(like for order in sold for like in order.likes)], key=lambda row: row.event.ts)
            began = time.monotonic()
            report, lines = measured(rows, sold, accounts)
            print(f"accounts {switch}: {len(rows):,} events, {time.monotonic() - began:.0f} s", *lines, sep="\n")
            print("settled, not settled, taken back, rulings:", account_cells_of(report))


if __name__ == "__main__":
    main()
