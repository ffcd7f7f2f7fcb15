"""The section ``[actors]``: the second log and the role that audits what accounts do."""

from __future__ import annotations

from pydantic import Field, field_validator

from streams.settings import lists
from streams.settings.section import Section


class Actors(Section):
    """Whether accounts are audited, and how. To be switched off until all workers are upgraded."""

    enabled: bool = True
    """ingest also writes each event to by-actor, and the role actors reads it"""
    memory_bytes: int = Field(default=256 * 1024 * 1024, ge=1024 * 1024)
    """memory for active accounts, of all partitions together; the others are on disk"""
    accounts: int = Field(default=16_000_000, ge=1)
    """accounts that are stored in total; the oldest that were seen once are dropped first"""
    state_seconds: float = Field(default=60.0, gt=0, le=3600)
    """least time between two checkpoints with the state of accounts; a restore reads the log of this time again"""
    allow: tuple[str, ...] = ()
    """ids of actors that are never ruled against; ``@path`` includes the lines of a file"""
    settlement_hours: int = Field(default=48, ge=1, le=30 * 24)
    """so long a suspect crowd's accounts are watched before its case is settled"""
    pseudonyms: bool = False
    """by-actor and the outputs have the hash of an actor in place of its id"""

    @field_validator("allow")
    @classmethod
    def _ids(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        return lists.read(entries, lists.name)
