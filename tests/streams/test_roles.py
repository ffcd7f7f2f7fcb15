"""The table of roles: what goes over it sees a row that is added to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from faust.types import TP

from streams import metric_series, metrics, roles, worker
from streams.clock import FakeClock
from streams.engine.outlet import Output, PlainOutlet
from streams.kafka.consumer import consumer_app
from streams.kafka.topics import ACTORS_STATE, BY_ACTOR, BY_TARGET, INGEST_STATE, TARGETS_STATE, Topics
from streams.maintenance.access import worker_access
from streams.roles import INGEST, ROLES, TARGETS
from streams.settings.actors import Actors
from streams.settings.settings import Settings, Web
from tests.integration.toy_role import BY_TOY, COPIES, PARTITIONS, TOY, TOY_STATE, Copying

SETTINGS = Settings(partitions=8, web=Web(port=0))
TOPICS = Topics.of(SETTINGS)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table with one row more."""
    monkeypatch.setitem(ROLES, TOY.name, TOY)


def planned() -> dict[str, int]:
    """Topic → partitions, as ``truecount topics create`` makes them."""
    return {topic.name: topic.num_partitions for topic in roles.plan(SETTINGS, inputs=True)}


OF_ACTORS = {TOPICS.by_actor, TOPICS.actors_state, TOPICS.actors}


@pytest.mark.parametrize("enabled", [False, True])
def test_the_topics_of_an_installation_are_those_of_its_roles_and_its_inputs(enabled: bool) -> None:
    settings = SETTINGS.model_copy(update={"actors": Actors(enabled=enabled)})
    own = {getattr(TOPICS, name) for name in Topics.__dataclass_fields__}
    names = {topic.name: topic.num_partitions for topic in roles.plan(settings, inputs=True)}
    assert names == dict.fromkeys([*(own if enabled else own - OF_ACTORS), "views", "likes", "follows"], 8)
    assert ("actors" in {role.name for role in roles.used_roles(settings)}) == enabled
    assert (TOPICS.by_actor in {access.name for access in worker_access(settings)}) == enabled


@pytest.mark.usefixtures("toy")
def test_the_topics_of_a_new_row_are_planned_with_their_own_number_of_partitions() -> None:
    assert {name: count for name, count in planned().items() if count != 8} == {
        topic.name(SETTINGS): PARTITIONS for topic in (BY_TOY, TOY_STATE, COPIES)
    }
    assert set(planned()) == set(roles.needed(SETTINGS))
    assert TOY_STATE.name(SETTINGS) in roles.changelogs(SETTINGS)


@pytest.fixture
def toy_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[worker.Worker]:
    """A worker of the new role alone, not running."""
    monkeypatch.setitem(ROLES, TOY.name, TOY)
    made = worker.Worker(SETTINGS, roles=["toy"])
    yield made
    made.web._server.server_close()


def test_a_worker_opens_a_task_of_a_new_row_with_a_fence_of_its_own(
    toy_worker: worker.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fences: list[str] = []

    def outlet(_settings: Settings, task: str, **_: Any) -> Any:
        fences.append(task)

    monkeypatch.setattr(worker, "TransactionalOutlet", outlet)
    work, _ = toy_worker.engine.make(TP(BY_TOY.name(SETTINGS), 2))
    assert isinstance(work, Copying)
    assert fences == ["toy-2"]


@pytest.mark.usefixtures("toy")
def test_the_consumer_has_an_agent_for_each_role() -> None:
    async def nothing(*_: Any) -> None:
        pass

    async def topics_of_agents() -> dict[str, list[str]]:
        reads = {role.name: role.reads(SETTINGS) for role in ROLES.values()}
        app = consumer_app(SETTINGS, reads, handle=nothing, revoked=nothing)
        return {name.rpartition(".")[2]: list(agent.channel.topics) for name, agent in app.agents.items()}

    assert asyncio.run(topics_of_agents()) == {
        "ingest": ["views", "likes", "follows"],
        "targets": [TOPICS.by_target],
        "actors": [TOPICS.by_actor],
        "toy": [BY_TOY.name(SETTINGS)],
    }


def test_metrics_show_checkpoints_of_every_role_from_the_start() -> None:
    metric_series.create({role: [] for role in [*ROLES, "toy"]})
    samples = {
        tuple(sorted(sample.labels.items()))
        for sample in next(iter(metrics.CHECKPOINTS.collect())).samples
        if sample.name.endswith("_total")
    }
    for role in ("ingest", "targets", "toy"):
        assert {(("outcome", outcome), ("role", role)) for outcome in ("committed", "failed")} <= samples
    for outcome in ("committed", "failed"):
        metrics.CHECKPOINTS.remove("toy", outcome)


def test_fences_are_called_as_ever() -> None:
    """Another id would not fence the tasks of an older version."""
    assert INGEST.task_id(TP("views", 3)) == "ingest-views-3"
    assert TARGETS.task_id(TP(TOPICS.by_target, 3)) == "targets-3"


def test_without_transactions_state_is_delivered_after_what_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered: list[list[str]] = []

    async def deliver(_producer: Any, outputs: Any, **_: Any) -> dict[tuple[str, int], int]:
        delivered.append([output.topic for output in outputs])
        return {}

    async def commit() -> None:
        outlet = PlainOutlet(SETTINGS, lambda _: None, changelogs=roles.changelogs(SETTINGS), clock=FakeClock())
        topics = [TOPICS.targets_state, TOPICS.corrections, TOPICS.ingest_state, TOPICS.by_target]
        await outlet.commit([Output(topic, 0, None, b"") for topic in topics], {})

    monkeypatch.setattr("streams.engine.outlet.deliver", deliver)
    asyncio.run(commit())
    assert delivered == [[TOPICS.corrections, TOPICS.by_target], [TOPICS.targets_state, TOPICS.ingest_state]]


def test_only_the_topics_that_repartition_splits_move_with_it() -> None:
    """Another topic with ``prefix_setting`` would be created empty, while its workers go on from the old position."""
    settings = SETTINGS.model_copy(update={"actors": Actors(enabled=True)})
    moving = [topic for topic in roles.own_topics(settings) if topic.prefix_setting is not None]
    assert set(moving) == {BY_TARGET, INGEST_STATE, TARGETS_STATE, BY_ACTOR, ACTORS_STATE}


def test_every_topic_is_read_by_one_role() -> None:
    assert roles.reader_of(SETTINGS, "likes") is INGEST
    assert roles.reader_of(SETTINGS, TOPICS.by_target) is TARGETS
    read = [topic for role in ROLES.values() for topic in role.reads(SETTINGS)]
    assert len(read) == len(set(read))
