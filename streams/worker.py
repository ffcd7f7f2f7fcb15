"""A worker: one process that runs tasks. Faust does membership and delivery, the engine state and checkpoints."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from aiokafka.errors import KafkaError as AioKafkaError
from faust.exceptions import FaustError
from faust.types import TP

from streams import metric_series, metrics
from streams.clock import SystemClock
from streams.engine.engine import Engine
from streams.engine.outlet import Outlet, PlainOutlet, TransactionalOutlet
from streams.engine.task import Work
from streams.kafka.connection import connection_problem
from streams.kafka.consumer import consumer_app
from streams.kafka.group_offsets import GroupOffsets
from streams.kafka.partition_reader import StateReader
from streams.kafka.reachability import Reachability
from streams.maintenance.wait_for_broker import wait_for_broker
from streams.roles import ROLES, Shared, changelogs, reader_of, used_roles
from streams.service import memory
from streams.service.health import Health
from streams.service.machine import disk_free_bytes, disk_size_bytes, memory_limit_bytes
from streams.service.probes import Web
from streams.service.stop_deadline import start_deadline
from streams.service.version import installed_version
from streams.settings.live import changed_settings
from streams.settings.section import SettingsError
from streams.settings.settings import Settings
from streams.state.keyed import Budget

log = structlog.get_logger()

HEARTBEAT_SECONDS = 0.5
CRASH_CHECK_SECONDS = 0.5


class Worker:
    """Runs the tasks of the partitions that are assigned to this process."""

    def __init__(
        self, settings: Settings, *, roles: Iterable[str] | None = None, reread: Callable[[], Settings] | None = None
    ) -> None:
        """``roles`` are names of ``ROLES`` (default: all used ones). ``reread`` loads the settings again (SIGHUP)."""
        self.settings = settings
        self._reread = reread or (lambda: self.settings)
        self._reloading: set[asyncio.Task[None]] = set()
        self.roles = tuple((role.name for role in used_roles(settings)) if roles is None else roles)
        self._clock = clock = SystemClock()
        self.health = Health(settings.watchdog_seconds, clock)
        self.web = _web_server(settings, self.health)
        self._reachability = Reachability(
            clock=clock,
            brokers=self._consumer,
            problem_with=lambda server: connection_problem(self.settings.broker.model_copy(update={"servers": server})),
        )
        self.engine = Engine(membership=self._consumer, make=self._make, clock=clock)
        self._shared = Shared(
            StateReader(settings, clock=clock),
            Budget(settings.state.memory_bytes),
            partitions={},
            roster={},
            clock=clock,
            answers=self._reachability.answers,
        )
        self._tasks = {name: ROLES[name].tasks(settings, self._shared) for name in self.roles}
        self._plain: PlainOutlet | None = None
        self._group_offsets = GroupOffsets()
        self._app: Any = None
        self._stopping = asyncio.Event()
        self._deadline: threading.Timer | None = None

    async def run(self) -> None:
        """Work until ``stop`` or a signal. Raises SettingsError if the broker does not support the settings."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Not the handlers of the loop: the deadline must start now, even if the loop is busy.
            signal.signal(number, lambda *_: self.stop(loop))
        loop.add_signal_handler(signal.SIGHUP, self._start_reload)
        memory.collect_rarely()
        memory.return_freed()
        self._start_metrics()
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
            while await self._wait_for_broker():
                await self._work()
        finally:
            self.web.stop()

    def _start_metrics(self) -> None:
        settings = self.settings
        metrics.configured(installed_version(), settings.version())
        reads = {name: ROLES[name].reads(settings) for name in self.roles}
        metric_series.create(reads, models=settings.detection.models)
        directory = settings.state.directory
        metrics.DISK_FREE.set_function(lambda: disk_free_bytes(directory))
        metrics.DISK_SIZE.set_function(lambda: disk_size_bytes(directory))
        metrics.MEMORY_LIMIT.set_function(memory_limit_bytes)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drain, checkpoint and leave the group. At the deadline the process ends in any case."""
        if self._deadline is None:
            self._deadline = start_deadline(self.settings.drain_seconds)
            loop.call_soon_threadsafe(self._stopping.set)

    # ------------------------------------------------------------ configuration

    def _start_reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self.reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def reload(self) -> None:
        """Read the configuration again and apply all changed live settings, or none. Never raises.

        Tasks of roles with ``Role.reopens`` are closed with a checkpoint and opened again. The log from that position
        on is judged by the new configuration, even if the worker fails meanwhile.
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
        metrics.LAST_RELOAD_GOOD.set(1)

    # ------------------------------------------------------------ starting

    async def _wait_for_broker(self) -> bool:
        """Wait for the broker and the topics. Returns False if the worker is to stop."""

        def waiting_for(problem: str, *, connected: bool) -> None:
            self.health.waiting_for = problem
            if not connected:
                self._reachability.waits()

        counts = await wait_for_broker(
            lambda: self.settings, stopping=self._stopping, waiting_for=waiting_for, clock=self._clock
        )
        if counts is None:
            return False
        self._shared.partitions.update(counts)
        self._shared.roster.update({each.topic: counts[each.topic] for each in self.settings.inputs})
        return True

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
        self._reachability.start()
        regular = [asyncio.create_task(self._beat()), asyncio.create_task(self._return_memory())]
        try:
            await app.start()
            while not (self._stopping.is_set() or app.crashed):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), CRASH_CHECK_SECONDS)
        except (AioKafkaError, FaustError, OSError) as error:
            log.warning("the consumer did not start; it is tried again", error=repr(error))
        finally:
            if app.crashed:
                log.error("the consumer crashed; it starts again", error=repr(app.crash_reason))
            self.health.waiting_for = "stopping" if self._stopping.is_set() else "the consumer starts again"
            metrics.READY.set(0)
            for each in regular:
                each.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await each
            self._reachability.stop()
            await self._end(app)

    async def _end(self, app: Any) -> None:
        """Close everything before the deadline. The last checkpoints have priority."""
        drain = self.settings.drain_seconds
        until = self._clock.monotonic() + 0.9 * drain
        await self._with_timeout("the last checkpoints", self.engine.close(), until - drain / 3)
        self.engine.abandon()
        await self._with_timeout("the last offsets", self._group_offsets.finish(app), until)
        await self._with_timeout("leaving the group", app.stop(), until)
        if self._plain is not None:
            await self._with_timeout("the producer", self._plain.close(), until)

    async def _with_timeout(self, what: str, ending: Awaitable[None], until: float) -> None:
        """Wait until ``ending`` has ended, or until ``until`` (monotonic seconds). Logs any exception."""
        try:
            await asyncio.wait_for(ending, max(0.1, until - self._clock.monotonic()))
        except Exception as error:  # noqa: BLE001  # the worker stops; the next owner repeats what is not committed
            log.warning("a part of the worker did not stop cleanly", what=what, error=repr(error))

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
                self._reachability.beat()
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
                unreachable=self._reachability.unreachable,
            )
            metrics.READY.set(1 if self.health.ready()[0] else 0)

    async def _return_memory(self) -> None:
        while True:
            await self._clock.sleep(memory.RETURN_SECONDS)
            await asyncio.to_thread(memory.return_free_pages)

    def _follow_inputs(self) -> None:
        """Add new partitions of inputs to the roster, which the tasks use: event time waits for them from now on.

        The roster never shrinks, because topics do not.
        """
        roster = self._shared.roster
        for topic, known in roster.items():
            count = self._consumer().partitions_of(topic)
            if count > known:
                log.info("an input has grown", topic=topic, partitions=count, before=known)
                roster[topic] = count


def _web_server(settings: Settings, health: Health) -> Web:
    """The server of metrics and probes. Raises SettingsError if it cannot listen at its address."""
    host, port = settings.web.host, settings.web.port
    try:
        return Web(host=host, port=port, registry=metrics.REGISTRY, live=health.live, ready=health.ready)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"web.port: port {port} of {host} is in use by another process; stop that one, or choose another port "
                "with web.port or --port (0 takes a free one)"
            ) from None
        key = "web.port" if error.errno == errno.EACCES else "web.host"
        raise SettingsError(
            f"{key}: the metrics and probes cannot listen at {host}, port {port}: {error.strerror}; web.host must be "
            "an address of this machine, and web.port one that this user may open"
        ) from None
