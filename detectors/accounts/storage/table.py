"""The accounts of a partition: active ones as a table in memory, idle ones in pages."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.pages import AccountPages, Piece
from detectors.accounts.storage.columns import NO_KIND, ROW, Rows, blank, put_rows, rows_at
from detectors.accounts.storage.idle import IdleAccounts, rows_of
from detectors.accounts.storage.index import GONE
from detectors.accounts.storage.presence import OFTEN, ONCE

Ints = NDArray[np.int64]
Places = NDArray[np.intp]

RECORD_ROWS = 1024
"""Rows of the table in one record of the state."""
NAME_BYTES, ENTRY_BYTES = 60, 110
"""Memory of an id as a Python string, and of an entry in the dict of accounts (measured)."""


class Table:
    """Rows of active accounts in the order in which they became active, and the idle accounts behind them.

    When the table is full, the half of it that is idle longest moves to pages. So what is where depends on the log
    only.
    """

    def __init__(self, capacity: int, stored_max: int, pages: AccountPages) -> None:
        self.idle = IdleAccounts(pages)
        self._capacity = capacity
        self._stored_max = stored_max
        self._rows = np.zeros(min(capacity, RECORD_ROWS), ROW)
        self._names: list[str] = []
        self._where: dict[int, int] = {}
        self._changed: set[int] = set()
        self._records = 0
        self._loaded: dict[int, Piece] = {}
        self._dropped = 0

    def __len__(self) -> int:
        """Accounts stored."""
        return len(self._names) + len(self.idle)

    @property
    def active(self) -> Rows:
        """The rows in memory. Changes must be noted with ``mark``, or made with ``scatter``."""
        return self._rows[: len(self._names)]

    def gather(self, places: Places) -> Rows:
        """Copies of rows in memory."""
        return rows_at(self._rows, places)

    def scatter(self, places: Places, rows: Rows) -> None:
        """Write rows of different accounts back, and mark them as changed."""
        put_rows(self._rows, places, rows)
        self.mark(places)

    def name(self, place: int) -> str:
        """The id of the account in a row."""
        return self._names[place]

    def place_all(self, actors: list[int], names: list[str]) -> tuple[Places, list[int]]:
        """Rows of the accounts of events in log order, as many as the table can take, and which of the rows are new.

        If it is less than all, the caller calls ``evict_idle`` and goes on behind them.
        """
        places = list(map(self._where.get, actors, repeat(-1)))
        if -1 not in places:
            return np.array(places, np.intp), []
        missing = dict.fromkeys(actor for actor, place in zip(actors, places, strict=True) if place < 0)
        free = self._capacity - len(self._names)
        fitting = len(actors)
        if len(missing) > free:
            missing = dict.fromkeys(list(missing)[:free])
            fitting = next(at for at, actor in enumerate(actors) if places[at] < 0 and actor not in missing)
        created = self._bring(
            list(missing), dict(zip(reversed(actors[:fitting]), reversed(names[:fitting]), strict=True))
        )
        return np.fromiter(map(self._where.__getitem__, actors[:fitting]), np.intp, fitting), created

    def places(self, actors: list[int]) -> Places:
        """Rows of those of some accounts that are stored, in their order. Idle ones become active."""
        wanted = self._idle_of(actors)
        if len(wanted) > self._capacity - len(self._names):
            self.evict_idle()
            wanted = self._idle_of(actors)[: self._capacity - len(self._names)]
        self._bring(wanted, {})
        return np.array([self._where[actor] for actor in actors if actor in self._where], np.intp)

    def look_up(self, actors: list[int]) -> Rows:
        """Copies of the rows of those of some accounts that are stored, in their order. Nothing changes."""
        places = np.fromiter(map(self._where.get, actors, repeat(-1)), np.intp, len(actors))
        rows = blank(np.array(actors, np.int64))
        known = places >= 0
        put_rows(rows, known, rows_at(self._rows, places[known]))
        if len(self.idle):
            away = np.flatnonzero(~known)
            found = self.idle.find(rows["actor"][away].astype(np.int64))
            away, found = away[found != GONE], found[found != GONE]
            put_rows(rows, away, self.idle.read(found)[0])
            known[away] = True
        return rows_at(rows, known)

    def find_name(self, actor: int) -> str | None:
        """The id of an account; None if it is not stored."""
        place = self._where.get(actor)
        if place is not None:
            return self._names[place]
        found = self.idle.find(np.array([actor], np.int64))
        return None if found[0] == GONE else self.idle.read(found)[1][0]

    def forget(self, actor: int) -> int:
        """Delete an account and its id, also from pages that it has left. Returns the number of accounts deleted."""
        deleted = self.idle.forget(actor)
        place = self._where.pop(actor, None)
        if place is None:
            return deleted
        last = len(self._names) - 1
        name = self._names.pop()
        if place != last:
            self._rows[place] = self._rows[last]
            self._names[place] = name
            self._where[int(self._rows[place]["actor"])] = place
        self._rows[last] = np.zeros(1, ROW)[0]
        self._changed.update((place // RECORD_ROWS, last // RECORD_ROWS))
        if not last % RECORD_ROWS:
            self._changed.discard(last // RECORD_ROWS)  # no row is left in that record
        return 1

    def mark(self, places: Places) -> None:
        """Note that rows have changed."""
        self._changed.update(np.unique(places // RECORD_ROWS).tolist())

    def evict_idle(self) -> None:
        """Move the half of the table that is idle longest to pages, and drop accounts beyond the budget."""
        rows = self.active
        order = np.argsort(rows["last_ms"], kind="stable")
        leaving = order[: max(1, len(order) // 2)]
        once = seen_once(rows)[leaving]
        for group, chosen in ((ONCE, leaving[once]), (OFTEN, leaving[~once])):
            self.idle.put(rows_at(rows, chosen), [self._names[place] for place in chosen.tolist()], group)
        stays = np.ones(len(rows), np.bool_)
        stays[leaving] = False
        kept = rows_at(rows, stays)
        self._names = [self._names[place] for place in np.flatnonzero(stays).tolist()]
        put_rows(self._rows, slice(len(kept)), kept)
        self._where = dict(zip(kept["actor"].tolist(), range(len(kept)), strict=True))
        self._changed = set(range(-(-len(kept) // RECORD_ROWS)))
        self.idle.write_sparse_anew()
        while len(self) > self._stored_max and len(self.idle):
            self._dropped += self.idle.drop_oldest()

    def take_dropped(self) -> int:
        """Accounts dropped because of the budget since the last call."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def memory_bytes(self) -> int:
        """Bytes in memory, estimated for Python objects."""
        return self._rows.nbytes + len(self._names) * (NAME_BYTES + ENTRY_BYTES) + self.idle.memory_bytes()

    def _idle_of(self, actors: list[int]) -> list[int]:
        away = list(dict.fromkeys(actor for actor in actors if actor not in self._where))
        found = self.idle.find(np.array(away, np.int64)).tolist()
        return [actor for actor, place in zip(away, found, strict=True) if place != GONE]

    def _bring(self, actors: list[int], names: dict[int, str]) -> list[int]:
        """Append rows for accounts: those of idle ones, and new ones. Returns the places of the new ones."""
        if not actors:
            return []
        begin = len(self._names)
        hashed = np.array(actors, np.int64)
        rows, ids = blank(hashed), list(map(names.get, actors, repeat("")))
        new = np.ones(len(actors), np.bool_)
        if len(self.idle):
            back, stored, known = self.idle.take(hashed)
            put_rows(rows, back, stored)
            for place, name in zip(back.tolist(), known, strict=True):
                ids[place] = name
            new[back] = False
        self._grow(begin + len(actors))
        put_rows(self._rows, slice(begin, begin + len(actors)), rows)
        self._names += ids
        self._where.update(zip(actors, range(begin, begin + len(actors)), strict=True))
        self._changed.update(range(begin // RECORD_ROWS, (begin + len(actors) - 1) // RECORD_ROWS + 1))
        return (begin + np.flatnonzero(new)).tolist()

    def _grow(self, size: int) -> None:
        if size > len(self._rows):
            rows = np.zeros(min(self._capacity, max(size, 2 * len(self._rows))), ROW)
            put_rows(rows, slice(len(self._names)), self.active)
            self._rows = rows

    # ---------------------------------------------------------------- state

    def take_changed(self) -> list[tuple[int, Piece | None]]:
        """Changed records of the table since the last call, by number; None for those that are not used any more."""
        records = -(-len(self._names) // RECORD_ROWS)
        found: list[tuple[int, Piece | None]] = [(number, self._record(number)) for number in sorted(self._changed)]
        found += [(number, None) for number in range(records, self._records)]
        self._changed, self._records = set(), records
        return found

    def records(self) -> list[tuple[int, Piece]]:
        """All records of the table."""
        return [(number, self._record(number)) for number in range(-(-len(self._names) // RECORD_ROWS))]

    def _record(self, number: int) -> Piece:
        begin, end = number * RECORD_ROWS, min((number + 1) * RECORD_ROWS, len(self._names))
        return Piece(self._rows[begin:end].tobytes(), self._names[begin:end])

    def load_record(self, number: int, state: Any) -> None:
        """Load a record of the table. ``finish_loading`` must follow the last one."""
        self._loaded[number] = msgspec.convert(state, Piece)

    def finish_loading(self) -> None:
        """Use the loaded records."""
        records = [record for _, record in sorted(self._loaded.items())]
        self._loaded = {}
        if not records:
            return
        rows = rows_of(records)
        self._grow(len(rows))
        put_rows(self._rows, slice(len(rows)), rows)
        self._names = [name for record in records for name in record.names]
        self._where = dict(zip(rows["actor"].tolist(), range(len(rows)), strict=True))
        self._records = len(records)


def seen_once(rows: Rows) -> NDArray[np.bool_]:
    """Accounts with a single act and nothing else that is worth remembering: they are dropped first."""
    single = rows["acts"].sum(axis=1) + rows["undos"] <= 1
    return np.asarray(single & (rows["crowds"] == 0) & (rows["kind"] == NO_KIND))
