"""The native event, and the columns in which events travel to the detectors."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MetricName = Literal["view", "like", "follow"]

METRICS: tuple[str, ...] = ("view", "like", "follow")
METRIC_INDEX: dict[str, int] = {name: index for index, name in enumerate(METRICS)}

MAX_ID_BYTES = 255
"""Longest id accepted, in UTF-8 bytes: ids are keys of bounded maps, so their size is bounded too."""

NOBODY = -1
"""The actor of an event without an actor, where actors are hashes."""

TEXT_CHARS, SESSION_CHARS, COUNTRY_CHARS = 2048, 255, 64
"""Longest texts that are kept of an event: longer ones are cut, and a longer country is none. A session stands in the
log, a user agent and a referrer do not."""

MAX_TS_MS = 253_402_300_799_999
"""The last millisecond of year 9999: later times are typing errors (microseconds, usually)."""


Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=MAX_TS_MS)]
Span = Annotated[int, msgspec.Meta(ge=0, le=MAX_TS_MS)]


class Event(msgspec.Struct, gc=False, omit_defaults=True):
    """One view, like or follow. Times are epoch milliseconds, durations milliseconds."""

    ts: Millis
    actor: Id | None
    """None: nobody. It must be given: a field that is missing is a mistake of the producer's"""
    target: Id
    metric: MetricName | None = None
    """None: the input topic's own"""
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
    """of a snapshot or a backfill: counted, never judged"""


FIELDS: tuple[str, ...] = Event.__struct_fields__
REQUIRED: tuple[str, ...] = ("metric", "ts", "actor", "target")
"""Fields an event cannot do without (the metric may be its topic's, the actor may be None)."""
