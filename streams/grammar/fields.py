"""Fields of an event, grouped by the kind of their values."""

from __future__ import annotations

from detectors.events.event import FIELDS

TIMES = ("ts", "actor_created_at")
DURATIONS = ("watch_ms", "duration_ms")
FLAGS = ("undo", "history")
"""Fields that are true or false."""

DECISIVE = ("ts", "actor", "target", "metric", *FLAGS)
"""Fields that must be certain: if one of them cannot be read, the row is no event."""

OPTIONAL = tuple(name for name in FIELDS if name not in DECISIVE)
