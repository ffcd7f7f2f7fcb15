"""Converts the state of a partition's accounts to changelog records and back.

State of accounts is in large records, and nearly all of it changes within seconds, so it costs the same however long
ago it was last written. It is written seldom, in a *full* checkpoint. The checkpoints in between have the meta record
only: the state of the last full one, and the new position. A restore loads that state, and applies the log from there
to the position again, without outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from detectors.accounts.pages import PIECES, pieces_of
from detectors.accounts.state import ACCOUNT_PAGES, ACCOUNTS
from detectors.state.target_state import STATE_VERSION
from streams.actors.pages import piece_key
from streams.actors.step import PartitionAccounts
from streams.state.parts import dump_or_delete, load_parts
from streams.state.sealed import META_KEY, Meta, encode_meta, meta_of

FULL_AT = "full_at"
"""Key of the state: the position of the log at which it was complete."""


class Restored(NamedTuple):
    """The position of a loaded state in the log, and the position from which the log must be applied up to it."""

    position: int
    replay_from: int
    state: dict[str, Any]
    """of the last full checkpoint, for the next meta records"""


def dump_full(accounts: PartitionAccounts, position: int) -> tuple[list[tuple[bytes, bytes | None]], dict[str, Any]]:
    """The changelog records of what changed since the last full checkpoint, and the state for the meta record.

    Without the new pages of idle accounts, which the store of pages has.
    """
    dropped = accounts.accounts.take_page_changes().dropped
    records = dump_or_delete(part for part in accounts.accounts.parts if part.kind != ACCOUNT_PAGES)
    records += [(piece_key(number), None) for page in dropped for number in pieces_of(page)]
    return records, state_at(accounts, position)


def state_at(accounts: PartitionAccounts, position: int) -> dict[str, Any]:
    """The state for the meta records from a full checkpoint at ``position`` on."""
    return {**accounts.dump(), FULL_AT: position}


def page_of(key: bytes) -> int | None:
    """The page of the piece with this key; None for the key of another record.

    >>> page_of(b"idle/%d" % (7 * PIECES + 3)), page_of(b"meta")
    (7, None)
    """
    prefix = ACCOUNT_PAGES.prefix
    return int(key[len(prefix) :]) // PIECES if key.startswith(prefix) else None


def index_keys(page: int) -> tuple[bytes, bytes]:
    """The keys of the index of a page. Without it, the page is as if dropped."""
    return ACCOUNTS.prefix + b"pages/%d" % page, ACCOUNTS.prefix + b"here/%d" % page


def meta_record(
    accounts: PartitionAccounts, position: int, state: dict[str, Any], *, born: str, configs: list[tuple[int, str]]
) -> tuple[bytes, bytes]:
    """The meta record, which is the last of every checkpoint."""
    skipped = accounts.skipped.ranges(state[FULL_AT])
    return META_KEY, encode_meta(Meta(STATE_VERSION, position, state, born, configs=configs, unjudged=skipped))


def load(accounts: PartitionAccounts, saved: Mapping[bytes, bytes]) -> Restored | None:
    """Load the newest record of every key (pages may be in a store instead). None if there is no state.

    Raises StateError.
    """
    if META_KEY not in saved:
        return None
    meta = meta_of(saved[META_KEY])
    load_parts(accounts.accounts.parts, saved)
    accounts.load(meta.audit, meta.unjudged)
    return Restored(meta.position, int(meta.audit[FULL_AT]), meta.audit)
