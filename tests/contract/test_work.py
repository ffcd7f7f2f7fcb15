"""What the engine asks of a role's work on one partition (``Work``), for every role there is.

A new role adds a line to ``ROLES``. The work runs on topics in memory, as the engine runs it: opened, given batches
and heartbeats, cut, stored, closed, and opened again by another owner, with the disk of the one before or an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from streams import metrics
from streams.engine.outlet import Output
from tests.contract.roles import ALL, BETWEEN_SECONDS, ROLES, Emitted, Partition, Role

every_role = pytest.mark.parametrize("role", ROLES, ids=[role.name for role in ROLES])
either_disk = pytest.mark.parametrize("keep_disk", [True, False], ids=["same disk", "empty disk"])

Opened = Callable[[Role], Partition]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Opens partitions, and closes what is left of them."""
    made: list[Partition] = []

    def open_one(role: Role) -> Partition:
        partition = Partition(role, tmp_path / str(len(made)))
        partition.open()
        made.append(partition)
        return partition

    yield open_one
    for partition in made:
        partition.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Role], Emitted]:
    """What each role emits of all its records with one owner and one checkpoint at the end."""

    @cache
    def emitted(role: Role) -> Emitted:
        partition = Partition(role, tmp_path_factory.mktemp("undisturbed"))
        partition.open()
        partition.take(ALL)
        partition.checkpoint()
        partition.close()
        assert {topic for topic, _ in partition.all_emitted()} == role.emits
        return partition.all_emitted()

    return emitted


Undisturbed = Callable[[Role], Emitted]


@every_role
def test_it_has_the_name_of_its_role_and_an_interval_between_checkpoints(role: Role, opened: Opened) -> None:
    work = opened(role).work
    assert work.role == role.name
    assert work.every_seconds > 0


@every_role
def test_without_a_checkpoint_it_begins_at_the_beginning_with_nothing_to_emit(role: Role, opened: Opened) -> None:
    partition = opened(role)
    assert partition.position == 0
    assert partition.work.pending() == 0
    assert not partition.work.urgent()
    assert partition.emitted(partition.cut()) == []


@every_role
@either_disk
@pytest.mark.parametrize("taken", [0, 1, 5, ALL])
def test_the_next_owner_goes_on_from_the_position_of_the_last_cut(
    role: Role, opened: Opened, taken: int, keep_disk: bool
) -> None:
    partition = opened(role)
    partition.take(taken)
    position = partition.position
    partition.checkpoint()
    partition.take(2)  # and this is lost
    assert partition.reopen(keep_disk=keep_disk) == position


@every_role
@either_disk
def test_a_cut_right_after_a_restore_emits_nothing_and_restores_to_the_same(
    role: Role, opened: Opened, keep_disk: bool
) -> None:
    partition = opened(role)
    partition.take(7)
    position = partition.position
    partition.checkpoint()
    before = partition.state()
    partition.reopen(keep_disk=keep_disk)
    assert partition.work.pending() == 0
    assert not partition.work.urgent()
    assert partition.emitted(partition.checkpoint()) == []
    assert partition.state() == before
    assert partition.reopen(keep_disk=keep_disk) == position
    partition.checkpoint()
    assert partition.state() == before


@every_role
def test_a_second_cut_emits_nothing_again(role: Role, opened: Opened) -> None:
    partition = opened(role)
    partition.take(ALL)
    assert partition.work.pending() > 0
    assert partition.emitted(partition.checkpoint())
    assert partition.work.pending() == 0
    assert not partition.work.urgent()
    assert partition.emitted(partition.checkpoint()) == []


@every_role
def test_pending_counts_what_the_next_cut_emits(role: Role, opened: Opened) -> None:
    partition, emitted = opened(role), 0
    while partition.position < partition.end:
        partition.take()
        pending = partition.work.pending()
        outputs = partition.emitted(partition.checkpoint())
        assert len(outputs) == pending
        emitted += pending
    assert emitted


@every_role
def test_a_cut_can_be_read_twice_and_stays_the_same_while_more_is_taken(role: Role, opened: Opened) -> None:
    partition = opened(role)
    partition.take(6)
    cut = partition.work.cut(partition.position)
    first = list(cut)
    partition.take(3)
    assert list(cut) == first
    assert partition.emitted(first)


@every_role
@either_disk
@pytest.mark.parametrize("every", [1, 4])
def test_where_checkpoints_are_cut_and_owners_change_makes_no_difference_to_what_is_emitted(
    role: Role, opened: Opened, undisturbed: Undisturbed, every: int, keep_disk: bool
) -> None:
    broken = opened(role)
    while broken.position < broken.end:
        broken.take(every)
        broken.checkpoint()
        broken.reopen(keep_disk=keep_disk)
    assert broken.all_emitted() == undisturbed(role)


