"""An Apache Kafka as companies run it: SASL_SSL, SCRAM-SHA-512, a CA of its own, and an authorizer."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from bench.testbed.brokers import BrokerAddress, BrokerError, KafkaServer, answers
from streams.kafka.clients import kafka_python_options
from streams.settings.broker import Broker

ADMIN, WORKER = "admin", "truecount"
PASSWORDS = {ADMIN: "admin-secret", WORKER: "worker-secret"}
MECHANISM: Final = "SCRAM-SHA-512"
HOST = "localhost"
"""The only name in the certificate of the broker: it is not valid for 127.0.0.1."""
TOOL_SECONDS = 60


class Certificates:
    """A CA and a certificate of a host, made with openssl in a directory."""

    def __init__(self, directory: Path, host: str = HOST) -> None:
        """Raises BrokerError if openssl is missing or fails."""
        directory.mkdir(parents=True, exist_ok=True)
        self.authority = directory / "ca.pem"
        """the certificate of the CA, which clients trust"""
        self.keystore = directory / "server.pem"
        """key and certificate of the host, for the broker"""
        key, request, certificate = (directory / name for name in ("server.key", "server.csr", "server.crt"))
        names = directory / "names.cnf"
        names.write_text(f"subjectAltName=DNS:{host}\n")
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        signed = ["-CA", self.authority, "-CAkey", directory / "ca.key", "-CAcreateserial", "-extfile", names]
        # Python 3.13 accepts a CA only if its certificate says that it may sign others.
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        ca = [*usage, "-keyout", directory / "ca.key", "-out", self.authority]
        for arguments in (
            ["req", "-x509", *new_key, "-days", "2", "-subj", "/CN=test CA", *ca],
            ["req", *new_key, "-subj", f"/CN={host}", "-keyout", key, "-out", request],
            ["x509", "-req", "-in", request, *signed, "-days", "2", "-out", certificate],
        ):
            _run(["openssl", *map(str, arguments)])
        self.keystore.write_text(key.read_text() + certificate.read_text())


class SecuredKafka(KafkaServer):
    """A Kafka that refuses everybody without TLS, password and ACL. ``admin`` may do everything.

    The user ``truecount`` may do nothing at first.
    """

    def __init__(self, directory: Path, jars: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.certificates = Certificates(directory / "certificates")
        super().__init__(directory, jars)
        self._client = directory / "admin.properties"
        self._client.write_text(
            f"security.protocol=SASL_SSL\nsasl.mechanism={MECHANISM}\n"
            f"sasl.jaas.config={_jaas(ADMIN)}\n"
            f"ssl.truststore.type=PEM\nssl.truststore.location={self.certificates.authority}\n"
        )

    @property
    def address(self) -> BrokerAddress:
        return BrokerAddress(f"{HOST}:{self.port}", self.kind, self.transactions)

    def broker(self, user: str = WORKER) -> Broker:
        """The settings of a client of this broker."""
        return Broker(
            servers=self.address.servers,
            security_protocol="SASL_SSL",
            sasl_mechanism=MECHANISM,
            username=user,
            password=SecretStr(PASSWORDS[user]),
            ssl_cafile=self.certificates.authority,
        )

    def broker_lines(self, directory: Path, user: str = WORKER) -> str:
        """These settings as lines of a configuration, with the password in a file in ``directory``."""
        password = directory / f"{user}.password"
        password.write_text(PASSWORDS[user] + "\n")
        return (
            f'security_protocol = "SASL_SSL"\nsasl_mechanism = "{MECHANISM}"\nusername = "{user}"\n'
            f'password_file = "{password}"\nssl_cafile = "{self.certificates.authority}"\n'
        )

    def grant(self, commands: Iterable[Sequence[str]]) -> None:
        """Run ``kafka-acls`` as the admin with each of these lists of arguments. Raises BrokerError."""
        for arguments in commands:
            self._acls(arguments)

    def _acls(self, arguments: Sequence[str]) -> None:
        connection = ["--bootstrap-server", self.address.servers, "--command-config", str(self._client)]
        _run([*self._java("-Xmx128m"), "org.apache.kafka.tools.AclCommand", *connection, *arguments])

    def _listeners(self) -> str:
        return f"""\
listeners=SASL_SSL://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller}
advertised.listeners=SASL_SSL://{HOST}:{self.port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms={MECHANISM}
sasl.mechanism.inter.broker.protocol={MECHANISM}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={_jaas(ADMIN)}
ssl.keystore.type=PEM
ssl.keystore.location={self.certificates.keystore}
ssl.truststore.type=PEM
ssl.truststore.location={self.certificates.authority}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{ADMIN};User:ANONYMOUS
"""

    def _format_options(self) -> list[str]:
        users = (f"{MECHANISM}=[name={user},password={password}]" for user, password in PASSWORDS.items())
        return [option for user in users for option in ("--add-scram", user)]

    def _answers(self) -> bool:
        options = kafka_python_options(self.broker(ADMIN))
        del options["bootstrap_servers"], options["bootstrap_timeout_ms"]
        return answers(self.address.servers, **options)


def _jaas(user: str) -> str:
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    return f'{module} required username="{user}" password="{PASSWORDS[user]}";'


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False
        )
    except OSError as error:
        raise BrokerError(f"{command[0]} cannot be run: {error}") from None
    if done.returncode != 0:
        raise BrokerError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
