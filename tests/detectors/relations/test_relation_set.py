"""Relations are found again, whatever came and went, in the record or in pages."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.events.key import Key, key_of
from detectors.intake.related import RelatedAct
from detectors.relations.relation_set import open_all, sample
from detectors.state.relation_pages import (
    ACCOUNT_BITS,
    FEW_MAX,
    LOAD,
    OLDEST,
    MemoryPages,
    bits_of,
    decode,
    encode,
    page_of,
    with_relation,
)
from detectors.state.relations import Relations

KEY = key_of(2, "c/7")

actors = st.integers(0, (1 << 62) - 1).map(lambda number: number << ACCOUNT_BITS)
pages = st.dictionaries(actors, st.integers(0, OLDEST), max_size=60)


@given(pages, st.integers(0, 1 << 20), st.integers(0, 40))
def test_a_page_reads_as_it_was_written(page: dict[int, int], number: int, bits: int) -> None:
    number &= (1 << bits) - 1
    there = {((actor >> ACCOUNT_BITS) >> bits << bits | number) << ACCOUNT_BITS: at for actor, at in page.items()}
    assert decode(encode(there, bits), number) == there


def test_what_is_older_than_a_page_can_say_is_as_old_as_it_can_say() -> None:
    assert decode(encode({2: 5, 4: 100_000})) == {2: 100_000 - OLDEST, 4: 100_000}


@given(
    st.dictionaries(actors, st.integers(0, 3 * OLDEST) | st.integers(0, 3), max_size=40),
    actors,
    st.integers(0, 4 * OLDEST) | st.integers(0, 3),
    st.integers(0, 1 << 20),
    st.integers(0, 40),
)
def test_a_relation_added_to_an_encoded_page_is_one_added_to_the_page(
    page: dict[int, int], actor: int, span: int, number: int, bits: int
) -> None:
    number &= (1 << bits) - 1

    def of_page(one: int) -> int:
        return ((one >> ACCOUNT_BITS) >> bits << bits | number) << ACCOUNT_BITS

    before = encode({of_page(one): at for one, at in page.items()}, bits) if page else b""
    decoded = decode(before, number) if before else {}
    longer = with_relation(before, of_page(actor), span, bits)
    if of_page(actor) in decoded:
        assert longer is None
    else:
        assert longer == encode({**decoded, of_page(actor): span}, bits)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=9, unique=True), st.permutations(range(9)))
def test_actors_whose_hashes_begin_alike_are_found_in_a_page(there: list[int], order: list[int]) -> None:
    page = b""
    for low in sorted(there, key=order.__getitem__):
        page = with_relation(page, (7 << 56) + (low << ACCOUNT_BITS), 3) or page
    assert page == encode({(7 << 56) + (low << ACCOUNT_BITS): 3 for low in there})
    assert [with_relation(page, (7 << 56) + (low << ACCOUNT_BITS), 3) for low in there] == [None] * len(there)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(actors, st.booleans()), max_size=20, unique_by=lambda act: act[0]), max_size=12),
    st.integers(0, 60),
)
def test_acts_added_together_leave_what_acts_added_one_by_one_do(
    ticks: list[list[tuple[int, bool]]], there: int
) -> None:
    together, alone = (Target().grown(random.Random(there), there) for _ in range(2))
    for span, tick in enumerate(ticks, 40):
        acts = [RelatedAct("c/7", actor, 0, place, caught) for place, (actor, caught) in enumerate(tick)]
        (one,) = open_all([(KEY, together.relations, [act.actor for act in acts])], together.pages)
        (other,) = open_all([(KEY, alone.relations, [act.actor for act in acts])], alone.pages)
        already = [act.place for act in acts if other.created(act.actor) is not None]
        for act in acts:
            if act.place not in already and not act.caught:
                other.add(act.actor, span)
        assert one.add_all(acts, span) == already
        one.write(together.pages)
        other.write(alone.pages)
        assert together.relations == alone.relations
        assert together.pages.pages == alone.pages.pages


@pytest.mark.parametrize("damaged", [b"", b"\0\0\0\0\0x", b"\0\0\0\0\xff" + b"x" * 9])
def test_bytes_that_are_no_page_are_refused(damaged: bytes) -> None:
    with pytest.raises(Exception, match=r"page|unpack"):
        decode(damaged)


@given(actors, st.integers(1, 5000))
def test_a_split_moves_only_actors_of_the_page_that_is_split(actor: int, count: int) -> None:
    before, after = page_of(actor, count), page_of(actor, count + 1)
    assert after in (before, count)
    low = (actor >> ACCOUNT_BITS) & ((1 << bits_of(before, count)) - 1)
    assert before == low


class Target:
    """One target, opened anew for each change, beside a dict of the same."""

    def __init__(self, key: Key = KEY) -> None:
        self.key = key
        self.pages = MemoryPages()
        self.relations = Relations()
        self.truth: dict[int, int] = {}

    def toggle(self, some: Sequence[int], span: int) -> None:
        (relation_set,) = open_all([(self.key, self.relations, some)], self.pages)
        for actor in some:
            assert relation_set.created(actor) == self.truth.get(actor)
            if actor in self.truth:
                relation_set.remove(actor)
                del self.truth[actor]
            else:
                relation_set.add(actor, span)
                self.truth[actor] = span
        relation_set.write(self.pages)
        assert self.relations.current == len(self.truth)

    def grown(self, rng: random.Random, size: int) -> Target:
        while len(self.truth) < size:
            new = [rng.getrandbits(62) << ACCOUNT_BITS for _ in range(min(200, size - len(self.truth)))]
            self.toggle(new, rng.randrange(50))
        return self


@settings(deadline=None)
@given(st.lists(st.lists(actors, max_size=30, unique=True), max_size=15), st.randoms(use_true_random=False))
def test_acts_and_undos_leave_what_a_set_would_have(batches: list[list[int]], rng: random.Random) -> None:
    target = Target()
    for number, batch in enumerate(batches):
        gone = rng.sample(sorted(target.truth), rng.randint(0, len(target.truth)))
        target.toggle([*dict.fromkeys([*batch, *gone])], number)
    everybody = sorted(target.truth)
    (relation_set,) = open_all([(KEY, target.relations, everybody)], target.pages)
    assert {actor: relation_set.created(actor) for actor in everybody} == target.truth
    assert set(sample(KEY, target.relations, target.pages, len(everybody))) == set(everybody)


def test_few_relations_are_in_the_record_and_more_in_small_pages() -> None:
    rng, target = random.Random(1), Target()
    target.grown(rng, FEW_MAX)
    assert (target.relations.pages, target.pages.pages) == (0, {})
    target.grown(rng, FEW_MAX + 1)
    assert (target.relations.pages, target.relations.few) == (1, b"")
    target.grown(rng, 20_000)
    sizes = [len(page) for page in target.pages.pages.values()]
    assert len(sizes) == target.relations.pages == -(-20_000 // LOAD)
    assert sum(sizes) < 10 * 20_000
    written = sum(size * size for size in sizes) / sum(sizes)
    assert written < 32 * 10 * 1.25, "bytes written for a changed relation of ten"


@given(st.integers(0, 3000), st.integers(0, 200), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_a_sample_does_not_depend_on_the_order_and_knows_who_left(size: int, wanted: int, rng: random.Random) -> None:
    target = Target().grown(rng, size)
    left = rng.sample(sorted(target.truth), size // 3)
    target.toggle(left, 60)
    other = Target(key_of(1, "other"))
    others = list(target.truth)
    rng.shuffle(others)
    for begin in range(0, len(others), 77):
        other.toggle(others[begin : begin + 77], 0)
    found = sample(KEY, target.relations, target.pages, wanted)
    assert found == sample(other.key, other.relations, other.pages, wanted)
    assert len(found) == min(wanted, len(target.truth))
    assert target.truth.keys() >= set(found)


def test_a_target_without_relations_has_no_sample() -> None:
    assert sample(KEY, None, MemoryPages(), 5) == sample(KEY, Relations(), MemoryPages(), 5) == []
