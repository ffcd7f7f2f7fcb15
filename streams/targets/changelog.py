"""State of a partition to changelog records, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from detectors.events.key import Key
from detectors.state.watched import STATE_VERSION
from streams.state.sealed import (
    DAYS_KEY,
    LOCKSTEP_KEY,
    META_KEY,
    PLATFORM_KEY,
    RULINGS_KEY,
    WATCHED_KEY,
    Meta,
    builtins_of,
    decode_watched,
    encode,
    encode_meta,
    encode_watched,
    meta_of,
    seal,
)
from streams.targets.step import PartitionAudit
from streams.targets.unjudged import Positions


class Restored(NamedTuple):
    """Where a loaded state stands: the position it is of, and from where the log must be replayed up to it."""

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
    """Records for the changelog since the last call: the changed keys, the platform, the meta record (last)."""
    watches = audit.audit.watches
    records = [(WATCHED_KEY + key.encode(), encode_watched(watches[key])) for key in sorted(watches.take_changed())]
    for index, platform in enumerate(audit.audit.platforms):
        if platform.take_changed():
            records.append((PLATFORM_KEY + str(index).encode(), seal(encode(platform.dump()))))
    for name, part in audit.audit.company.lockstep.take_changed():
        records.append((LOCKSTEP_KEY + name.encode(), seal(encode(part))))
    if audit.audit.rulings.take_changed():
        records.append((RULINGS_KEY, seal(encode(audit.audit.rulings.dump()))))
    for metric, days in audit.audit.intake.days():
        counted = days.take_changed()
        if counted is not None:
            records.append((DAYS_KEY + str(metric).encode(), seal(encode(counted))))
    dumped = audit.dump(position)
    unjudged = audit.unjudged.ranges(dumped["replay_from"])
    meta = Meta(STATE_VERSION, position, dumped, born, totals or [], configs or [], unjudged=unjudged)
    records.append((META_KEY, encode_meta(meta)))
    return records


def load(audit: PartitionAudit, saved: Mapping[bytes, bytes]) -> Restored | None:
    """Load the newest records by key (keyed ones may be held elsewhere); None if there is no state.

    Raises StateError.
    """
    if META_KEY not in saved:
        return None
    meta = meta_of(saved[META_KEY])
    days = dict(audit.audit.intake.days())
    for key, value in saved.items():
        if key.startswith(WATCHED_KEY):
            audit.audit.watches[Key(key[len(WATCHED_KEY) :].decode())] = decode_watched(value)
        elif key.startswith(LOCKSTEP_KEY):
            audit.audit.company.lockstep.load(key[len(LOCKSTEP_KEY) :].decode(), builtins_of(value))
        elif key == RULINGS_KEY:
            audit.audit.rulings.load(builtins_of(value))
        elif key.startswith(DAYS_KEY):
            metric = int(key[len(DAYS_KEY) :])
            if metric in days:  # the rule may be off now
                days[metric].load(builtins_of(value))
        elif key.startswith(PLATFORM_KEY):
            index = int(key[len(PLATFORM_KEY) :])
            audit.audit.platforms[index].load(builtins_of(value))
    audit.unjudged = Positions(meta.unjudged)
    return Restored(meta.position, audit.load(meta.audit))
