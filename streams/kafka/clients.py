"""Connection options of the broker, in the form of each client library."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

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
    for key in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        _check_readable(key, getattr(broker, key))
    try:
        context = ssl.create_default_context(cafile=str(broker.ssl_cafile) if broker.ssl_cafile else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"broker.ssl_cafile: {broker.ssl_cafile} has no certificate in PEM ({error})") from None
    if broker.ssl_certfile is not None:
        try:
            # With an empty password, a key that is encrypted is refused. Without one, OpenSSL would ask for it.
            context.load_cert_chain(broker.ssl_certfile, broker.ssl_keyfile, password="")
        except (OSError, ssl.SSLError) as error:
            key_file = broker.ssl_keyfile or broker.ssl_certfile
            raise SettingsError(
                f"broker.ssl_certfile: {broker.ssl_certfile} and the key in {key_file} cannot be used ({error}); "
                "both must be PEM, of one pair, and the key not encrypted"
            ) from None
    return context


def _check_readable(key: str, path: Path | None) -> None:
    if path is None:
        return
    try:
        path.open("rb").close()
    except OSError as error:
        raise SettingsError(
            f"broker.{key}: cannot read {path}: {error.strerror}; check the path and its permissions"
        ) from None


def transactional_id(app: str, task: str) -> str:
    """The transactional id of a task (``Role.task_id``)."""
    return f"{app}-{task}"


def _sasl(broker: Broker) -> dict[str, Any]:
    if not broker.security_protocol.startswith("SASL"):
        return {}
    return {
        "sasl_mechanism": broker.sasl_mechanism,
        "sasl_plain_username": broker.user(),
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
