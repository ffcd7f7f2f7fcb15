"""The native event: its fields and their limits."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MetricName = Literal["view", "like", "follow"]

METRICS: tuple[str, ...] = ("view", "like", "follow")
METRIC_INDEX: dict[str, int] = {name: index for index, name in enumerate(METRICS)}

MAX_ID_BYTES = 255
"""Longest id that is accepted, in UTF-8 bytes: ids are keys of bounded maps."""

NOBODY = -1
"""In place of an actor's hash: the event has no actor."""

TEXT_CHARS, SESSION_CHARS, COUNTRY_CHARS = 2048, 255, 64
"""Longest texts of an event. Longer ones are cut; a longer country counts as not given. The log contains sessions, but
no user agents and referrers."""

MAX_TS_MS = 253_402_300_799_999
"""The last millisecond of year 9999: later times are mistakes (usually microseconds)."""


Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=MAX_TS_MS)]
Span = Annotated[int, msgspec.Meta(ge=0, le=MAX_TS_MS)]


class Event(msgspec.Struct, gc=False, omit_defaults=True):
    """One view, like or follow. Times are epoch milliseconds, durations milliseconds."""

    ts: Millis
    actor: Id | None
    """None: no actor. The field is required: leaving it out is a mistake of the producer"""
    target: Id
    metric: MetricName | None = None
    """None: the metric of the input topic"""
    id: Id | None = None
    owner: Id | None = None
    ip: Text | None = None
    user_agent: Text | None = None
    session: Annotated[str, msgspec.Meta(max_length=SESSION_CHARS)] | None = None
    watch_ms: Span | None = None
    duration_ms: Span | None = None
    referrer: Text | None = None
    country: Annotated[str, msgspec.Meta(max_length=COUNTRY_CHARS)] | None = None
    actor_created_at: Millis | None = None
    undo: bool = False
    history: bool = False
    """part of a snapshot or a backfill: counted, never judged"""


FIELDS: tuple[str, ...] = Event.__struct_fields__
REQUIRED: tuple[str, ...] = ("metric", "ts", "actor", "target")
"""Required fields (the metric may come from the topic, the actor may be None)."""
