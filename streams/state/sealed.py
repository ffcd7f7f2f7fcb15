"""A partition audit's state as changelog records, and back: msgspec, versioned, checked, never pickle.

Keyed state is written as it changes. What was open at a checkpoint (ticks, recent ids) is not written at all: it is
a function of the last stretch of the log, so a restore reads that stretch again. The ``meta`` record says where it
begins.

A record is sealed: a byte with the version, four with a checksum (XXH32), then msgpack. Version 1 had neither; from
version 3 on the version is the checksum's seed, so that a version with a flipped bit is not taken for another one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import xxhash

from detectors.failures import MachineError
from detectors.reference.mixes import by_country
from detectors.state.watched import STATE_VERSION, Agenda, Watched
from detectors.windows.crowd import NOTHING_KNOWN, pack_row
from streams.targets.step import PartitionAudit
from streams.targets.unjudged import Positions

META_KEY = b"meta"
PLATFORM_KEY = b"platform/"
LOCKSTEP_KEY = b"platform/lockstep/"
"""Of the platform too: it travels and is split as what else a task knows of it."""
DAYS_KEY = b"platform/days/"
"""Likewise: a pair of an actor and a target that is elsewhere now only takes its room until others need it."""
RULINGS_KEY = b"platform/rulings"
"""What is held of actors; it travels with the rest, and is of no use where the actors do not come."""
WATCHED_KEY = b"w/"

SEAL_BYTES = 5
SEALED, SEEDED = 2, 3
"""Versions from which records have a seal, and from which the version is part of its checksum."""
UNSEALED = 0x80
"""First bytes from here on are those of a msgpack map or array: a record of version 1."""


def _pack_rows(state: Any) -> Any:
    """2 → 3: the rows of open windows, which were lists of numbers, are packed bytes."""
    windows = state.get("open", {}) if isinstance(state, dict) else {}
    for window in windows.values():
        window["rows"] = b"".join(pack_row(*row) for row in window.get("rows", ()))
    return state


def _know_people(state: Any) -> Any:
    """3 → 4: a window knows its people. Of those of an older one nothing is known; a case's purity is a ratio."""
    if not isinstance(state, dict):
        return state
    for window in state.get("open", {}).values():
        window.setdefault("people", dict.fromkeys(window.get("actors", {}), NOTHING_KNOWN))
    case = state.get("case")
    if case and "purity" in case:
        case["judged"], case["found"] = 1.0, case.pop("purity")
    return state


def _sum_countries(state: Any) -> Any:
    """4 → 5: a platform's mix of networks has a total for each country."""
    if isinstance(state, dict) and "mixes" in state:
        mix = state["mixes"]["network"]
        if len(mix) == 2:
            mix.append(by_country(mix[0]))
    return state


def _know_watches(state: Any) -> Any:
    """6 → 7: of a window's people it is known how long they watched. Of those of an older one it is not."""
    windows = state.get("open", {}) if isinstance(state, dict) else {}
    for window in windows.values():
        people = window.get("people", {})
        window["people"] = {actor: (*marks, -1)[: len(NOTHING_KNOWN)] for actor, marks in people.items()}
    return state


UPGRADES: dict[int, Callable[[Any], Any]] = {
    1: lambda state: state,
    2: _pack_rows,
    3: _know_people,
    4: _sum_countries,
    5: lambda state: state,
    6: _know_watches,
    7: lambda state: state,
}
"""version → what makes the next version's builtins of its own. 1 → 2 only sealed the records; 5 → 6 added those of
DAYS_KEY and 7 → 8 that of RULINGS_KEY, which an older worker cannot read."""

_GARBAGE = (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, struct.error)
"""What reading something else than a record raises."""
_VERSION = bytes((STATE_VERSION,))
_encode = msgspec.msgpack.Encoder().encode
_watched = msgspec.msgpack.Decoder(Watched, strict=False)


class StateError(MachineError):
    """State that this version cannot read."""


class MovedError(StateError):
    """The state goes on elsewhere."""

    def __init__(self, where: str, to: str) -> None:
        super().__init__(f"{where} has moved: set log_prefix and state_prefix to {to!r}, and partitions to match")
        self.to = to


class DamagedError(StateError):
    """A record that is not what was written."""


