"""The accounts of one partition of ``by-actor``. See the package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.acts.rates import GRID_MS
from detectors.accounts.acts.replays import note_replays
from detectors.accounts.acts.updates import numbered, sort_by_account, update
from detectors.accounts.addresses import is_address
from detectors.accounts.block import ActorBlock, WaitingBlocks
from detectors.accounts.containment import contained
from detectors.accounts.crowds.followers import Followers
from detectors.accounts.crowds.meetings import FIND_MS
from detectors.accounts.crowds.newcomers import Newcomers
from detectors.accounts.crowds.settlement import Settled, Settlement, unknown_answer
from detectors.accounts.outcome import ACTS, FOLLOWERS, LEARNING, RULINGS, SETTLEMENT, AccountsOutcome
from detectors.accounts.pages import AccountPages, PagesInMemory, Piece, pieces_of
from detectors.accounts.profile import Profile, profile_of
from detectors.accounts.rulings.evaluation import Evaluation
from detectors.accounts.settings import AccountSettings
from detectors.accounts.state import ACCOUNT_PAGES, ACCOUNTS, AccountPagesPart, AccountsPart, Head
from detectors.accounts.storage.columns import ADDRESS
from detectors.accounts.storage.idle import PageChanges, PageIndex
from detectors.accounts.storage.table import Table
from detectors.controls import Asked, Forgotten, ToActors
from detectors.state.parts import Part

JOINED_EVENTS = 2_000
"""Events from which waiting blocks are added. A block of eighty events, as a frame of live traffic has, takes a fifth
of the time of one of 2,000. In still larger blocks an event takes no less."""
BLOCK_MAX = 65_536
"""Events that are added at once: larger blocks are cut."""


class Accounts:
    """What is known and concluded of the accounts of one partition.

    The outputs and the state depend on the order of events and control records in the log and on event time, never on
    how the log is cut into blocks. ``target_hash`` hashes a target's text as ``ActorBlock.target`` does.
    ``target_partition`` is the partition of ``by-target`` of a target's text.

    Exceptions are contained: events may be missing in the accounts, a ruling or an answer may not be found, and the
    outcome says so. Only failures of the machine (``failures.UNCONTAINED``) are raised, and of loading a state.
    """

    def __init__(
        self,
        settings: AccountSettings,
        pages: AccountPages | None = None,
        *,
        target_hash: Callable[[str], int],
        target_partition: Callable[[str], int],
    ) -> None:
        self._settings = settings
        self._pages: AccountPages = PagesInMemory() if pages is None else pages
        self._target_partition = target_partition
        self._table = Table(settings.active_max, settings.stored_max, self._pages)
        self._newcomers = Newcomers()
        self._followers = Followers()
        self._settlement = Settlement(settings.questions_max, target_hash)
        self._evaluation = Evaluation(settings)
        self._waiting = WaitingBlocks()
        self._now = -1
        self._next_page = 0
        self._indexes: dict[int, PageIndex] = {}
        self._here: dict[int, bytes] = {}
        self._loading = False
        self.parts: tuple[Part, ...] = (AccountsPart(self), AccountPagesPart(self))

    def __len__(self) -> int:
        """Accounts stored, without those of events that wait."""
        return len(self._table)

    # ---------------------------------------------------------------- the log

    def observe(self, block: ActorBlock, outcome: AccountsOutcome) -> None:
        """Add events, in log order. They wait until there are JOINED_EVENTS, or until the accounts are needed."""
        outcome.events += len(block)
        with contained(ACTS, outcome):
            self._waiting.add(block)
        if len(self._waiting) >= JOINED_EVENTS:
            self.complete(outcome)

    def complete(self, outcome: AccountsOutcome | None = None) -> None:
        """Add the events that wait. Whatever needs the accounts does so; before that, a caller can take its outcome."""
        self._finish_loading()
        if len(self._waiting):
            outcome = AccountsOutcome() if outcome is None else outcome
            with contained(ACTS, outcome):
                self._observe(self._waiting.take(), outcome)
                outcome.dropped += self._table.take_dropped()

    def _observe(self, block: ActorBlock, outcome: AccountsOutcome) -> None:
        actors, begin = block.actor.tolist(), 0
        while begin < len(actors):
            end = min(begin + BLOCK_MAX, len(actors))
            places, created = self._table.place_all(actors[begin:end], block.name[begin:end])
            if len(places):
                end = begin + len(places)
                whole = begin == 0 and end == len(actors)
                with contained(ACTS, outcome):
                    self._add(block if whole else block.part(begin, end), places, created, outcome)
                begin = end
                outcome.created += len(created)
            else:
                self._table.evict_idle()

    def control(self, record: ToActors | Forgotten, outcome: AccountsOutcome) -> None:
        """Take a question, a removal or a request to delete, at its position in the log."""
        self.complete(outcome)
        if isinstance(record, Forgotten):
            outcome.forgotten.append(record.name)
            with contained(ACTS, outcome):
                outcome.dropped += self._table.forget(record.actor)
                self._evaluation.replays.forget(record.actor)
        elif isinstance(record, Asked):
            self._ask(record, outcome)
        else:
            with contained(SETTLEMENT, outcome):
                self._settlement.condemn(record.key, record.at)
            with contained(RULINGS, outcome):
                self._evaluation.condemn(record, self._table)
                outcome.dropped += self._table.take_dropped()

    def _ask(self, record: Asked, outcome: AccountsOutcome) -> None:
        taken = False
        with contained(SETTLEMENT, outcome):
            taken = self._settlement.ask(record)
        if not taken:
            outcome.controls.append((record.partition, unknown_answer(record, max(self._now, 0))))
            outcome.refused += 1

    def advance(self, now_ms: int, outcome: AccountsOutcome) -> None:
        """Move event time to ``now_ms``. Rulings, answers and followers are emitted at each multiple of five minutes.

        Time never goes back: a ``now_ms`` below the last one does nothing. If several multiples have passed since the
        last call, there is one report, at the latest of them: nothing has happened between them.
        """
        point, last = now_ms // GRID_MS, self._now // GRID_MS
        self._now = max(self._now, now_ms)
        if point > last:
            self.complete(outcome)
            finds = point * GRID_MS // FIND_MS > last * GRID_MS // FIND_MS
            self._report(point * GRID_MS, outcome, finds_stocks=finds)

    def _add(self, block: ActorBlock, places: NDArray[np.intp], created: list[int], outcome: AccountsOutcome) -> None:
        table = self._table
        rows_used, account = numbered(places, len(table.active))
        events, order = sort_by_account(block, account, len(rows_used))
        rows = table.gather(rows_used)
        with contained(FOLLOWERS, outcome):
            self._followers.note(rows, events, block.target_name, order)
        timed = note_replays(rows, events)
        if len(timed.places):
            with contained(RULINGS, outcome):
                self._evaluation.replays.note(timed, events, block, order)
        update(rows, events)
        if created:
            new = np.searchsorted(rows_used, np.array(created, np.intp))
            for place, row in zip(created, new.tolist(), strict=True):
                if is_address(table.name(place)):
                    rows["flags"][row] |= ADDRESS
            first = events.starts[new]
            with contained(LEARNING, outcome):
                self._newcomers.note(rows["actor"][new], events.ts[first], events.created[first])
            given = int(np.count_nonzero(events.given[first]))
            self._evaluation.note_ages(given, len(new) - given)
        table.scatter(rows_used, rows)

    def _report(self, now_ms: int, outcome: AccountsOutcome, *, finds_stocks: bool) -> None:
        with contained(FOLLOWERS, outcome):
            for followed in self._followers.take(now_ms, self._settings.followers_min):
                outcome.controls.append((self._target_partition(followed.target), followed))
        with contained(LEARNING, outcome):
            self._settlement.learn_expired(now_ms, self._table, self._newcomers)
        with contained(SETTLEMENT, outcome):
            self._settle(now_ms, outcome)
        if finds_stocks:
            with contained(RULINGS, outcome):
                self._evaluation.stocks.find(now_ms, self._table)
        with contained(RULINGS, outcome):
            self._evaluation.evaluate(now_ms, self._table, self._settlement, outcome)
        with contained(RULINGS, outcome):
            self._evaluation.publish(now_ms, self._table, outcome)
        with contained(RULINGS, outcome):
            for replayed in self._evaluation.replays.take(now_ms):
                outcome.controls.append((self._target_partition(replayed.target), replayed))
        with contained(ACTS, outcome):
            outcome.dropped += self._table.take_dropped()

    def _settle(self, now_ms: int, outcome: AccountsOutcome) -> None:
        """Answer the questions that are due. One that cannot be answered is answered as unknown."""
        due = self._settlement.take_due(now_ms)
        found: dict[str, Settled] = {}
        for question in due:
            with contained(SETTLEMENT, outcome):
                found[question.case] = self._settlement.settle(question, now_ms, self._table, self._newcomers)
        with contained(SETTLEMENT, outcome):
            self._settlement.distrust(found.values(), now_ms)
        for question in due:
            settled = found.get(question.case)
            if settled is None:
                outcome.controls.append((question.partition, unknown_answer(question, now_ms)))
                outcome.refused += 1
                continue
            outcome.controls.append((question.partition, settled.answer))
            outcome.answered += 1
            with contained(RULINGS, outcome):
                self._evaluation.rule_empty(settled, now_ms, self._table)

    # ---------------------------------------------------------------- questions of people

    def profile(self, actor: int) -> Profile | None:
        """What is known of the account with this hash (without account bit); None if nothing."""
        self.complete()
        rows, name = self._table.look_up([actor]), self._table.find_name(actor)
        if name is None or not len(rows):
            return None
        return profile_of(rows, name, max(self._now, 0), self._evaluation, self._settlement.distrusted)

    def replaying(self) -> list[str]:
        """The accounts that replay a target by a program, in the order in which they were found."""
        self.complete()
        return list(dict.fromkeys(replay.name for replay in self._evaluation.replays.found.values() if replay.until))

    def memory_bytes(self) -> int:
        """Bytes in memory, without those of the pages; estimated for Python objects."""
        return self._table.memory_bytes() + self._newcomers.memory_bytes()

    @property
    def open_questions(self) -> int:
        """Questions that are not answered yet."""
        return len(self._settlement.questions)

    # ---------------------------------------------------------------- state

    def take_changed(self) -> Iterator[tuple[str, Any]]:
        """The records of ACCOUNTS that changed since the last call."""
        self.complete()
        yield "head", self._head()
        for number, page in self._table.take_changed():
            yield f"rows/{number}", page
        yield from self._table.idle.take_changed_indexes()
        for hour, samples in self._newcomers.take_changed():
            yield f"new/{hour}", samples

    def take_page_changes(self) -> PageChanges:
        """Which pages changed since the last call."""
        self.complete()
        return self._table.idle.take_page_changes()

    def take_changed_pages(self) -> Iterator[tuple[str, Piece | None]]:
        """The records of ACCOUNT_PAGES that changed since the last call."""
        changes = self.take_page_changes()
        yield from ((str(number), None) for page in changes.dropped for number in pieces_of(page))
        yield from self._pieces(changes.written)

    def _pieces(self, pages: Iterable[int]) -> Iterator[tuple[str, Piece]]:
        for page in pages:
            yield from zip(map(str, pieces_of(page)), self._pages.read_page(page), strict=False)

    def dump(self) -> list[tuple[str, Any]]:
        """The whole state: (key, value that msgspec can encode), as the records of all parts would be."""
        self.complete()
        table, idle = self._table, self._table.idle
        records: list[tuple[str, Any]] = [("head", self._head())]
        records += [(f"rows/{number}", page) for number, page in table.records()]
        records += idle.indexes()
        records += [(f"new/{hour}", self._newcomers.record(hour)) for hour in self._newcomers.hours()]
        named = [(ACCOUNTS.prefix.decode() + suffix, value) for suffix, value in records]
        pages = ACCOUNT_PAGES.prefix.decode()
        return named + [(pages + name, piece) for name, piece in self._pieces(idle.numbers())]

    def load_piece(self, number: int, piece: Piece) -> None:
        """Load a piece of a page, if the store of pages has not got it."""
        self._pages.write([(number, piece)])

    def lose_pages(self, pages: set[int]) -> None:
        """Take pages as dropped because they cannot be loaded. The next changes delete what is left of them."""
        self._table.idle.lose(pages)

    def load_record(self, suffix: str, state: Any) -> None:
        """Load a record of ACCOUNTS. The table is put together when it is used for the first time."""
        name, _, number = suffix.partition("/")
        self._loading = True
        if name == "head":
            self._load_head(msgspec.convert(state, Head))
        elif name == "rows":
            self._table.load_record(int(number), state)
        elif name == "pages":
            self._indexes[int(number)] = msgspec.convert(state, PageIndex)
        elif name == "here":
            self._here[int(number)] = state
        elif name == "new":
            self._newcomers.load(int(number), state)

    def _finish_loading(self) -> None:
        if self._loading:
            self._loading = False
            self._table.finish_loading()
            self._table.idle.load(self._next_page, self._indexes, self._here)
            self._indexes, self._here = {}, {}

    def _head(self) -> Head:
        settlement, evaluation = self._settlement, self._evaluation
        return Head(
            now=self._now,
            next_page=self._table.idle.next_page,
            usual=msgspec.convert(msgspec.to_builtins(evaluation.usual), type(evaluation.usual)),
            pending=list(evaluation.changes.pending),
            questions=[msgspec.structs.replace(question) for question in settlement.questions.values()],
            distrusted=list(settlement.distrusted.until.items()),
            followers=[(start, target, n, new) for (start, target), (n, new) in self._followers.counts.items()],
            owners_viewed=self._followers.owners_viewed,
            learned=[list(counts) for counts in self._newcomers.learned],
            ages=evaluation.ages,
            returns=evaluation.returns,
            replays=[msgspec.structs.replace(replay) for replay in evaluation.replays.found.values()],
            replays_counted=evaluation.replays.counted,
            stocks=[msgspec.structs.replace(stock) for stock in evaluation.stocks.found.values()],
            latest_stock=evaluation.stocks.latest,
        )

    def _load_head(self, head: Head) -> None:
        settlement, evaluation = self._settlement, self._evaluation
        self._now, self._next_page = head.now, head.next_page
        evaluation.usual, evaluation.ages, evaluation.returns = head.usual, head.ages, head.returns
        evaluation.changes.pending = head.pending
        evaluation.replays.found = {(replay.actor, replay.target): replay for replay in head.replays}
        evaluation.replays.counted = head.replays_counted
        evaluation.stocks.found = {stock.number: stock for stock in head.stocks}
        evaluation.stocks.latest = head.latest_stock
        settlement.questions = {question.case: question for question in head.questions}
        settlement.distrusted.until = dict(head.distrusted)
        self._followers.counts = {(start, target): [n, new] for start, target, n, new in head.followers}
        self._followers.owners_viewed = head.owners_viewed
        if head.learned:
            self._newcomers.learned = head.learned
