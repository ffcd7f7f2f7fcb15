"""Rulings and profiles of actors as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from streams.evidence.text import plain

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BLOCKS = " ▁▂▃▄▅▆▇█"
HOURS_SHOWN = 72
TARGETS_SHOWN, ACTS_SHOWN = 8, 12


def time_of(ms: int) -> str:
    """A time in UTC, to the minute.

    >>> time_of(1_700_000_000_000)
    '2023-11-14 22:13'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def ruling_fields(ruling: dict[str, Any]) -> tuple[str, ...]:
    """Actor, ruling, score, since, until, and the reasons of a ruling."""
    reasons = ", ".join(reason["code"] for reason in ruling["reasons"])
    times = time_of(ruling["since"]), time_of(ruling["until"])
    return plain(ruling["actor"]), ruling["ruling"], str(ruling["score"]), *times, reasons or "–"


def ruling_lines(ruling: dict[str, Any]) -> Iterator[str]:
    """A ruling with its reasons in sentences."""
    name, kind, score, since, until, _ = ruling_fields(ruling)
    current = ruling["until"] > ruling["as_of"]
    kind = kind.replace("_", " ")
    yield f"{name}: {kind}, score {score}, since {since}, until {until}" if current else f"{name}: no ruling any more"
    if not ruling["account"]:
        yield "  it is no account (an address or a guest id): many people may be behind it"
    for reason in ruling["reasons"]:
        yield f"  {reason['text']}"
    if ruling["previous"]:
        why = f", taken back by {ruling['reversed_by']}" if ruling["reversed_by"] else ""
        yield f"  before: {ruling['previous'].replace('_', ' ')}{why}"


def profile_lines(profile: dict[str, Any]) -> Iterator[str]:
    """What is stored of an actor."""
    created = profile["created_at"]
    age = f", created {time_of(created)}" if created is not None else ""
    yield f"seen {time_of(profile['first_seen'])} to {time_of(profile['last_seen'])}{age}"
    acts = ", ".join(f"{count:,} {metric}s" for metric, count in profile["acts"].items() if count)
    yield f"acts     {acts or 'none'}, {profile['undos']:,} undone"
    rates = ", ".join(f"{rate:,.1f} a {span}" for span, rate in profile["rates"].items())
    yield f"rates    {rates}"
    yield (
        f"breadth  about {profile['targets']:,} targets, {profile['owners']:,} owners, {profile['networks']:,} networks"
    )
    yield (
        f"views    {profile['views_without_watch_time']:,} without watch time, {profile['watched_ms'] / 3.6e6:,.1f} h "
        f"watched, {profile['overlap_share']:.0%} of it two at once"
    )
    yield f"pauses   the longest run without one is {profile['longest_run_hours']:,.1f} h"
    gaps = ", ".join(f"{gap} {count:,}" for gap, count in profile["gaps"].items() if count)
    yield f"gaps     {gaps or 'none'}"
    for day, hours in zip(DAYS, profile["hours"], strict=False):
        yield f"{day}      {hours}"


def activity_lines(activity: dict[str, Any]) -> Iterator[str]:
    """The acts of an actor that the log still has."""
    if not activity["acts"]:
        yield "the log has no act of it"
        return
    hours = {row["hour"] // 3_600_000: row["acts"] for row in activity["by_hour"]}
    last = max(hours)
    shown = range(max(min(hours), last - HOURS_SHOWN + 1), last + 1)
    most = max(hours[hour] for hour in shown if hour in hours)
    bars = "".join(BLOCKS[-(-hours.get(hour, 0) * (len(BLOCKS) - 1) // most)] for hour in shown)
    yield f"acts in the log: {activity['acts']:,}; by hour from {time_of(shown[0] * 3_600_000)} (at most {most:,}):"
    yield f"  {bars}"
    for row in activity["by_target"][:TARGETS_SHOWN]:
        yield f"  {row['acts']:6,}  {plain(row['target'])}"
    yield "latest:"
    for act in activity["latest"][:ACTS_SHOWN]:
        watched = "" if act["watch_ms"] is None else f", watched {act['watch_ms'] / 1000:,.0f} s"
        undo = " undone" if act["undo"] else ""
        yield f"  {time_of(act['ts'])}  {act['metric']}{undo} {plain(act['target'])}{watched}"
