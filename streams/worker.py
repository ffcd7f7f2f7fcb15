"""A worker: Faust for membership and delivery, the engine for everything that must not be lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from aiokafka.errors import KafkaError as AioKafkaError
from faust.exceptions import FaustError
from faust.types import TP

from streams import metrics
from streams.clock import SystemClock
from streams.engine.engine import Engine
from streams.engine.outlet import Outlet, PlainOutlet, TransactionalOutlet
from streams.engine.task import Work
from streams.kafka.consumer import consumer_app
from streams.kafka.group_offsets import GroupOffsets
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import BrokerError
from streams.maintenance.startup import partitions_read
from streams.roles import ROLES, Shared, changelogs, reader_of
from streams.service import memory
from streams.service.deadline import start_deadline
from streams.service.health import Health
from streams.service.probes import Web
from streams.service.version import installed_version
from streams.settings.live import changed_settings
from streams.settings.settings import Settings
from streams.state.keyed import Budget

log = structlog.get_logger()

HEARTBEAT_SECONDS = 0.5
RETRY_SECONDS = 2.0
CRASH_CHECK_SECONDS = 0.5


class Worker:
    """One process's share of the work."""

    def __init__(
        self, settings: Settings, *, roles: Iterable[str] | None = None, reread: Callable[[], Settings] | None = None
    ) -> None:
        """``roles`` are names of ``ROLES``, all of them if not given. ``reread`` loads the settings again (SIGHUP)."""
        self.settings = settings
        self._reread = reread or (lambda: self.settings)
        self._reloading: set[asyncio.Task[None]] = set()
        self.roles = tuple(ROLES if roles is None else roles)
        self._clock = clock = SystemClock()
        self.health = Health(settings.watchdog_seconds, clock)
        self.web = Web(
            host=settings.web.host,
            port=settings.web.port,
            registry=metrics.REGISTRY,
            live=self.health.live,
            ready=self.health.ready,
        )
        self.engine = Engine(membership=self._consumer, make=self._make, clock=clock)
        self._shared = Shared(
            StateReader(settings, clock=clock),
            Budget(settings.state.memory_bytes),
            partitions={},
            roster={},
            clock=clock,
        )
        self._tasks = {name: ROLES[name].tasks(settings, self._shared) for name in self.roles}
        self._plain: PlainOutlet | None = None
        self._group_offsets = GroupOffsets()
        self._app: Any = None
        self._stopping = asyncio.Event()
        self._overdue: threading.Timer | None = None

    async def run(self) -> None:
        """Work until ``stop`` or a signal. Raises SettingsError if the broker cannot do what is set."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Not the loop's own handlers: the deadline must run from now on, also if the loop is busy.
            signal.signal(number, lambda *_: self.stop(loop))
        loop.add_signal_handler(signal.SIGHUP, self._start_reload)
        memory.relax()
        memory.give_back()
        metrics.start(installed_version(), self.settings.version(), roles=ROLES)
        self.web.start()
        log.info(
            "serving",
            metrics=f"{self.web.url}/metrics",
            processing=self.settings.processing,
            roles=self.roles,
        )
        try:
            for tasks in self._tasks.values():
                await asyncio.to_thread(tasks.prepare)
            while await self._broker_is_there():
                await self._work()
        finally:
            self.web.stop()

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drain, checkpoint, leave; and be gone at the deadline, whatever still waits for a broker by then."""
        if self._overdue is None:
            self._overdue = start_deadline(self.settings.drain_seconds)
            loop.call_soon_threadsafe(self._stopping.set)

    # ------------------------------------------------------------ configuration

    def _start_reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self.reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def reload(self) -> None:
        """Read the configuration again and apply what may change live, all of it or nothing. Never raises.

        Roles that say so (``Role.reopens``) close their tasks with a checkpoint and open them again: what the log has
        from that position on is judged by the new configuration, whatever happens in between.
        """
        reread = await asyncio.to_thread(changed_settings, self.settings, self._reread)
        if reread is None:
            return
        settings, changed = reread
        self.settings = settings
        self._shared.budget.bytes = settings.state.memory_bytes
        for tasks in self._tasks.values():
            tasks.follow(settings)
        metrics.configured(installed_version(), settings.version())
        for role in (ROLES[name] for name in self.roles):
            for topic in role.reads(settings) if role.reopens else ():
                await self.engine.reopen(topic)
        log.info("the configuration was applied", changed=changed, config=settings.version())
        metrics.RELOADS.labels("applied").inc()

    # ------------------------------------------------------------ starting

    async def _broker_is_there(self) -> bool:
        """Wait for the broker and the topics; /readyz shows what is missing. False if the worker is to stop."""
        shown = ""
        while not self._stopping.is_set():
            try:
                counts = await asyncio.to_thread(partitions_read, self.settings)
            except BrokerError as error:
                problem = str(error)
            else:
                self._shared.partitions.update(counts)
                self._shared.roster.update({each.topic: counts[each.topic] for each in self.settings.inputs})
                self.health.waiting_for = ""
                return True
            self.health.waiting_for = problem
            if problem != shown:
                log.warning("waiting", reason=problem)
                shown = problem
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RETRY_SECONDS)
        return False

    # ------------------------------------------------------------ working

    async def _work(self) -> None:
        settings = self.settings
        app = self._app = consumer_app(
            settings,
            {name: ROLES[name].reads(settings) for name in self.roles},
            handle=self.engine.handle,
            revoked=self._revoked,
        )
        if settings.processing == "at_least_once":
            self._plain = PlainOutlet(
                settings, self._group_offsets.note, changelogs=changelogs(settings), clock=self._clock
            )
        self.engine.closing = False
        beats = asyncio.create_task(self._beat())
        try:
            await app.start()
            while not (self._stopping.is_set() or app.crashed):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), CRASH_CHECK_SECONDS)
        except (AioKafkaError, FaustError, OSError) as error:
            log.warning("the consumer did not start; it will be tried again", error=repr(error))
        finally:
            if app.crashed:
                log.error("the consumer crashed; it starts again", error=repr(app.crash_reason))
            self.health.waiting_for = "stopping" if self._stopping.is_set() else "the consumer starts again"
            metrics.READY.set(0)
            beats.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beats
            await self._end(app)

    async def _end(self, app: Any) -> None:
        """Close everything in time. The last checkpoints matter most: what else is lacking, others wait for."""
        drain = self.settings.drain_seconds
        until = self._clock.monotonic() + 0.9 * drain
        await self._in_time("the last checkpoints", self.engine.close(), until - drain / 3)
        self.engine.abandon()
        await self._in_time("the last offsets", self._group_offsets.finish(app), until)
        await self._in_time("leaving the group", app.stop(), until)
        if self._plain is not None:
            await self._in_time("the producer", self._plain.close(), until)

    async def _in_time(self, what: str, ending: Awaitable[None], until: float) -> None:
        """Wait for the end of something, whatever state it is in, but no longer than until then (monotonic seconds)."""
        try:
            await asyncio.wait_for(ending, max(0.1, until - self._clock.monotonic()))
        except Exception as error:  # noqa: BLE001  # we are leaving; what is not committed is done again by the next
            log.warning("did not end in order", what=what, error=repr(error))

    def _make(self, tp: TP) -> tuple[Work, Outlet]:
        role = reader_of(self.settings, tp.topic)
        work = self._tasks[role.name].open(self.settings, tp)
        return work, self._plain or TransactionalOutlet(self.settings, role.task_id(tp), clock=self._clock)

    def _consumer(self) -> Any:
        return self._app.consumer

    async def _revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        await self.engine.release(revoked)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_SECONDS)
            try:
                self.engine.heartbeat()
                self._follow_inputs()
                self._group_offsets.start_commit(self._app)
            except Exception:
                log.exception("a heartbeat failed")
            engine = self.engine
            self.health.note(
                behind=engine.behind(),
                progress=max(engine.activity.last_at, self._shared.state.last_read),
                unsaved_since=engine.activity.unsaved_since(),
                assigned=engine.assigned,
                tasks=len(engine.tasks),
            )
            metrics.READY.set(1 if self.health.ready()[0] else 0)

    def _follow_inputs(self) -> None:
        """Take up partitions that inputs have grown: time waits for them from here on.

        Tasks use the same roster. It never shrinks, as topics do not.
        """
        roster = self._shared.roster
        for topic, known in roster.items():
            count = self._consumer().partitions_of(topic)
            if count > known:
                log.info("an input has grown", topic=topic, partitions=count, before=known)
                roster[topic] = count
