"""Rows, bits, the index and the pages."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.accounts.accounts import Accounts
from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.pages import PAGE_ACCOUNTS, PagesInMemory
from detectors.accounts.storage.bits import bits_set, distinct, has_bit, united
from detectors.accounts.storage.columns import ROW, add_saturating, blank
from detectors.accounts.storage.index import GONE, Index
from detectors.accounts.storage.presence import OFTEN, ONCE, SPARSE, Presence
from tests.detectors.accounts.traffic import START_MS, Act, accounts_with, actor_hash, block_of, people, play

words = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=9)
keys = st.integers(0, 30)


@given(words)
def test_bits_are_counted(values: list[int]) -> None:
    assert bits_set(np.array(values, np.uint64)).tolist() == [value.bit_count() for value in values]
    assert distinct(np.array([values], np.uint64)).tolist() == [sum(value.bit_count() for value in values)]


@given(st.lists(st.lists(st.integers(-1, 127), min_size=1, max_size=9), min_size=1, max_size=9))
def test_bits_of_segments_are_united(segments: list[list[int]]) -> None:
    starts = np.cumsum([0, *map(len, segments[:-1])])
    numbers = np.array([number for segment in segments for number in segment], np.int64)
    found = np.stack(united(numbers, starts, 2), axis=1)
    for row, segment in zip(found, segments, strict=True):
        assert [number for number in range(128) if has_bit(row, number)] == sorted({*segment} - {-1})


@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=6))
def test_a_saturated_sum_does_not_depend_on_how_it_is_grouped(amounts: list[int]) -> None:
    singly, together = blank(np.zeros(1, np.int64)), blank(np.zeros(1, np.int64))
    for amount in amounts:
        add_saturating(singly, "undos", amount)
    add_saturating(together, "undos", sum(amounts))
    assert singly["undos"][0] == together["undos"][0] == min(sum(amounts), 0xFFFF)


@given(st.lists(st.tuples(st.booleans(), st.sets(keys, min_size=1, max_size=8)), max_size=20))
def test_the_index_is_a_dict(changes: list[tuple[bool, set[int]]]) -> None:
    index, model, place = Index(), dict[int, int](), 0
    for adds, actors in changes:
        if adds:
            new = np.array(sorted(actors - model.keys()), np.int64)
            index.add(new, place + np.arange(len(new)))
            model |= {int(actor): place + number for number, actor in enumerate(new)}
            place += len(new)
        else:
            known = sorted(actors & model.keys())
            places = [model.pop(actor) for actor in known]
            if place % 2:
                index.remove(np.array(known, np.int64), np.array(places, np.int64))
            else:
                index.remove_found(index.locate(np.array(sorted(actors)[::-1], np.int64)))
        everyone = np.arange(32)
        assert index.find(everyone).tolist() == [model.get(actor, GONE) for actor in range(32)]
        assert len(index) == len(model)


@given(st.lists(st.tuples(st.integers(1, PAGE_ACCOUNTS), st.sets(st.integers(0, PAGE_ACCOUNTS - 1))), max_size=200))
def test_presence_is_a_set_of_places_for_each_page(pages: list[tuple[int, set[int]]]) -> None:
    presence, model = Presence(), dict[int, set[int]]()
    for number, (written, leaving) in enumerate(pages):
        group = ONCE if written % 3 == 0 else OFTEN
        presence.add(number, ((1 << written) - 1).to_bytes(PAGE_ACCOUNTS // 8, "little"), written=written, group=group)
        model[number] = {number * PAGE_ACCOUNTS + slot for slot in range(written)}
        page = number // 2
        gone = {page * PAGE_ACCOUNTS + slot for slot in leaving} & model.get(page, set())
        empty = [page] if gone and gone == model[page] else []
        assert presence.leave(np.array(sorted(gone), np.int64)) == empty
        presence.drop(empty)
        model[page] = model.get(page, set()) - gone
    stored = [number for number in model if model[number]]
    assert presence.numbers() == stored
    assert presence.places(stored).tolist() == [place for number in stored for place in sorted(model[number])]
    once = [number for number in stored if pages[number][0] % 3 == 0]
    assert presence.oldest() == next(iter(once or stored), None)
    few = [number for number in stored if len(model[number]) < min(SPARSE, pages[number][0])]
    assert presence.sparse(OFTEN) + presence.sparse(ONCE) == sorted(few, key=lambda number: (number in once, number))
    assert presence.take_left() == [number for number in stored if not presence.all_here(number)]
    assert presence.take_left() == []


def test_an_idle_account_returns_with_all_it_had() -> None:
    accounts, outcome = accounts_with(active_max=4), AccountsOutcome()
    accounts.observe(block_of([Act(0, "first", "v1"), Act(1, "first", "v2")]), outcome)
    accounts.complete(outcome)
    before = accounts.profile(actor_hash("first"))
    accounts.observe(block_of([Act(at, f"other{at}", "v1") for at in range(10, 40)]), outcome)
    accounts.complete(outcome)
    assert accounts.profile(actor_hash("first")) == before
    accounts.observe(block_of([Act(99, "first", "v3")]), outcome)
    after = accounts.profile(actor_hash("first"))
    assert after is not None
    assert (after.acts["view"], after.first_seen, after.actor) == (3, START_MS, "first")
    assert outcome.created == 31


def test_accounts_that_were_seen_once_are_dropped_first() -> None:
    pages = PagesInMemory()
    accounts, outcome = accounts_with(pages, active_max=100, stored_max=1_000), AccountsOutcome()
    regulars = [Act(at, f"regular{number}", f"v{at}") for number in range(300) for at in range(2)]
    accounts.observe(block_of(regulars), outcome)
    accounts.observe(block_of([Act(at, f"once{at}", "v1") for at in range(20_000)]), outcome)
    assert outcome.dropped > 18_000
    assert len(accounts) <= 1_000 + 100
    assert all(accounts.profile(actor_hash(f"regular{number}")) is not None for number in range(300))
    assert accounts.memory_bytes() < 200_000


def test_an_account_takes_less_than_300_bytes() -> None:
    accounts = accounts_with()
    acts = people(np.random.default_rng(1), 2_000, hours=4)
    play(accounts, [Act(act.at, f"{actor_hash(act.actor):036x}", act.target, watch=act.watch) for act in acts])
    assert stored_bytes(accounts) / len(accounts) < 300


def stored_bytes(accounts: Accounts) -> int:
    records: list[tuple[str, Any]] = [each for each in accounts.dump() if "/new/" not in each[0]]
    return sum(len(msgspec.msgpack.encode(value)) for _, value in records)


def test_the_layout_of_a_row_is_persisted() -> None:
    assert ROW.itemsize == 255
    names = list(ROW.names or ())
    assert names[:6] == ["actor", "last_ms", "acts", "first_s", "created_s", "busy_s"]
    assert names[-2:] == ["timed_replays", "stock"]
