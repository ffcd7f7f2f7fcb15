"""One account in readable form, for ``truecount actor ID``."""

from __future__ import annotations

import msgspec

from detectors.accounts.outcome import RulingRecord


class Act(msgspec.Struct):
    """The last act of an account on one of its latest targets."""

    at: int
    """epoch ms, whole minutes"""
    metric: str
    target_hash: int
    """lowest 32 bits of the target's hash: the text is not stored"""
    removed: bool
    """whether the target's crowd is under question or was removed"""


class Profile(msgspec.Struct):
    """What is known of one account. Times are epoch ms; counts are exact unless their text says "about"."""

    actor: str
    account: bool
    first_seen: int
    last_seen: int
    created_at: int | None
    acts: dict[str, int]
    """by metric"""
    undos: int
    rates: dict[str, float]
    """acts per minute (the peak), hour and day, decayed"""
    gaps: dict[str, int]
    """acts by the time since the account's act before, from the histogram of log gaps"""
    hours: list[str]
    """for each day of the week (Monday first) 24 characters: ``#`` active, ``.`` not. UTC"""
    targets: int
    """distinct targets, about"""
    owners: int
    networks: int
    views_without_watch_time: int
    watched_ms: int
    overlap_share: float
    """share of the watch time during which another video of the account was playing"""
    longest_run_hours: float
    """longest time without a pause"""
    even_gap_share: float
    same_watch_share: float
    condemned: float
    """memberships in condemned crowds, decayed with a half-life of 30 days"""
    recent: list[Act]
    """latest first"""
    ruling: RulingRecord | None
