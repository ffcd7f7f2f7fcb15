"""Fields of an event by the kind of value they have."""

from __future__ import annotations

from detectors.events.event import FIELDS

TIMES = ("ts", "actor_created_at")
DURATIONS = ("watch_ms", "duration_ms")
FLAGS = ("undo", "history")
"""Fields that are yes or no."""

DECISIVE = ("ts", "actor", "target", "metric", *FLAGS)
"""Fields without which, or with doubts about which, a row is no event."""

OPTIONAL = tuple(name for name in FIELDS if name not in DECISIVE)
