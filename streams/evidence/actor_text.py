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
LATEST_SHOWN = 6
HOURS_HEAD = "0     6     12    18     in which hours of the week it acts (UTC)"


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
    kind = kind.replace("_", " ")
    if ruling["until"] > ruling["as_of"]:
        yield f"{name}: {kind}, score {score} of 100, since {since}, valid until {until} (UTC)"
    else:
        yield f"{name}: no ruling any more"
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
    age = f", account created {time_of(created)}" if created is not None else ""
    yield f"seen     {time_of(profile['first_seen'])} to {time_of(profile['last_seen'])} (UTC){age}"
    acts = ", ".join(f"{count:,} {metric}s" for metric, count in profile["acts"].items() if count)
    yield f"acts     {acts or 'none'}, {profile['undos']:,} undone"
    rates = profile["rates"]
    yield (
        f"rates    {rates['minute']:,.0f} in its busiest minute; lately about {rates['hour']:,.1f} an hour and"
        f" {rates['day']:,.1f} a day"
    )
    yield (
        f"breadth  about {profile['targets']:,} targets of {profile['owners']:,} owners, from {profile['networks']:,}"
        " networks"
    )
    yield (
        f"views    {profile['views_without_watch_time']:,} without watch time; {profile['watched_ms'] / 3.6e6:,.1f} h "
        f"watched, {profile['overlap_share']:.0%} of it two at once"
    )
    yield f"pauses   its longest time without a pause of three hours is {profile['longest_run_hours']:,.1f} h"
    gaps = ", ".join(f"{gap}: {count:,}" for gap, count in profile["gaps"].items() if count)
    yield f"gaps     acts by the time since the act before: {gaps or 'none'}"
    if profile["condemned"]:
        yield f"removed  in about {profile['condemned']:,.1f} crowds whose acts were taken out of counts"
    for replay in profile.get("replays", ()):
        yield f"replays  {plain(replay['text'])}; these views are invalid until {time_of(replay['until'])}"
    yield f"hours    {HOURS_HEAD}"
    for day, hours in zip(DAYS, profile["hours"], strict=False):
        yield f"  {day}    {hours}"
    yield from _latest_lines(profile["recent"])


def _latest_lines(recent: list[dict[str, Any]]) -> Iterator[str]:
    """The last acts on different targets, whose names are not stored."""
    if recent:
        yield "its last acts on different targets (their names are not stored):"
    for act in recent[:LATEST_SHOWN]:
        removed = ", on a target whose crowd is suspect or was removed" if act["removed"] else ""
        yield f"  {time_of(act['at'])}  {act['metric']}{removed}"


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
