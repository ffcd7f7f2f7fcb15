"""An account that is deleted on request leaves nothing: no row, no id, also where it was before."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from detectors.accounts.outcome import AccountsOutcome
from detectors.controls import Forgotten
from tests.detectors.accounts.traffic import Act, accounts_with, actor_hash, block_of, load

SECOND_MS = 1_000
ACTORS = [f"account-{n:02}" for n in range(30)]


@given(st.lists(st.sampled_from(ACTORS), min_size=1, max_size=200), st.sampled_from(ACTORS), st.integers(2, 40))
def test_nothing_is_left_of_it_and_the_others_are_as_before(actors: list[str], gone: str, active: int) -> None:
    acts = [Act(at=n * SECOND_MS, actor=actor, target=f"v{n % 3}") for n, actor in enumerate(actors)]
    accounts, outcome = accounts_with(active_max=active), AccountsOutcome()
    for act in acts:
        accounts.observe(block_of([act]), outcome)
    before, stored = {name: accounts.profile(actor_hash(name)) for name in ACTORS}, len(accounts)
    outcome = AccountsOutcome()
    accounts.control(Forgotten(actor_hash(gone), gone), outcome)
    assert outcome.forgotten == [gone]
    assert outcome.dropped == (gone in actors)
    assert len(accounts) == stored - (gone in actors)
    state = accounts.dump()
    assert gone.encode() not in msgspec.msgpack.encode(state)
    loaded = accounts_with(active_max=active)
    load(loaded, msgspec.msgpack.decode(msgspec.msgpack.encode(state)))
    for each in (accounts, loaded):
        assert {name: each.profile(actor_hash(name)) for name in ACTORS} == {**before, gone: None}
    accounts.observe(block_of([Act(at=10**6, actor=gone, target="v9")]), AccountsOutcome())
    again = accounts.profile(actor_hash(gone))
    assert again is not None
    assert sum(again.acts.values()) == 1, "it begins anew"


def test_what_is_written_at_the_next_checkpoint_deletes_its_records() -> None:
    accounts, outcome = accounts_with(active_max=4), AccountsOutcome()
    for n in range(24):
        accounts.observe(block_of([Act(at=n * SECOND_MS, actor=ACTORS[n % 12], target="v")]), outcome)
    stored: dict[str, object] = {}
    for part in accounts.parts:
        for suffix, value in part.take_changed():
            stored[part.kind.prefix.decode() + suffix] = value
    for name in ACTORS[:12]:
        accounts.control(Forgotten(actor_hash(name), name), outcome)
        for part in accounts.parts:
            for suffix, value in part.take_changed():
                stored[part.kind.prefix.decode() + suffix] = value
        left = {key: value for key, value in stored.items() if value is not None}
        assert name.encode() not in msgspec.msgpack.encode(left)
        assert sorted(left) == sorted(key for key, _ in accounts.dump())
    assert len(accounts) == 0
