"""Settings of the accounts of one partition."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.windows.scales import DAY_MS


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Settings of ``Accounts``. Numbers of accounts are of one partition."""

    stored_max: int = 2_000_000
    """accounts that are stored, most of them on disk; at most ``active_max`` more until the table is full again. The
    oldest that were seen once are dropped first"""
    active_max: int = 65_536
    """accounts in memory (about 500 bytes each with their ids); those that are idle longest move to pages"""
    questions_max: int = 256
    """open questions (``Asked``); further ones are answered as unknown"""
    ruled_max: int = 2_000
    """rulings that are published at one point of the grid; the others wait for the next"""
    followers_min: int = 1
    """least followers of a target in five minutes for a ``Followed`` record; what is usual is learned from all"""
    allow: frozenset[str] = frozenset()
    """ids of actors that never get a ruling against them: the operator's list"""
    ruling_ms: int = 30 * DAY_MS
    """how long a ruling is valid after it was last confirmed"""
