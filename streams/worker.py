"""A worker: Faust for membership and delivery, the engine for everything that must not be lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError as AioKafkaError
from aiokafka.structs import TopicPartition
from faust.exceptions import FaustError
from faust.types import TP
from kafka.errors import KafkaError

from detectors.catalog import outlier
from streams import metrics
from streams.clock import SystemClock
from streams.engine.engine import Engine
from streams.engine.outlet import Outlet, PlainOutlet, TransactionalOutlet
from streams.engine.task import Work
from streams.ingest.rules.tagging import Tagger
from streams.ingest.work import Ingest
from streams.kafka.clients import faust_credentials, servers
from streams.kafka.partition_reader import StateReader
from streams.kafka.topics import BrokerError, Topics, admin, describe, missing
from streams.kafka.transport import BatchTransport
from streams.maintenance.doctor import NO_TRANSACTIONS, supports_transactions
from streams.service import memory as collector
from streams.service.health import Health
from streams.service.probes import Web
from streams.settings.live import live_changes
from streams.settings.section import SettingsError
from streams.settings.settings import Settings
from streams.state.keyed import Budget
from streams.targets.unjudged import Failed
from streams.targets.work import Targets

log = structlog.get_logger()

ROLES = ("ingest", "targets")
HEARTBEAT_SECONDS = 0.5
RETRY_SECONDS = 2.0
METADATA_SECONDS = 5.0
"""How soon a partition that an input has grown is noticed: within the default lateness, so nothing of it is late."""
COMMIT_SECONDS = 2.0
CRASH_CHECK_SECONDS = 0.5


class Worker:
    """One process's share of the work."""

    def __init__(
        self, settings: Settings, *, roles: Iterable[str] = ROLES, reread: Callable[[], Settings] | None = None
    ) -> None:
        """``reread`` answers the settings as they stand now, for SIGHUP."""
        self.settings = settings
        self._reread = reread
        self._reloading: set[asyncio.Task[None]] = set()
        self.roles = tuple(roles)
        self._clock = SystemClock()
        self.health = Health(settings.watchdog_seconds, self._clock)
        self.web = Web(
            host=settings.web.host,
            port=settings.web.port,
            registry=metrics.REGISTRY,
            live=self.health.live,
            ready=self.health.ready,
        )
        self.engine = Engine(membership=self._consumer, make=self._make, clock=self._clock)
        self._topics = Topics.of(settings)
        self._state = StateReader(settings, clock=self._clock)
        self._budget = Budget(settings.state.memory_bytes)
        self._failed: dict[int, Failed] = {}
        """by partition, how often records of the log have failed since its last checkpoint (see Targets)"""
        self._tagger = Tagger(settings.rules)
        self._partitions = settings.partitions
        self._roster: dict[str, int] = {}
        self._plain: PlainOutlet | None = None
        self._to_commit: dict[TopicPartition, int] = {}
        self._telling: asyncio.Task[None] | None = None
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
        collector.relax()
        collector.give_back()
        metrics.start(_version(), self.settings.version())
        self.web.start()
        log.info(
            "serving",
            metrics=f"{self.web.url}/metrics",
            processing=self.settings.processing,
            roles=self.roles,
        )
        try:
            if "targets" in self.roles:
                await asyncio.to_thread(outlier.prepare)
            while await self._broker_is_there():
                await self._work()
        finally:
            self.web.stop()

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drain, checkpoint, leave; and be gone at the deadline, whatever still waits for a broker by then."""
        if self._overdue is None:
            self._overdue = threading.Timer(self.settings.drain_seconds, _leave)
            self._overdue.daemon = True
            self._overdue.start()
            loop.call_soon_threadsafe(self._stopping.set)

    # ------------------------------------------------------------ configuration

    def _start_reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self.reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def reload(self) -> None:
        """Read the configuration again and apply what may change live, all of it or nothing. Never raises.

        The tasks that judge are closed with a checkpoint and opened again: what the log has from that position on is
        judged by the new configuration, whatever happens in between.
        """
        try:
            settings = self.settings if self._reread is None else await asyncio.to_thread(self._reread)
            changed = live_changes(self.settings, settings)
        except SettingsError as error:
            log.error("the configuration was not applied; the old one holds", error=str(error))
            metrics.RELOADS.labels("refused").inc()
            return
        if not changed:
            log.info("the configuration has not changed")
            metrics.RELOADS.labels("unchanged").inc()
            return
        self.settings = settings
        self._budget.bytes = settings.state.memory_bytes
        self._tagger.follow(settings.rules)
        metrics.configured(_version(), settings.version())
        await self.engine.reopen(self._topics.by_target)
        log.info("the configuration was applied", changed=changed, config=settings.version())
        metrics.RELOADS.labels("applied").inc()

    # ------------------------------------------------------------ starting

    async def _broker_is_there(self) -> bool:
        """Wait for the broker and the topics, saying on /readyz what is missing. False if told to stop."""
        said = ""
        while not self._stopping.is_set():
            try:
                lacking = await asyncio.to_thread(missing, self.settings)
                if not lacking:
                    await asyncio.to_thread(self._learn_topics)
                    await asyncio.to_thread(self._check_processing)
                    self.health.waiting_for = ""
                    return True
                problem = f"missing topics: {', '.join(lacking)}; make them with `truecount topics create`"
            except BrokerError as error:
                problem = str(error)
            self.health.waiting_for = problem
            if problem != said:
                log.warning("waiting", reason=problem)
                said = problem
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RETRY_SECONDS)
        return False

    def _check_processing(self) -> None:
        if self.settings.processing == "exactly_once" and not supports_transactions(self.settings):
            raise SettingsError(f"{self.settings.broker.servers}: {NO_TRANSACTIONS}")

    def _learn_topics(self) -> None:
        names = [self._topics.by_target, *(i.topic for i in self.settings.inputs)]
        client = admin(self.settings)
        try:
            described = client.describe_topics(names)
        except KafkaError as error:
            raise BrokerError(describe(error, self.settings)) from error
        finally:
            client.close()
        counts = {d["name"]: len(d["partitions"]) for d in described}
        self._partitions = counts[self._topics.by_target]
        self._roster = {i.topic: counts[i.topic] for i in self.settings.inputs}

    # ------------------------------------------------------------ working

    async def _work(self) -> None:
        app = self._app = self._make_app()
        if self.settings.processing == "at_least_once":
            self._plain = PlainOutlet(self.settings, self._to_commit.update, clock=self._clock)
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
            # The last checkpoints matter most; what leaving the group and the producer lack, others wait for.
            drain = self.settings.drain_seconds
            until = self._clock.monotonic() + 0.9 * drain
            await self._in_time("the last checkpoints", self.engine.close(), until - drain / 3)
            self.engine.abandon()
            if self._telling is not None:
                await self._in_time("the last offsets", self._telling, until)
            await self._in_time("the last offsets", self._tell_group(), until)
            await self._in_time("leaving the group", app.stop(), until)
            if self._plain is not None:
                await self._in_time("the producer", self._plain.close(), until)

    async def _in_time(self, what: str, ending: Awaitable[None], until: float) -> None:
        """End something, but not for ever, and whatever state it is in."""
        try:
            await asyncio.wait_for(ending, max(0.1, until - self._clock.monotonic()))
        except Exception as error:  # noqa: BLE001  # we are leaving; what is not committed is done again by the next
            log.warning("did not end in order", what=what, error=repr(error))

    def _make_app(self) -> Any:
        settings = self.settings
        broker = settings.broker
        url = ";".join(f"kafka://{server}" for server in servers(broker))
        session = broker.session_timeout_seconds
        app = faust.App(
            settings.app,
            broker=url,
            broker_credentials=faust_credentials(broker),
            store="memory://",
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=session,
            broker_rebalance_timeout=session,
            broker_heartbeat_interval=session / 10,
            broker_request_timeout=max(60.0, session + 1),
            consumer_group_instance_id=broker.instance_id or None,
            consumer_metadata_max_age_ms=int(METADATA_SECONDS * 1000),
            broker_max_poll_records=20_000,
            consumer_max_fetch_size=2 * 1024 * 1024,
            stream_buffer_maxsize=16,
            stream_wait_empty=False,
            loghandlers=[],
        )
        app.transport = BatchTransport(app.conf.broker, app)
        if "ingest" in self.roles:
            self._agent(app, "ingest", [i.topic for i in settings.inputs])
        if "targets" in self.roles:
            self._agent(app, "targets", [self._topics.by_target])
        app.on_partitions_revoked.connect(self._revoked)  # type: ignore[arg-type]  # Faust types signals too narrowly
        return app

    def _agent(self, app: Any, role: str, topics: list[str]) -> None:
        handle = self.engine.handle

        async def work(stream: AsyncIterator[Any]) -> None:
            async for event in stream.noack().events():  # type: ignore[attr-defined]  # Faust's streams are untyped
                await handle(event.message.value)

        app.agent(app.topic(*topics, value_type=bytes, value_serializer="raw"), name=role)(work)

    def _make(self, tp: TP) -> tuple[Work, Outlet]:
        if tp.topic == self._topics.by_target:
            work: Work = Targets(
                self.settings,
                tp,
                state=self._state,
                budget=self._budget,
                clock=self._clock,
                failed=self._failed.setdefault(tp.partition, {}),
            )
        else:
            work = Ingest(
                self.settings,
                tp,
                partitions=self._partitions,
                roster=self._roster,
                state=self._state,
                clock=self._clock,
                tagger=self._tagger,
            )
        outlet: Outlet
        if self._plain is not None:
            outlet = self._plain
        else:
            suffix = f"{tp.topic}-{tp.partition}" if work.role == "ingest" else str(tp.partition)
            outlet = TransactionalOutlet(self.settings, f"{work.role}-{suffix}", clock=self._clock)
        return work, outlet

    def _consumer(self) -> Any:
        return self._app.consumer

    async def _tell_group(self) -> None:
        """Commit positions to the group, where no transaction does it; never while partitions move.

        A commit that comes into a rebalance makes aiokafka leave and join again, and so on for ever.
        """
        if self._app.rebalancing or not self._to_commit:
            return
        offsets = dict(self._to_commit)
        self._to_commit.clear()
        try:
            await asyncio.wait_for(self._app.consumer.commit_offsets(offsets), COMMIT_SECONDS)
        except Exception as error:  # noqa: BLE001  # nothing relies on it, and it comes again
            log.debug("the group was not told", error=repr(error))
            self._to_commit.update(offsets | self._to_commit)

    async def _revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        await self.engine.release(revoked)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_SECONDS)
            try:
                self.engine.heartbeat()
                self._follow_inputs()
                if self._telling is None or self._telling.done():
                    self._telling = asyncio.get_running_loop().create_task(self._tell_group())
            except Exception:
                log.exception("a heartbeat failed")
            engine = self.engine
            self.health.note(
                behind=engine.behind(),
                progress=max(engine.activity.last_at, self._state.last_read),
                unsaved_since=engine.activity.unsaved_since(),
                assigned=engine.assigned,
                tasks=len(engine.tasks),
            )
            metrics.READY.set(1 if self.health.ready()[0] else 0)

    def _follow_inputs(self) -> None:
        """Take up partitions that inputs have grown: time waits for them from here on.

        The tasks hold this very roster. It never shrinks, as topics do not.
        """
        for topic, known in self._roster.items():
            count = self._consumer().partitions_of(topic)
            if count > known:
                log.info("an input has grown", topic=topic, partitions=count, before=known)
                self._roster[topic] = count


def _leave() -> None:
    """End the process: threads of clients that wait for a broker would keep it. What is not committed is done again."""
    log.warning("the stop took too long; leaving as it is")
    sys.stdout.flush()
    os._exit(0)


def _version() -> str:
    try:
        return version("truecount")
    except PackageNotFoundError:
        return "unpackaged"