class Meta(msgspec.Struct):
    """Everything of a partition that is not keyed. ``born`` names the changelog's life: another one has another."""

    version: int
    position: int
    audit: Any
    born: str = ""
    totals: list[list[int]] = []
    configs: list[tuple[int, str]] = []
    """from which position of the log which configuration held: the first and the last few"""
    moved_to: str = ""
    """the state goes on under this prefix, and not here"""
    unjudged: list[tuple[int, int]] = []
    """positions of the log whose events were counted and not judged, as first and last of ranges"""


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
            records.append((PLATFORM_KEY + str(index).encode(), seal(_encode(platform.dump()))))
    for name, part in audit.audit.company.lockstep.take_changed():
        records.append((LOCKSTEP_KEY + name.encode(), seal(_encode(part))))
    if audit.audit.rulings.take_changed():
        records.append((RULINGS_KEY, seal(_encode(audit.audit.rulings.dump()))))
    for metric, days in audit.audit.intake.days():
        counted = days.take_changed()
        if counted is not None:
            records.append((DAYS_KEY + str(metric).encode(), seal(_encode(counted))))
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
            audit.audit.watches[key[len(WATCHED_KEY) :].decode()] = decode_watched(value)
        elif key.startswith(LOCKSTEP_KEY):
            audit.audit.company.lockstep.load(key[len(LOCKSTEP_KEY) :].decode(), _builtins(value))
        elif key == RULINGS_KEY:
            audit.audit.rulings.load(_builtins(value))
        elif key.startswith(DAYS_KEY):
            metric = int(key[len(DAYS_KEY) :])
            if metric in days:  # the rule may be off now
                days[metric].load(_builtins(value))
        elif key.startswith(PLATFORM_KEY):
            index = int(key[len(PLATFORM_KEY) :])
            audit.audit.platforms[index].load(_builtins(value))
    audit.unjudged = Positions(meta.unjudged)
    return Restored(meta.position, audit.load(meta.audit))


def encode_meta(meta: Meta) -> bytes:
    """The meta record."""
    return seal(_encode(meta))


def meta_of(value: bytes) -> Meta:
    """The meta record. Raises StateError."""
    return msgspec.convert(_builtins(value), Meta, strict=False)


# ---------------------------------------------------------------- records


def seal(payload: bytes) -> bytes:
    """Put version and checksum before a payload."""
    return _VERSION + xxhash.xxh32_digest(payload, STATE_VERSION) + payload


def unseal(value: bytes) -> tuple[int, bytes]:
    """Version and payload of a record. Raises DamagedError, or StateError if a newer worker wrote it."""
    if not value:
        raise DamagedError("a state record is empty")
    if value[0] >= UNSEALED:
        return 1, value
    version, payload = value[0], value[SEAL_BYTES:]
    if version > STATE_VERSION:
        raise StateError(
            f"the state is of version {version}, which a newer truecount wrote; this one reads up to {STATE_VERSION}:"
            " run the newer one, or rebuild the state from the log"
        )
    seed = version if version >= SEEDED else 0
    if version < SEALED or xxhash.xxh32_digest(payload, seed) != value[1:SEAL_BYTES]:
        raise DamagedError("a state record does not match its checksum")
    return version, payload


def encode_watched(watched: Watched) -> bytes:
    """A key's state as a record."""
    return seal(_encode(watched))


def decode_watched(value: bytes) -> Watched:
    """A record as a key's state, upgraded if it is of an older version. Raises StateError."""
    version, payload = unseal(value)
    try:
        if version == STATE_VERSION:
            return _watched.decode(payload)
        return msgspec.convert(_upgraded(version, payload), Watched, strict=False)
    except _GARBAGE as error:
        raise DamagedError(f"a state record cannot be read: {error}") from error


class _Window(msgspec.Struct):
    start: int = 0


class _Case(msgspec.Struct):
    close_at: int


class _Glance(msgspec.Struct):
    open: dict[str, _Window] = {}
    case: _Case | None = None
    explained: _Case | None = None
    unsaid: bool = False


_glance = msgspec.msgpack.Decoder(_Glance)


def agenda_of(value: bytes) -> Agenda:
    """What of a key's record is still to come, without decoding the rest. Raises StateError."""
    version, payload = unseal(value)
    if version != STATE_VERSION:
        return decode_watched(value).agenda()
    try:
        glance = _glance.decode(payload)
    except msgspec.MsgspecError as error:
        raise DamagedError(f"a state record cannot be read: {error}") from error
    starts = {name: window.start for name, window in glance.open.items()}
    due = glance.case or glance.explained
    return Agenda(starts, None if due is None else due.close_at, glance.unsaid)


def _builtins(value: bytes) -> Any:
    version, payload = unseal(value)
    try:
        return _upgraded(version, payload)
    except _GARBAGE as error:
        raise DamagedError(f"a state record cannot be read: {error}") from error


def _upgraded(version: int, payload: bytes) -> Any:
    state = msgspec.msgpack.decode(payload, strict=False)
    for step in range(version, STATE_VERSION):
        state = UPGRADES[step](state)
    return state
