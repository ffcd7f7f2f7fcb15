"""The section ``[time]``: tick, allowed lateness, idle sources, and how often counts are published."""

from __future__ import annotations

from pydantic import Field, field_validator

from detectors.windows.scales import TICK_SECONDS
from streams.grammar.times import PLAUSIBLE_FROM_MS
from streams.settings.section import Section


class Time(Section):
    """Event time. The tick is the smallest window; lateness is how long a window waits for late events."""

    tick_seconds: int = Field(default=TICK_SECONDS, ge=1, le=300)
    lateness_seconds: float = Field(default=10.0, ge=0, le=86_400)
    future_skew_seconds: float = Field(default=60.0, ge=0, le=86_400)
    idle_seconds: float = Field(default=10.0, gt=0, le=3600)
    recovery_seconds: float = Field(default=40.0, ge=1, le=3600)
    """for how long event time waits at most after an outage of the broker, so that producers can send what they have
    kept. Longer than the longest time between two tries to connect of common clients: 30 s, and a fifth more"""
    counts_seconds: int = Field(default=30, ge=1, le=3600)
    earliest: int = Field(default=PLAUSIBLE_FROM_MS, ge=0)
    """earliest event time accepted, in epoch ms; earlier events are dead letters. 1990 catches a wrong unit"""

    @field_validator("tick_seconds")
    @classmethod
    def _divides(cls, value: int) -> int:
        if 300 % value:
            raise ValueError("must divide five minutes (300 s), the next longer window")
        return value