@every_role
@either_disk
@pytest.mark.parametrize("dies", ["before the cut", "before the commit", "before it is stored", "while it is stored"])
def test_whatever_an_owner_dies_of_the_next_one_emits_each_output_once(
    role: Role, opened: Opened, undisturbed: Undisturbed, dies: str, keep_disk: bool
) -> None:
    broken, turn = opened(role), 0
    while broken.position < broken.end:
        turn += 1
        broken.take(2)
        if turn % 2:
            broken.checkpoint()
            continue
        if dies != "before the cut":
            outputs = broken.cut()
            if dies != "before the commit":
                storing = iter(broken.work.stored(broken.commit(outputs)))
                if dies == "while it is stored":
                    next(storing, None)
        broken.reopen(keep_disk=keep_disk)
    broken.checkpoint()
    assert broken.all_emitted() == undisturbed(role)


@every_role
def test_records_may_be_taken_while_a_checkpoint_is_stored(
    role: Role, opened: Opened, undisturbed: Undisturbed
) -> None:
    mixed = opened(role)
    storing: Iterator[None] = iter(())
    while mixed.position < mixed.end:
        mixed.clock.advance(BETWEEN_SECONDS)
        batch = mixed.batch()
        for _step in mixed.work.take(batch, batch.records):
            next(storing, None)
        mixed.position = batch.next
        mixed.work.heartbeat(mixed.clock.epoch_ms(), mixed.position == mixed.end)
        for _step in storing:
            pass
        storing = iter(mixed.work.stored(mixed.commit(mixed.cut())))
    mixed.reopen(keep_disk=True)
    mixed.checkpoint()
    assert mixed.all_emitted() == undisturbed(role)


@every_role
def test_heartbeats_neither_move_the_position_nor_lose_what_is_pending(role: Role, opened: Opened) -> None:
    partition = opened(role)
    partition.work.heartbeat(partition.clock.epoch_ms(), True)
    partition.take(2)
    position, pending = partition.position, partition.work.pending()
    for _ in range(20):
        partition.clock.advance(0.5)
        partition.work.heartbeat(partition.clock.epoch_ms(), False)
    assert partition.work.pending() >= pending
    partition.checkpoint()
    assert partition.reopen(keep_disk=True) == position


@every_role
def test_heartbeats_emit_the_same_after_a_change_of_owners(role: Role, opened: Opened) -> None:
    def emitted(*, change: bool) -> list[Output]:
        partition = opened(role)
        partition.take(2)
        partition.checkpoint()
        partition.reopen(keep_disk=True)
        partition.take(1, between_seconds=0.1)  # the new owner has only begun
        partition.checkpoint()
        if change:
            partition.reopen(keep_disk=True)
        for _ in range(4):
            partition.clock.advance(BETWEEN_SECONDS)
            partition.work.heartbeat(partition.clock.epoch_ms(), False)
        return partition.emitted(partition.cut())

    assert emitted(change=True) == emitted(change=False)


@every_role
def test_a_batch_that_is_given_up_amid_its_steps_leaves_nothing_behind(role: Role, opened: Opened) -> None:
    partition = opened(role)
    partition.take(2)
    partition.checkpoint()
    position, before = partition.position, partition.state()
    batch = partition.batch()
    next(iter(partition.work.take(batch, batch.records)), None)
    assert partition.reopen(keep_disk=True) == position
    assert partition.emitted(partition.checkpoint()) == []
    assert partition.state() == before


@every_role
def test_it_may_be_closed_twice_and_at_any_time(role: Role, opened: Opened) -> None:
    partition = opened(role)
    partition.take(2)
    partition.cut()
    partition.work.close()
    partition.work.close()
    unopened = partition.make()
    unopened.close()
    unopened.close()
    assert partition.open() == 0


@every_role
def test_when_it_is_closed_metrics_show_nothing_of_it_any_more(role: Role, opened: Opened) -> None:
    metrics.forget(role.name, *role.tp)  # another test's
    opened(role).close()  # and what a task of another test left behind
    before = _gauges()
    partition = opened(role)
    partition.take(ALL)
    partition.checkpoint()
    partition.take(3)
    partition.close()
    assert _gauges() == before


def _gauges() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All gauges that show something."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in metrics.REGISTRY.collect()
        if metric.type == "gauge" and metric.name.startswith("truecount_")
        for sample in metric.samples
        if sample.value
    }
