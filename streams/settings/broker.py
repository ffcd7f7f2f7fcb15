"""Settings of the broker and its security."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

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

    @field_validator("servers")
    @classmethod
    def _addresses(cls, servers: str) -> str:
        """Refuse what is no list of host:port. Clients take 9092 where there is no port."""
        listed = [each.strip() for each in servers.split(",") if each.strip()]
        if not listed:
            raise ValueError("no address is given; give host:port[,host:port]")
        for address in listed:
            if "://" in address:
                raise ValueError(f"{address!r} has a scheme; give host:port, and security_protocol for TLS or SASL")
            host, colon, port = address.rpartition(":")
            if colon and not address.endswith("]") and not (host and port.isdecimal() and 0 < int(port) < 65536):
                raise ValueError(f"{address!r} is no host:port; a port is a number from 1 to 65535")
        return servers

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse a key without its certificate. A user name may be known only where the worker runs: see ``user``."""
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise ValueError("ssl_keyfile is the key of a certificate; set broker.ssl_certfile too")
        return self

    def user(self) -> str:
        """The user name of SASL. Raises SettingsError if there is none: the broker's answer names another culprit."""
        if not self.username:
            raise SettingsError(
                f"broker.username: security_protocol {self.security_protocol} needs a user name; set broker.username, "
                "or security_protocol PLAINTEXT or SSL for a broker without SASL"
            )
        return self.username

    def secret(self) -> str:
        """The password of SASL, from ``password_file`` if that is set. Raises SettingsError if there is none."""
        if self.password_file is None:
            password = self.password.get_secret_value()
            if not password:
                raise SettingsError(
                    f"broker.password_file: security_protocol {self.security_protocol} needs a password; set "
                    "broker.password_file, or TRUECOUNT_BROKER__PASSWORD"
                )
            return password
        where = f"broker.password_file: cannot read {self.password_file}"
        try:
            password = self.password_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{where}: {error.strerror}; check the path and its permissions") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{where}: it is not UTF-8 text; write the password alone into it") from None
        if not password:
            raise SettingsError(f"{where}: it is empty; write the password into it")
        return password
