"""Settings of the broker and its security."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from streams.settings.section import Section, SettingsError


class Broker(Section):
    """Connection to Kafka; used for aiokafka, kafka-python and Faust."""

    servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username: str = ""
    password: SecretStr = SecretStr("")
    password_file: Path | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    session_timeout_seconds: float = Field(default=30.0, ge=1, le=1800)
    instance_id: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,200}$")
    """static membership: this worker's name, unique among running workers"""
    replication: int = Field(default=1, ge=1, le=9)

    def secret(self) -> str:
        """The password; read from ``password_file`` if that is set. Raises SettingsError if it cannot be read."""
        if self.password_file is None:
            return self.password.get_secret_value()
        try:
            return self.password_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"broker.password_file: cannot read {self.password_file}: {error.strerror}") from None
