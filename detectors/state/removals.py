"""Persisted: what rules remove of one target and metric, and one open rule burst."""

from __future__ import annotations

import msgspec

from detectors.state.case import Evidence
from detectors.state.course import Point

RULE = "rule"
"""The verdict of a rule burst: a flag is published, and its events are invalid already (``cases.rule_bursts``)."""


class Habit(msgspec.Struct, array_like=True):
    """How many of a target's events a rule usually removes: both numbers decayed, as of ``at``."""

    at: int
    events: float = 0.0
    removed: float = 0.0


class Run(msgspec.Struct, array_like=True):
    """Consecutive spans of five minutes of which a rule removed unusually much, before the current span."""

    onset: int
    log_from: int
    events: int = 0
    removed: int = 0
    expected: float = 0.0


class Removed(msgspec.Struct, array_like=True):
    """What one rule removed in the current span."""

    removed: int = 0
    events: int = 0
    """events of the target since the span began, as of the last removal"""
    expected: float = 0.0
    """removed events that are usual among them"""
    run: Run | None = None
    habit: Habit | None = None


class Removals(msgspec.Struct, array_like=True):
    """What rules remove of a target. It changes only when they remove something."""

    span: int
    """start of the current span of five minutes: the last one in which a rule removed something"""
    raw: int
    """the ledger's events when the span began; events that are counted at once are added"""
    log_from: int
    """first position in the log of the span's first tick with a removal"""
    reasons: dict[str, Removed] = {}


class RuleBurst(msgspec.Struct):
    """One rule burst while it is open."""

    flag_id: str
    onset: int
    until: int
    close_at: int
    codes: list[str]
    """reason codes of the rules that remove unusually much"""
    revision: int = 0
    flagged_removed: int = 0
    """removed events in the last revision of the flag"""
    log_from: int = -1
    log_to: int = -1
    reasons: list[Evidence] = []
    series: list[Point] = []
