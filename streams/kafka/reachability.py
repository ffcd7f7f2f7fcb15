"""Whether the brokers that a running worker needs answer it, and since when they do not.

The consumer does not fail without a broker: it tries again and again. So each node that leads an assigned partition,
and the coordinator of the group, is asked for something small every second, over the connection from which records are
fetched. A broker that is gone, one that is frozen and a connection that only one side still has: none of them answers.

The cause is found on a connection of its own. If that node answers there, the fault is in this worker, and a restart
may cure it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from streams import metrics
from streams.clock import Clock
from streams.service.health import Unreachable
from streams.service.wait_log import WaitLog

ASK_SECONDS = 1.0
"""Time between an answer, or an error, and the next question to the same node."""

SILENT_SECONDS = 2.0
"""Event time waits from here on (see ``Answers``). A wait without need costs little."""

UNREACHABLE_SECONDS = 5.0
"""The probes and the log call it an outage from here on. Partitions get another leader in less time."""

CHECK_SECONDS = 10.0
"""Time between two checks of the cause."""

NOT_CHECKED = "the broker does not answer"
"""The reason before the cause is known."""


@dataclass(slots=True)
class Answers:
    """What event time must know of an outage. Tasks of ingest read it; tests set it. Times are monotonic seconds.

    While no broker answers, nobody knows what the inputs have. When it answers again, producers send what they have
    kept meanwhile, one earlier and one later, so records come out of order.
    """

    silent_since: float | None = None
    """since when a needed node has not answered, even if that is only a moment; None if all answer"""
    ended_at: float | None = None
    """when they answered again after the last outage; None if there was none"""
    lasted_seconds: float = 0.0
    """how long the last outage was"""

    def note_outage(self, since: float, until: float) -> None:
        """Note an outage that has ended. If it began sooner after the last one than that lasted, both are one.

        Producers may still keep what they could not send in the first.
        """
        if self.ended_at is not None and since - self.ended_at < self.lasted_seconds:
            since = self.ended_at - self.lasted_seconds
        self.ended_at, self.lasted_seconds = until, until - since


@dataclass(frozen=True, slots=True)
class Needed:
    """What the worker needs of the cluster now."""

    nodes: Mapping[int, str]
    """node → ``host:port``: the leaders of the assigned partitions, and the coordinator"""
    leaderless: tuple[str, ...] = ()
    """assigned partitions that no node leads"""


class Brokers(Protocol):
    """The consumer's view of its brokers. Both methods may raise anything while the consumer starts or stops."""

    def needed(self) -> Needed:
        """What the worker needs now, as far as the consumer knows."""
        ...

    def ask(self, node: int) -> Future[Any]:
        """Ask a node for something small. The future fails if there is no connection, or waits for long."""
        ...


@dataclass(slots=True)
class _Node:
    """The question to one node."""

    asked_at: float
    question: Future[Any] | None = None
    silent_since: float | None = None
    """when the first question since its last answer was asked, once it is not answered at once"""


