"""Whether the broker is there: noticed within seconds, with its cause, and logged once, not at each heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

from structlog.testing import capture_logs

from streams import metrics
from streams.clock import FakeClock
from streams.kafka.reachability import Answers, Needed, Reachability

BEAT_SECONDS = 0.5


class FakeBrokers:
    """Nodes that answer at once, fail at once, or never answer."""

    def __init__(self, *nodes: int) -> None:
        self.nodes = nodes
        self.frozen: set[int] = set()
        self.gone: set[int] = set()
        self.leaderless: tuple[str, ...] = ()
        self.starting = False
        self._open: list[tuple[int, Future[Any]]] = []

    def needed(self) -> Needed:
        if self.starting:
            raise RuntimeError("the consumer is not started")
        return Needed({node: f"kafka-{node}:9092" for node in self.nodes}, self.leaderless)

    def ask(self, node: int) -> Future[Any]:
        question: Future[Any] = Future()
        if node in self.gone:
            question.set_exception(ConnectionError("refused"))
        elif node in self.frozen:
            self._open.append((node, question))
        else:
            question.set_result("answer")
        return question

    def thaw(self) -> None:
        """What was asked meanwhile is answered."""
        self.frozen.clear()
        for _, question in self._open:
            question.set_result("answer")
        self._open.clear()


class Watched:
    """A Reachability on fake brokers, with the causes that a check finds."""

    def __init__(self, *nodes: int) -> None:
        self.clock = FakeClock()
        self.brokers = FakeBrokers(*nodes)
        self.problems: dict[str, str | None] = {}
        self.watch = Reachability(clock=self.clock, brokers=lambda: self.brokers, problem_with=self.problems.get)
        self.watch.start()

    async def go(self, seconds: float) -> None:
        """Heartbeats for this long. A check that was started has ended before the next."""
        for _ in range(round(seconds / BEAT_SECONDS)):
            self.clock.advance(BEAT_SECONDS)
            self.watch.beat()
            if self.watch._check is not None:
                await asyncio.wait({self.watch._check})

    def curable(self) -> bool:
        """Whether a restart may end the outage that there is."""
        assert self.watch.unreachable is not None
        return self.watch.unreachable.curable

    def reason(self) -> str | None:
        """What the probes would say."""
        return None if self.watch.unreachable is None else self.watch.unreachable.reason


def run(course: Coroutine[Any, Any, None]) -> list[Any]:
    """Run a test and return what it logged."""
    with capture_logs() as lines:
        asyncio.run(course)
    return [(line["log_level"], line["event"], line["seconds"]) for line in lines]


def test_a_broker_that_answers_is_never_called_gone() -> None:
    async def course() -> None:
        seen = Watched(1, 2, 3)
        await seen.go(3600)
        assert seen.reason() is None
        assert seen.watch.answers.ended_at is None

    assert run(course()) == []


def test_an_outage_is_noticed_named_and_logged_once_a_minute() -> None:
    async def course() -> None:
        seen = Watched(1)
        await seen.go(10)
        seen.brokers.gone = {1}
        seen.problems["kafka-1:9092"] = "kafka-1:9092: TCP connection refused"
        await seen.go(4)
        assert seen.reason() is None
        await seen.go(4)
        assert seen.reason() == "kafka-1:9092: TCP connection refused"
        assert metrics.REGISTRY.get_sample_value("truecount_broker_reachable") == 0
        await seen.go(142)
        assert not seen.curable()
        seen.brokers.gone = set()
        await seen.go(2)
        assert seen.reason() is None
        assert metrics.REGISTRY.get_sample_value("truecount_broker_reachable") == 1
        assert seen.watch.answers.silent_since is None
        assert seen.watch.answers.lasted_seconds > 149

    lines = run(course())
    assert [(level, event) for level, event, _ in lines] == [
        *[("warning", "the broker does not answer")] * 3,
        ("info", "the broker answers again"),
    ]
    assert [round(seconds, -1) for _, _, seconds in lines[1:]] == [60, 120, 150]
    assert lines[0][2] < 10


def test_a_broker_that_is_frozen_does_not_answer_either() -> None:
    async def course() -> None:
        seen = Watched(1)
        await seen.go(10)
        seen.brokers.frozen = {1}
        seen.problems["kafka-1:9092"] = "kafka-1:9092: no answer within 3 s"
        await seen.go(8)
        assert seen.reason() == "kafka-1:9092: no answer within 3 s"
        seen.brokers.thaw()
        await seen.go(1)
        assert seen.reason() is None

    run(course())


def test_one_leader_of_three_that_is_gone_is_an_outage_until_it_leads_nothing() -> None:
    async def course() -> None:
        seen = Watched(1, 2, 3)
        seen.brokers.frozen = {2}
        seen.problems["kafka-2:9092"] = "kafka-2:9092: no answer"
        await seen.go(8)
        assert seen.reason() == "kafka-2:9092: no answer"
        seen.brokers.nodes = (1, 3)
        await seen.go(1)
        assert seen.reason() is None

    run(course())


def test_a_partition_without_leader_is_an_outage() -> None:
    async def course() -> None:
        seen = Watched(1)
        seen.brokers.leaderless = ("views/3",)
        await seen.go(8)
        assert seen.reason() == "no broker leads views/3"

    run(course())


def test_a_broker_that_answers_others_is_a_fault_of_this_worker() -> None:
    """A half-open connection: only a restart, or a long time, cures it. Once may be a coincidence."""

    async def course() -> None:
        seen = Watched(1)
        seen.brokers.frozen = {1}
        await seen.go(8)
        assert not seen.curable()
        await seen.go(10)
        assert seen.curable()
        assert seen.reason() == "kafka-1:9092 answers new connections, but not the connection of this worker"

    run(course())


def test_a_short_silence_makes_event_time_wait_and_no_line_in_the_log() -> None:
    async def course() -> None:
        seen = Watched(1)
        seen.brokers.frozen = {1}
        await seen.go(3)
        assert seen.watch.answers.silent_since is not None
        seen.brokers.thaw()
        await seen.go(1)
        assert seen.watch.answers.ended_at is not None

    assert run(course()) == []


def test_a_pause_of_the_worker_is_no_outage() -> None:
    """The answer came while the loop was blocked; it is read before anything is concluded."""

    async def course() -> None:
        seen = Watched(1)
        await seen.go(2)
        seen.clock.advance(60)
        await seen.go(2)
        assert seen.reason() is None
        assert seen.watch.answers.ended_at is None

    assert run(course()) == []


def test_a_consumer_that_starts_says_nothing_of_the_broker() -> None:
    async def course() -> None:
        seen = Watched(1)
        seen.brokers.starting = True
        await seen.go(60)
        assert seen.reason() is None

    assert run(course()) == []


def test_a_worker_that_waited_for_its_broker_had_an_outage() -> None:
    async def course() -> None:
        seen = Watched(1)
        seen.watch.waits()
        seen.clock.advance(30)
        seen.watch.waits()
        assert seen.watch.answers.silent_since == 0
        seen.watch.start()
        assert seen.watch.answers.ended_at == 30
        assert seen.watch.answers.lasted_seconds == 30

    run(course())


def test_an_outage_soon_after_another_continues_it() -> None:
    answers = Answers()
    answers.note_outage(100.0, 160.0)
    assert (answers.ended_at, answers.lasted_seconds) == (160.0, 60.0)
    answers.note_outage(170.0, 173.0)
    assert (answers.ended_at, answers.lasted_seconds) == (173.0, 73.0)
    answers.note_outage(1000.0, 1003.0)
    assert (answers.ended_at, answers.lasted_seconds) == (1003.0, 3.0)
