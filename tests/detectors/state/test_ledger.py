"""raw = valid + invalid + quarantined, whatever happens to a count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detectors.state.ledger import DUPLICATE_ID, QUARANTINED, UNDONE, VALID, Ledger

PARTS = (VALID, QUARANTINED, DUPLICATE_ID, UNDONE, "few_networks")
counts = st.integers(0, 50)
steps = st.one_of(
    st.tuples(st.just("accept"), st.just(VALID), st.just(VALID), counts),
    st.tuples(st.just("reject"), st.sampled_from(PARTS[2:]), st.just(VALID), counts),
    st.tuples(st.just("move"), st.sampled_from(PARTS), st.sampled_from(PARTS), st.integers(-5, 200)),
)


@given(st.lists(steps, max_size=60))
def test_only_what_enters_changes_the_raw_count_and_no_part_falls_below_zero(
    sequence: list[tuple[str, str, str, int]],
) -> None:
    ledger, entered = Ledger(), 0
    for kind, part, to, count in sequence:
        if kind == "accept":
            ledger.accept(count)
            entered += count
        elif kind == "reject":
            ledger.reject(part, count)
            entered += count
        else:
            moved = ledger.move(part, to, count)
            assert 0 <= moved <= max(0, count)
        assert ledger.valid + ledger.quarantined + sum(ledger.invalid.values()) == ledger.raw == entered
        assert min(ledger.valid, ledger.quarantined, *ledger.invalid.values(), 0) == 0


@given(accepted=counts, wanted=st.integers(0, 100))
def test_a_move_takes_what_there_is_and_its_reverse_restores_the_parts(accepted: int, wanted: int) -> None:
    ledger = Ledger(valid=accepted)
    moved = ledger.move(VALID, "few_networks", wanted)
    assert moved == min(accepted, wanted)
    assert ledger.move("few_networks", VALID, moved) == moved
    assert ledger == Ledger(valid=accepted)


@given(valid=counts, quarantined=counts, undone=st.integers(0, 120))
def test_undos_take_back_what_is_valid_then_what_is_held_and_then_find_nothing(
    valid: int, quarantined: int, undone: int
) -> None:
    ledger = Ledger(valid=valid, quarantined=quarantined, invalid={"few_networks": 9})
    left = ledger.undo(undone)
    taken = min(valid, undone), min(quarantined, max(0, undone - valid))
    assert left == undone - sum(taken)
    assert (ledger.valid, ledger.quarantined) == (valid - taken[0], quarantined - taken[1])
    assert ledger.invalid == {"few_networks": 9, **({UNDONE: sum(taken)} if sum(taken) else {})}


def test_undos_of_what_a_rule_caught_take_back_that_and_nothing_else() -> None:
    ledger = Ledger(valid=5, quarantined=5, invalid={"declared_robot": 2, "few_networks": 9})
    assert ledger.undo(3, "declared_robot") == 1
    assert (ledger.valid, ledger.quarantined, ledger.invalid) == (5, 5, {"few_networks": 9, UNDONE: 2})
