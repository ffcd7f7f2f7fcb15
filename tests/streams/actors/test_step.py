"""The actors step: what raises is skipped the second time, and a request to delete is an output of the role."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from faust.types import TP

from detectors.accounts.accounts import Accounts
from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.pages import PIECES, Piece
from detectors.accounts.settings import AccountSettings
from detectors.controls import Answered, Asked, Followed, Forgotten, Replayed
from detectors.events.event import Event
from streams.actors.pages import StoredPages
from streams.actors.step import ACTIVE_MIN, PartitionAccounts, account_settings
from streams.actors.work import Actors
from streams.clock import FakeClock
from streams.engine.failed_records import Failed
from streams.engine.memory_topics import MemoryRecord, MemoryTopics
from streams.engine.step_error import StepError
from streams.kafka.topics import Topics
from streams.kafka.transport import Batch
from streams.log.controls import ControlSender, control_frame
from streams.log.hashing import actor_hash, partition_of
from streams.settings.settings import Settings
from streams.state.sealed import encode, seal
from streams.state.store import Store
from tests.crowds import MINUTE_MS, START_MS, ordinary
from tests.streams.pipeline import Pipeline

ASKED = Asked("case", "0v", 0, -1, START_MS, START_MS, START_MS + 9 * MINUTE_MS, [actor_hash("a1")])
FIRST, SECOND, THIRD = PIECES, 2 * PIECES, 3 * PIECES
"""The first pieces of the pages 1, 2 and 3."""


def log_of(minutes: int = 15) -> list[bytes]:
    """A log of actors, with a question after the third record."""
    pipe = Pipeline(actor_partitions=1)
    pipe.play(ordinary(1, minutes=minutes, targets=5))
    pipe.finish(START_MS + minutes * MINUTE_MS)
    log = pipe.actor_logs[0]
    ((_, asked),) = ControlSender("targets/0").frames([(0, ASKED)], position=1, now_ms=START_MS)
    return [*log[:3], asked, *log[3:]]


def accounts_of(failed: Failed | None = None) -> PartitionAccounts:
    """New accounts of partition 0."""
    return PartitionAccounts(AccountSettings(), partition=0, target_partitions=4, failed=failed)


def applied(accounts: PartitionAccounts, log: list[bytes]) -> list[tuple[int, bytes]]:
    """The control frames of a log."""
    return [
        frame
        for position, value in enumerate(log)
        for frame in accounts.controls_of(accounts.apply(value, position), position)
    ]


@pytest.mark.parametrize(("method", "position"), [("observe", 1), ("control", 3), ("advance", 5)])
def test_a_record_that_raises_is_skipped_the_second_time(
    monkeypatch: pytest.MonkeyPatch, method: str, position: int
) -> None:
    log, failed, at = log_of(), Failed(), [0]
    original = getattr(Accounts, method)

    def failing(accounts: Accounts, *arguments: Any) -> None:
        if at[0] == position:
            raise ValueError("a fault")
        original(accounts, *arguments)

    monkeypatch.setattr(Accounts, method, failing)

    def run() -> PartitionAccounts:
        accounts = accounts_of(failed)
        for at[0], value in enumerate(log):
            accounts.apply(value, at[0])
        return accounts

    with pytest.raises(StepError, match=f"the record at {position}: ValueError"):
        run()
    accounts = run()
    assert accounts.skipped.ranges() == ([] if method == "advance" else [(position, position)])
    monkeypatch.setattr(Accounts, method, original)
    again = accounts_of()
    again.load(again.dump(), accounts.skipped.ranges())
    for number, value in enumerate(log):
        again.apply(value, number)
    assert len(again.accounts) == len(accounts.accounts), "a restore skips the same"


def test_answers_go_to_the_partition_that_asked_and_followers_and_replays_to_that_of_the_target() -> None:
    accounts = accounts_of()
    frames = applied(accounts, log_of())
    assert {place for place, _ in frames} == {0}
    answer = Answered(1, "case", "0v", 1, 2, 3, 4, 5)
    followed, replayed = Followed(1, "v7", 2, 3, 4, 5), Replayed(1, "v8", 9, [2])
    outcome = AccountsOutcome(controls=[(9, answer), (2, answer), (None, followed), (9, replayed)])
    places = [place for place, _ in accounts.controls_of(outcome, 10_000)]
    assert places == sorted({2, partition_of("v7", 4), partition_of("v8", 4)}), (
        "nobody is at partition 9 since there are fewer"
    )


def test_what_is_no_frame_is_counted_and_what_comes_again_is_skipped() -> None:
    log = log_of()
    accounts = accounts_of()
    applied(accounts, [*log, b"no frame", b"\x94\x40rubbish"])
    assert accounts.broken == 2
    stored, repeated = len(accounts.accounts), accounts.redelivered
    for position, value in enumerate(log, len(log) + 2):
        accounts.apply(value, position)
    assert len(accounts.accounts) == stored
    assert accounts.redelivered > repeated


def test_a_request_to_delete_deletes_the_record_of_the_actor(tmp_path: Path) -> None:
    settings = Settings.model_validate({"partitions": 1, "state": {"directory": tmp_path}})
    topics, clock = Topics.of(settings), FakeClock()
    tp = TP(topics.by_actor, 0)
    memory = MemoryTopics(clock=clock)
    work = Actors(settings, tp, target_partitions=1, state=memory, clock=clock)  # type: ignore[arg-type]  # as a reader
    asyncio.run(work.restore())
    pipe = Pipeline(actor_partitions=1)
    pipe.send([msgspec.json.encode(Event(ts=START_MS, actor="a1", target="v1"))])
    values = [*pipe.actor_logs[0], control_frame([Forgotten(actor_hash("a1"), "a1")])]
    batch = Batch(tp, 0, [MemoryRecord(at, None, value, (), 0) for at, value in enumerate(values)])
    for _ in work.take(batch, batch.records):
        pass
    outputs = [output for output in work.cut(len(values)) if output.topic != topics.actors_state]
    assert [(output.topic, output.key, output.value) for output in outputs] == [(topics.actors, b"a1", None)]
    assert len(work.accounts.accounts) == 0
    work.close()


def test_pages_of_no_checkpoint_are_gone_after_a_restart(tmp_path: Path) -> None:
    def opened() -> tuple[Store, StoredPages]:
        store, pages = Store(tmp_path, "app/actors-state/0"), StoredPages()
        pages.use_store(store)
        return store, pages

    store, pages = opened()
    first, second, last = Piece(b"1", ["a"]), Piece(b"22", ["b"]), Piece(b"333", ["c"])
    numbers = [FIRST, FIRST + 1, SECOND]
    pages.write(zip(numbers, (first, second, last), strict=True))
    assert pages.read(numbers[::-1]) == [last, second, first]
    pages.cut()
    assert list(pages.records()) == [
        (b"idle/%d" % FIRST, seal(encode(first))),
        (b"idle/%d" % (FIRST + 1), seal(encode(second))),
        (b"idle/%d" % SECOND, seal(encode(last))),
    ]
    for _ in pages.stored():
        assert pages.read(numbers) == [first, second, last]
    store.write([], born="", next_offset=3)
    pages.write([(THIRD, Piece(b"3", ["c"]))])
    pages.drop([2])  # no checkpoint has it yet
    store.close()
    store, pages = opened()
    assert pages.read(numbers) == [first, second, last]
    assert pages.read_page(1) == [first, second]
    with pytest.raises(KeyError):
        pages.read([THIRD])
    with pytest.raises(KeyError):
        pages.read_page(3)
    store.close()


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_page_that_is_dropped_while_a_checkpoint_is_sent_stays_until_it_is_stored(
    tmp_path: Path, *, on_disk: bool
) -> None:
    store = Store(tmp_path, "app/actors-state/0") if on_disk else None
    pages = StoredPages()
    pages.use_store(store)
    first, second = Piece(b"1", ["a"]), Piece(b"22", ["b"])
    pages.write([(FIRST, first)])
    pages.cut()
    pages.drop([1])
    pages.write([(SECOND, second)])
    for _ in range(2):  # an outlet without transactions reads them twice
        assert list(pages.records()) == [(b"idle/%d" % FIRST, seal(encode(first)))]
    for _ in pages.stored():
        pass
    assert pages.read([SECOND]) == [second]
    assert list(pages.records()) == []
    pages.cut()
    assert list(pages.records()) == [(b"idle/%d" % SECOND, seal(encode(second)))]
    if store is not None:
        assert store.get(b"idle/%d" % FIRST) == seal(encode(first)), "the next checkpoint deletes it"
        store.close()


def test_budgets_are_shared_by_the_partitions_and_allowed_ids_are_pseudonyms_where_the_log_has_them() -> None:
    actors = {"accounts": 8_000_000, "memory_bytes": 400_000_000, "allow": ["me"]}
    shared = account_settings(Settings.model_validate({"partitions": 8, "actors": actors}))
    assert (shared.stored_max, shared.active_max, shared.allow) == (1_000_000, 100_000, frozenset({"me"}))
    hidden = account_settings(Settings.model_validate({"actors": {"allow": ["me"], "pseudonyms": True}}))
    assert hidden.allow == {f"{actor_hash('me'):016x}"}
    small = account_settings(Settings.model_validate({"actors": {"memory_bytes": 1 << 20}}))
    assert small.active_max == ACTIVE_MIN