@dataclass(slots=True, kw_only=True)
class Reachability:
    """Watches the brokers of a worker. ``beat`` is called at each heartbeat, twice a second."""

    clock: Clock
    brokers: Callable[[], Brokers]
    problem_with: Callable[[str], str | None]
    """connects anew to ``host:port`` and returns what prevents it, None if nothing does; it may block for seconds"""
    answers: Answers = field(default_factory=Answers)
    unreachable: Unreachable | None = None
    """the outage that the probes report; None if there is none"""
    _nodes: dict[int, _Node] = field(default_factory=dict)
    _leaderless_since: float | None = None
    _check: asyncio.Task[None] | None = None
    _check_at: float = 0.0
    _answered_checks: int = 0
    """checks in a row in which the node answered a new connection"""
    _log: WaitLog = field(init=False)

    def __post_init__(self) -> None:
        self._log = WaitLog(self.clock, waiting="the broker does not answer", ended="the broker answers again")

    def start(self) -> None:
        """Begin with a new consumer, after a broker has answered."""
        self._nodes.clear()
        self._ended()
        metrics.BROKER_REACHABLE.set(1)

    def waits(self) -> None:
        """Note that the worker has no consumer, because no broker answers."""
        if self.answers.silent_since is None:
            self.answers.silent_since = self.clock.monotonic()
        metrics.BROKER_REACHABLE.set(0)

    def stop(self) -> None:
        """Stop watching, with the consumer."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
        self._nodes.clear()

    def beat(self) -> None:
        """Look at the answers, and ask again where it is time. Never waits."""
        now = self.clock.monotonic()
        try:
            needed = self.brokers().needed()
        except Exception:  # noqa: BLE001  # Faust raises bare errors while it (re)starts its consumer: not known yet
            return
        for node in self._nodes.keys() - needed.nodes.keys():
            del self._nodes[node]
        for node in needed.nodes:
            self._look_at(node, now)
        silent = {node: known.silent_since for node, known in self._nodes.items() if known.silent_since is not None}
        if not needed.leaderless:
            self._leaderless_since = None
        elif self._leaderless_since is None:
            self._leaderless_since = now
        leaderless = () if self._leaderless_since is None else (self._leaderless_since,)
        self._conclude(min((*silent.values(), *leaderless), default=None), needed, silent, now)

    def _look_at(self, node: int, now: float) -> None:
        known = self._nodes.get(node)
        if known is None:
            known = self._nodes[node] = _Node(now - ASK_SECONDS)
        question = known.question
        if question is not None:
            if not question.done():
                known.silent_since = known.asked_at if known.silent_since is None else known.silent_since
                return
            known.question = None
            if question.cancelled() or question.exception() is not None:
                known.silent_since = known.asked_at if known.silent_since is None else known.silent_since
            else:
                known.silent_since = None
        if now - known.asked_at >= ASK_SECONDS:
            known.asked_at = now
            try:
                known.question = self.brokers().ask(node)
            except Exception:  # noqa: BLE001  # its loop has ended: nobody answers
                known.silent_since = now if known.silent_since is None else known.silent_since

    def _conclude(self, since: float | None, needed: Needed, silent: Mapping[int, float], now: float) -> None:
        if since is None:
            self._ended()
            return
        self.answers.silent_since = since
        if now - since < UNREACHABLE_SECONDS:
            return
        metrics.BROKER_REACHABLE.set(0)
        if self.unreachable is None:
            self.unreachable = Unreachable(since, NOT_CHECKED, curable=False)
        self._find_cause(needed, silent, now)

    def _find_cause(self, needed: Needed, silent: Mapping[int, float], now: float) -> None:
        if self._check is not None and not self._check.done():
            return
        if self._check is not None and now - self._check_at < CHECK_SECONDS:
            if self.unreachable is not None and self.unreachable.reason != NOT_CHECKED:
                self._log.wait(self.unreachable.reason, since=self.unreachable.since)
            return
        self._check_at = now
        node = min(silent, key=silent.__getitem__, default=None)
        self._check = asyncio.get_running_loop().create_task(
            self._name_cause(None if node is None else needed.nodes[node], needed.leaderless)
        )

    async def _name_cause(self, address: str | None, leaderless: tuple[str, ...]) -> None:
        reason: str | None
        if address is None:
            reason = f"no broker leads {', '.join(leaderless[:3])}"
        else:
            reason = await asyncio.to_thread(self._problem, address)
        self._answered_checks = 0 if reason else self._answered_checks + 1
        outage = self.unreachable
        if outage is None or self._answered_checks == 1:  # it may just have come back: the next answer shows that
            return
        reason = reason or f"{address} answers new connections, but not the connection of this worker"
        self.unreachable = Unreachable(outage.since, reason, curable=self._answered_checks > 0)
        self._log.wait(reason, since=outage.since)

    def _problem(self, address: str) -> str | None:
        try:
            return self.problem_with(address)
        except Exception as error:  # noqa: BLE001  # a password file that cannot be read, for example
            return f"{address}: {error}"

    def _ended(self) -> None:
        now, since = self.clock.monotonic(), self.answers.silent_since
        self.answers.silent_since = None
        if since is not None and now - since >= SILENT_SECONDS:
            self.answers.note_outage(since, now)
        self.unreachable = None
        self._check_at, self._answered_checks = 0.0, 0
        if self._check is not None and self._check.done():
            self._check = None
        self._log.end()
        metrics.BROKER_REACHABLE.set(1)
