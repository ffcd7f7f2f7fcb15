"""The Faust app of a worker, which does only group membership and delivery of batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials

from streams.kafka import fetched_records
from streams.kafka.clients import servers, ssl_context
from streams.kafka.transport import Batch, BatchTransport
from streams.settings.broker import Broker
from streams.settings.settings import Settings

METADATA_SECONDS = 5.0
"""How soon a new partition of an input is detected: less than the default lateness, so none of its events are late."""


class ConsumerApp(faust.App):
    """A Faust app without tables and without their directories."""

    def _create_directories(self) -> None:
        """Do nothing. Faust would create a directory for tables in the current folder."""


def consumer_app(
    settings: Settings,
    reads: Mapping[str, Sequence[str]],
    *,
    handle: Callable[[Batch], Awaitable[None]],
    revoked: Callable[..., Awaitable[None]],
) -> Any:
    """An app with one agent for each role of ``reads`` (role → topics); every batch goes to ``handle``.

    ``revoked`` is called with the app and the partitions that are being revoked.
    """
    broker = settings.broker
    session = broker.session_timeout_seconds
    app = ConsumerApp(
        settings.app,
        broker=";".join(f"kafka://{server}" for server in servers(broker)),
        broker_credentials=_credentials(broker),
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
    fetched_records.use()
    transport = app.transport = BatchTransport(app.conf.broker, app)
    transport.inputs = frozenset(each.topic for each in settings.inputs)
    for role, topics in reads.items():
        _add_agent(app, role, topics, handle)
    app.on_partitions_revoked.connect(revoked)
    return app


def _add_agent(app: Any, role: str, topics: Sequence[str], handle: Callable[[Batch], Awaitable[None]]) -> None:
    async def work(stream: AsyncIterator[Any]) -> None:
        async for event in stream.noack().events():  # type: ignore[attr-defined]  # Faust's streams are untyped
            await handle(event.message.value)

    app.agent(app.topic(*topics, value_type=bytes, value_serializer="raw"), name=role)(work)


def _credentials(broker: Broker) -> Any:
    """Faust's form of the credentials, None for plain connections."""
    if broker.security_protocol.startswith("SASL"):
        return SASLCredentials(
            mechanism=broker.sasl_mechanism,
            username=broker.user(),
            password=broker.secret(),
            ssl_context=ssl_context(broker),
        )
    context = ssl_context(broker)
    return None if context is None else SSLCredentials(context=context)
