"""Ledger and relations agree after acts, undos, cases, their ends and restarts, wherever the pages of relations are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.audit import AuditSettings
from detectors.events.event import Event
from detectors.events.key import key_of
from detectors.records import Outcome
from detectors.relations.debits import live_events
from detectors.state import relation_pages as layout
from detectors.state.case import ARTIFICIAL, SUSPECT, Case
from detectors.state.parts import RELATIONS
from detectors.state.relation_pages import key_of_page
from detectors.state.target_state import TargetState
from streams.log.hashing import actor_hashes
from streams.settings.settings import Input
from streams.state import relation_pages
from streams.targets.changelog import dump_changes, load
from streams.targets.step import PartitionAudit
from tests.crowds import START_MS
from tests.streams.pipeline import Pipeline
from tests.streams.state.test_disk import MARKER, Plant, Record

KEY = key_of(2, "c")
STEP_MS = 60_000
CLOSED_AFTER_MS = 86_400_000

NAMES = [f"a{n}" for n in range(20)]
OF = dict(zip(actor_hashes(NAMES).tolist(), NAMES, strict=True))


def follow(ts: int, actor: str, *, undo: bool = False, target: str = "c") -> Event:
    return Event(ts=ts, actor=actor, target=target, metric="follow", undo=undo)


class World:
    """One followed target, what a set of its followers says, and an audit that may be restarted."""

    def __init__(self) -> None:
        self.pipe = Pipeline(config=Input(topic="acts"))
        self.audit, self.outcome = PartitionAudit(AuditSettings()), Outcome()
        self.saved: dict[bytes, bytes] = {}
        self.position = 0
        self.now = START_MS
        self.current: dict[str, int] = {}
        """followers, and when they came"""
        self.raw = self.unmatched = 0
        self.cases = 0

    def send(self, *events: Event) -> None:
        """Send events, and one that closes their tick."""
        self.now += STEP_MS
        self.pipe.play([*events, Event(ts=self.now, actor="clock", target="other", metric="view")])
        log = self.pipe.logs[0]
        while self.position < len(log):
            self.audit.apply(log[self.position], self.position, self.outcome)
            self.position += 1

    def restart(self) -> None:
        """From a checkpoint at this moment."""
        self.saved.update(dump_changes(self.audit, self.position))
        self.audit = PartitionAudit(AuditSettings())
        restored = load(self.audit, self.saved)
        assert restored is not None
        for offset in range(restored.replay_from, restored.position):
            self.audit.replay(self.pipe.logs[0][offset], offset)

    @property
    def state(self) -> TargetState:
        return self.audit.audit.target_states.change(KEY)

    def act(self, actor: str, *, late: bool = False) -> None:
        ts = self.now - 2 * STEP_MS if late else self.now + 1
        self.raw += 1
        self.current.setdefault(actor, ts)
        self.send(follow(ts, actor))

    def undo(self, actor: str, *, late: bool = False) -> None:
        ts = self.now - STEP_MS if late else self.now + 1
        valid, covered = self.state.ledger.valid, self.covered(self.current.get(actor, -1))
        self.unmatched += actor not in self.current
        came = self.current.pop(actor, None)
        self.send(follow(ts, actor, undo=True))
        if came is not None:
            takes_valid = not covered and valid > 0
            assert self.state.ledger.valid == valid - takes_valid

    def covered(self, ts: int) -> bool:
        """Whether a case covers who came at this time, to the span, and something of its part is left."""
        span = ts // layout.SPAN_MS * layout.SPAN_MS
        relations = self.state.relations
        return relations is not None and any(
            one.left > 0 and one.start < span + layout.SPAN_MS and span < one.end for one in relations.covered
        )

    def quarantine(self, count: int, minutes: int) -> None:
        """A case moves events, as ``Incidents`` does."""
        state = self.state
        if state.case is None:
            self.cases += 1
            close_at = self.now + CLOSED_AFTER_MS
            state.case = Case(f"case {self.cases}", self.now, self.now, close_at, SUSPECT, "few_networks")
        window: Any = SimpleNamespace(target_state=state, key=KEY, outcome=self.outcome)
        incidents = self.audit.audit._incidents
        incidents._move(window, state.case, count, self.now - minutes * STEP_MS, self.now)

    def end_case(self, *, artificial: bool) -> None:
        """Its part becomes invalid, or valid again."""
        state = self.state
        if state.case is not None:
            state.case.verdict, state.case.close_at = ARTIFICIAL if artificial else SUSPECT, self.now
            self.audit.audit._incidents.expire(KEY, state, self.now, self.outcome)
            assert state.ledger.quarantined == 0

    def check(self) -> None:
        ledger, relations = self.state.ledger, self.state.relations
        assert ledger.raw == self.raw
        assert live_events(ledger) == len(self.current)
        assert {OF[actor] for actor in self.audit.audit.relations.sample(KEY, 1000)} == self.current.keys()
        assert self.outcome.unmatched_undos == self.unmatched
        assert min(ledger.valid, ledger.quarantined, *ledger.invalid.values(), 0) == 0
        if relations is not None:
            assert relations.current == len(self.current)
            parts = [(one.part, one.left) for one in relations.covered if one.left]
            for part in {part for part, _ in parts}:
                of_part = ledger.quarantined if part == "quarantined" else ledger.invalid[part]
                assert sum(left for of, left in parts if of == part) == of_part


steps = st.lists(
    st.one_of(
        st.tuples(st.just("act"), st.sampled_from(NAMES), st.booleans()),
        st.tuples(st.just("undo"), st.sampled_from(NAMES), st.booleans()),
        st.tuples(st.just("quarantine"), st.integers(1, 6), st.integers(1, 20)),
        st.tuples(st.just("end_case"), st.booleans()),
        st.tuples(st.just("restart")),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_ledger_and_relations_agree(some: list[tuple[Any, ...]]) -> None:
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detectors.relations.relation_set.FEW_MAX", 3)
        patch.setattr("detectors.relations.relation_set.LOAD", 2)
        patch.setattr("detectors.relations.relation_entry.EARLY_MS", -(10**9))  # no undo waits
        for name, *arguments in some:
            match name:
                case "act" | "undo":
                    getattr(world, name)(arguments[0], late=arguments[1])
                case "end_case":
                    world.end_case(artificial=arguments[0])
                case _:
                    getattr(world, name)(*arguments)
            world.check()


def test_undos_of_a_bought_crowd_take_what_a_case_removed_and_others_take_valid_events() -> None:
    world = World()
    for name in NAMES[:4]:
        world.act(name)
    for _ in range(10):
        world.send()
    world.send(*(follow(world.now + n, name) for n, name in enumerate(NAMES[4:10])))
    world.quarantine(5, 2)
    world.undo(NAMES[4])
    ledger = world.state.ledger
    assert (ledger.valid, ledger.quarantined, ledger.invalid) == (5, 4, {"undone": 1})
    world.end_case(artificial=True)
    assert (ledger.valid, ledger.invalid) == (5, {"undone": 1, "few_networks": 4})
    world.undo(NAMES[5])
    world.undo(NAMES[0])
    ledger = world.state.ledger
    assert (ledger.valid, ledger.invalid) == (4, {"undone": 3, "few_networks": 3})


# ---------------------------------------------------------------- on disk


@cache
def log_of_follows() -> tuple[bytes, ...]:
    """Follows and unfollows of a few targets, some late, some read before their act, some historic."""
    rng, pipe = random.Random(5), Pipeline(config=Input(topic="acts"))
    events = []
    for number in range(4_000):
        event = follow(START_MS + 250 * number, f"a{rng.randrange(900)}", target=f"t{rng.randrange(3) ** 2}")
        event.undo, event.history = rng.random() < 0.25, rng.random() < 0.05
        events.append((number + rng.choice([0, 0, 30, 200]) * rng.random(), event))
    pipe.play([event for _, event in sorted(events, key=lambda row: row[0])], batch=40)
    pipe.finish(START_MS + 86_400_000)
    return tuple(pipe.logs[0])


def plant_on(directory: Path, processing: str = "exactly_once", budget_bytes: int = 1) -> Plant:
    plant = Plant(directory, budget_bytes=budget_bytes)
    plant.settings = plant.settings.model_copy(update={"processing": processing})
    plant.kafka.logs[plant.topics.by_target] = [Record(at, None, value) for at, value in enumerate(log_of_follows())]
    return plant


def standing_of(plant: Plant) -> dict[str, list[int]]:
    task = plant.task or plant.open()
    relations = task.audit.audit.relations
    return {target: relations.sample(key_of(2, target), 10_000) for target in ("t0", "t1", "t4")}


Result = tuple[list[bytes | None], dict[str, list[int]]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Result:
    plant = plant_on(tmp_path_factory.mktemp("undisturbed"), budget_bytes=1 << 30)
    plant.work(plant.size)
    result = plant.said(), standing_of(plant)
    plant.stop()
    assert all(len(actors) > 100 for actors in result[1].values())
    return result


@pytest.mark.parametrize("processing", ["exactly_once", "at_least_once"])
def test_a_task_that_restarts_and_loses_its_disk_has_the_same_relations(
    processing: str, tmp_path: Path, undisturbed: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relation_pages, "CHANGED_MAX", 3)
    rng, plant = random.Random(1), plant_on(tmp_path / "0", processing)
    for number in range(1, 9):
        plant.work(plant.size * number // 8, every=rng.randint(1, 30))
        plant.stop()
        if number % 3 == 0:
            plant.kafka.compact(plant.topics.targets_state)
            plant.move_to(tmp_path / str(number))
    assert (plant.said(), standing_of(plant)) == undisturbed
    plant.stop()


def test_pauses_and_broken_steps_change_no_relation(
    tmp_path: Path, undisturbed: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relation_pages, "CHANGED_MAX", 5)
    plant = plant_on(tmp_path)
    plant.work_in_steps(plant.size, random.Random(2), break_off=0.002)
    assert (plant.said(), standing_of(plant)) == undisturbed
    plant.stop()


def test_without_a_disk_pages_are_in_memory(
    tmp_path: Path, undisturbed: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.state.disk.StateOnDisk._open", lambda _: None)
    plant = plant_on(tmp_path)
    for number in (1, 2, 3):
        plant.work(plant.size * number // 3)
        plant.stop()
    assert (plant.said(), standing_of(plant)) == undisturbed
    plant.stop()


def test_a_damaged_page_costs_its_relations_and_no_count(tmp_path: Path) -> None:
    plant = plant_on(tmp_path / "0")
    plant.work(plant.size)
    plant.stop()
    log = plant.kafka.log(plant.topics.targets_state)
    plant.kafka.compact(plant.topics.targets_state)
    damaged = next(r for r in log if r is not MARKER and r.key.startswith(RELATIONS.prefix))
    log[damaged.offset] = damaged._replace(value=damaged.value[:-1] + b"x")
    plant.move_to(tmp_path / "1")
    task = plant.open()
    key = key_of_page(damaged.key[len(RELATIONS.prefix) :].decode())
    state = task.audit.audit.target_states[key]
    assert (state.unknown_acts, state.incomplete) == (live_events(state.ledger), False)
    plant.stop()


def pages_in(saved: Sequence[tuple[bytes, bytes]]) -> int:
    return sum(key.startswith(RELATIONS.prefix) for key, _ in saved)


def test_a_checkpoint_has_only_the_pages_that_changed() -> None:
    world = World()
    world.send(*(follow(world.now + n, f"b{n}") for n in range(3_000)))
    assert pages_in(dump_changes(world.audit, world.position)) == -(-3_000 // layout.LOAD)
    world.act("a0")
    assert 1 <= pages_in(dump_changes(world.audit, world.position)) <= 3
    world.send()
    assert pages_in(dump_changes(world.audit, world.position)) == 0


def test_old_frames_have_relations(tmp_path: Path) -> None:
    del tmp_path
    frame = msgspec.msgpack.decode(log_of_follows()[0])
    assert frame[-1] is True
    audit = PartitionAudit(AuditSettings())
    for offset, value in enumerate(log_of_follows()[:40]):
        audit.apply(msgspec.msgpack.encode(msgspec.msgpack.decode(value)[:-1]), offset, Outcome())
    assert audit.events > 0
    assert audit.broken == 0
