"""Connection options of the broker, in the form of each client library."""

from __future__ import annotations

import ssl
from typing import Any

from faust.auth import SASLCredentials, SSLCredentials

from streams.settings.broker import Broker
from streams.settings.section import SettingsError

BOOTSTRAP_TIMEOUT_MS = 10_000
"""With kafka-python's default of 30 s, a command seems to hang."""


def servers(broker: Broker) -> list[str]:
    """Bootstrap servers as host:port."""
    return [s.strip() for s in broker.servers.split(",") if s.strip()]


def ssl_context(broker: Broker) -> ssl.SSLContext | None:
    """TLS context, None for plain connections. Raises SettingsError if a file cannot be read."""
    if not broker.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=str(broker.ssl_cafile) if broker.ssl_cafile else None)
        if broker.ssl_certfile is not None:
            context.load_cert_chain(broker.ssl_certfile, broker.ssl_keyfile)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"broker: the TLS files cannot be used: {error}") from None
    return context


def transactional_id(app: str, task: str) -> str:
    """The transactional id of a task (``Role.task_id``)."""
    return f"{app}-{task}"


def _sasl(broker: Broker) -> dict[str, Any]:
    if not broker.security_protocol.startswith("SASL"):
        return {}
    return {
        "sasl_mechanism": broker.sasl_mechanism,
        "sasl_plain_username": broker.username,
        "sasl_plain_password": broker.secret(),
    }


def aiokafka_options(broker: Broker) -> dict[str, Any]:
    """Keyword arguments for aiokafka's clients."""
    return {
        "bootstrap_servers": servers(broker),
        "security_protocol": broker.security_protocol,
        "ssl_context": ssl_context(broker),
        **_sasl(broker),
    }


def kafka_python_options(broker: Broker) -> dict[str, Any]:
    """Keyword arguments for kafka-python's clients."""
    return {**aiokafka_options(broker), "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS}


def faust_credentials(broker: Broker) -> Any:
    """Faust's form of the credentials, None for plain connections."""
    if broker.security_protocol.startswith("SASL"):
        return SASLCredentials(
            mechanism=broker.sasl_mechanism,
            username=broker.username,
            password=broker.secret(),
            ssl_context=ssl_context(broker),
        )
    context = ssl_context(broker)
    return None if context is None else SSLCredentials(context=context)
