"""Converts the state of a partition's audit to changelog records and back: its parts, and the meta record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from detectors.state.target_state import STATE_VERSION
from streams.state.parts import dump_parts, load_parts
from streams.state.sealed import META_KEY, Meta, encode_meta, meta_of
from streams.targets.step import PartitionAudit


class Restored(NamedTuple):
    """The position of a loaded state in the log, and the position from which the log must be replayed up to it."""

    position: int
    replay_from: int


def dump_changes(
    audit: PartitionAudit,
    position: int,
    *,
    born: str = "",
    totals: list[list[int]] | None = None,
    configs: list[tuple[int, str]] | None = None,
) -> list[tuple[bytes, bytes]]:
    """The changelog records of what changed since the last call: those of each part, then the meta record."""
    records = dump_parts(audit.parts())
    dumped = audit.dump(position)  # after the parts: it may close ticks of a replay, which changes the audit
    unjudged = audit.unjudged_from(dumped["replay_from"])
    meta = Meta(STATE_VERSION, position, dumped, born, configs=configs or [], unjudged=unjudged)
    meta.with_totals(totals or [])
    return [*records, (META_KEY, encode_meta(meta))]


def load(audit: PartitionAudit, saved: Mapping[bytes, bytes]) -> Restored | None:
    """Load the newest record of every key (keyed ones may be in a store instead). None if there is no state.

    Raises StateError.
    """
    if META_KEY not in saved:
        return None
    meta = meta_of(saved[META_KEY])
    load_parts(audit.parts(), saved)
    return Restored(meta.position, audit.load(meta.audit, meta.unjudged))
