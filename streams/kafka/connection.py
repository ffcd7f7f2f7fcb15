"""Connects to the broker step by step, and says which step fails: host name, TCP, TLS, Kafka's protocol or SASL.

Client libraries try again and again, and report of almost every cause that no broker was found.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import errors
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from streams.kafka.clients import kafka_python_options, servers, ssl_context
from streams.settings.broker import Broker

STEP_SECONDS = 3.0
"""Longest time for one step with one server. A broker in the same country answers in milliseconds."""
TOTAL_SECONDS = 10.0
"""After this time no further server is tried."""
DEFAULT_PORT = 9092

API_VERSIONS, METADATA = 18, 3
"""Keys of requests in Kafka's protocol."""
METADATA_VERSION = 4
"""the newest that is asked for: every broker since 0.11 knows it"""
NO_ERROR, UNSUPPORTED_MECHANISM, ILLEGAL_SASL_STATE = 0, 33, 34


class _StepError(Exception):
    """A step failed. The message is a sentence without the server's name."""


class _ForeignError(_StepError):
    """The server answered in another protocol."""


class _ClosedError(_StepError):
    """The server closed the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Server:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def of(cls, text: str) -> Server:
        """Of ``host``, ``host:port``, ``[address]`` or ``[address]:port``. The port is 9092 if there is none."""
        host, _, port = text.rpartition(":")
        if not port.isdecimal():
            host, port = text, ""
        return cls(host.removeprefix("[").removesuffix("]"), int(port or DEFAULT_PORT))


def connection_problem(broker: Broker) -> str | None:
    """Connect as a client does. Returns what prevents it as a sentence, None if nothing does.

    One server that answers is enough, as for the clients. Takes at most TOTAL_SECONDS and the steps of one server.
    Raises SettingsError if a password or TLS file cannot be read.
    """
    client = _Client(broker)
    until = time.monotonic() + TOTAL_SECONDS
    problems: dict[Server, str] = {}
    for server in map(Server.of, servers(broker)):
        if problems and time.monotonic() > until:
            break
        try:
            advertised = client.connect(server)
        except _StepError as problem:
            problems[server] = str(problem)
        else:
            return _advertised_problem(client, server, advertised, until)
    return "; ".join(f"{server}: {problem}" for server, problem in problems.items()) or None


def _advertised_problem(client: _Client, server: Server, advertised: list[Server], until: float) -> str | None:
    """What prevents connections to all brokers that ``server`` has named; None if one of them can be reached."""
    problem = None
    for other in advertised:
        if other == server:
            return None
        if problem is not None and time.monotonic() > until:
            break
        try:
            client.connect(other)
        except _StepError as found:
            problem = (
                f"{server} answers, but tells clients to connect to {other} (advertised.listeners of the broker):"
                f" {found}"
            )
        else:
            return None
    return problem


class _Client:
    """Connects with the settings of a broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._options = kafka_python_options(broker)
        self._tls = ssl_context(broker)
        self._sasl = broker.security_protocol.startswith("SASL")

    def connect(self, server: Server) -> list[Server]:
        """Connect and authenticate. Returns the brokers of the cluster. Raises _StepError."""
        with _connected(server, self._tls, self._tls_error) as connection:
            versions = self._versions(server, connection)
            if self._sasl:
                self._authenticate(server, connection)
            return self._brokers(server, connection, versions)

    def _tls_error(self, server: Server, error: OSError) -> _StepError:
        """The sentence for a TLS handshake that failed."""
        authority = f"broker.ssl_cafile ({self._broker.ssl_cafile or 'not set: the CAs of this machine'})"
        match error:
            case ssl.SSLCertVerificationError(verify_code=62 | 64):
                return _StepError(
                    f"the TLS certificate of the broker is for another host name ({error.verify_message});"
                    " use a name of the certificate in broker.servers"
                )
            case ssl.SSLCertVerificationError():
                return _StepError(
                    f"the TLS certificate of the broker is not accepted ({error.verify_message}); check {authority}"
                )
            case TimeoutError():
                return _StepError(f"TCP connects, but there was no TLS answer within {STEP_SECONDS:.0f} s")
        if _speaks(server, None):
            return _StepError(f"the listener does not use TLS; {self._check_protocol()}")
        return _StepError(f"the TLS handshake failed ({_text(error)}); {self._check_protocol()}")

    def _check_protocol(self) -> str:
        protocol = self._broker.security_protocol
        return f"check broker.security_protocol ({protocol}), and the port in broker.servers"

    def _versions(self, server: Server, connection: _Connection) -> dict[int, int]:
        """Request → its newest version that the broker knows. Raises _StepError."""
        try:
            answer = connection.ask(ApiVersionsRequest(version=0))
        except (_ClosedError, _ForeignError):
            if self._tls is None and _speaks(server, _unverified()):
                raise _StepError(f"the listener uses TLS; {self._check_protocol()}") from None
            raise
        return {each.api_key: each.max_version for each in answer.api_keys}

    def _authenticate(self, server: Server, connection: _Connection) -> None:
        """Authenticate by SASL. Raises _StepError with the broker's message."""
        broker = self._broker
        try:
            offer = connection.ask(SaslHandshakeRequest(mechanism=broker.sasl_mechanism, version=1))
        except _ClosedError:
            offer = None
        if offer is None or offer.error_code == ILLEGAL_SASL_STATE:
            raise _StepError(f"the listener does not use SASL; {self._check_protocol()}")
        if offer.error_code == UNSUPPORTED_MECHANISM:
            raise _StepError(
                f"the broker does not offer the SASL mechanism {broker.sasl_mechanism}; it offers"
                f" {', '.join(offer.mechanisms)}; check broker.sasl_mechanism"
            )
        refused = f"the broker refuses the user {broker.username!r}"
        check = "check broker.username and the password"
        mechanism = get_sasl_mechanism(broker.sasl_mechanism)(host=server.host, **self._options)
        try:
            while not mechanism.is_done():
                answer = connection.ask(SaslAuthenticateRequest(mechanism.auth_bytes(), version=0))
                if answer.error_code != NO_ERROR:
                    reason = answer.error_message or errors.for_code(answer.error_code).__name__
                    raise _StepError(f"{refused}: {reason}; {check}")
                mechanism.receive(answer.auth_bytes)
        except (ValueError, KeyError, errors.KafkaError) as error:
            raise _StepError(f"{refused}, or is not who it should be ({_text(error)}); {check}") from None
        if not mechanism.is_authenticated():
            raise _StepError(f"{refused}; {check}")

    def _brokers(self, server: Server, connection: _Connection, versions: dict[int, int]) -> list[Server]:
        """The brokers of the cluster. Raises _StepError."""
        version = min(METADATA_VERSION, versions.get(METADATA, METADATA_VERSION))
        try:
            answer = connection.ask(MetadataRequest(topics=[], allow_auto_topic_creation=False, version=version))
        except _ClosedError:
            offered = None if self._sasl else _mechanisms(server, self._tls)
            if not offered:
                raise
            raise _StepError(f"the listener asks for SASL ({', '.join(offered)}); {self._check_protocol()}") from None
        return [Server(each.host, each.port) for each in answer.brokers]


@contextmanager
def _connected(
    server: Server,
    tls: ssl.SSLContext | None,
    tls_error: Callable[[Server, OSError], _StepError],
) -> Iterator[_Connection]:
    """A connection, closed at the end. Raises _StepError."""
    plain = _tcp(server)
    try:
        if tls is not None:
            try:
                plain = tls.wrap_socket(plain, server_hostname=server.host)
            except OSError as error:
                raise tls_error(server, error) from None
        yield _Connection(plain)
    finally:
        plain.close()


def _tcp(server: Server) -> socket.socket:
    try:
        return socket.create_connection((server.host, server.port), timeout=STEP_SECONDS)
    except (socket.gaierror, UnicodeError) as error:
        raise _StepError(f"the host name cannot be resolved ({_text(error)}); check broker.servers") from None
    except ConnectionRefusedError:
        raise _StepError(
            "nothing listens on this port (TCP connection refused);"
            " check host and port in broker.servers, and that Kafka is running"
        ) from None
    except TimeoutError:
        raise _StepError(
            f"no TCP connection within {STEP_SECONDS:.0f} s;"
            " check host and port in broker.servers, the firewall, and that the machine is running"
        ) from None
    except OSError as error:
        raise _StepError(f"no TCP connection ({_text(error)}); check host and port in broker.servers") from None


class _Connection:
    """Asks one request at a time, and waits for its answer."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._protocol = KafkaProtocol(client_id="truecount-check")

    def ask(self, request: Any) -> Any:
        """The response to a request. Raises _StepError."""
        until = time.monotonic() + STEP_SECONDS
        try:
            self._protocol.send_request(request)
            self._socket.sendall(self._protocol.send_bytes())
            while True:
                self._socket.settimeout(max(0.01, until - time.monotonic()))
                received = self._socket.recv(1 << 16)
                if not received:
                    raise _ClosedError("the broker closed the connection without an answer")
                for _, response in self._protocol.receive_bytes(received):
                    return response
        except TimeoutError:
            raise _StepError(
                f"it accepts connections, but did not answer within {STEP_SECONDS:.0f} s;"
                " the broker is overloaded, or has stopped"
            ) from None
        except ssl.SSLError as error:
            raise _StepError(
                f"the broker ended TLS ({_text(error)}); if it asks clients for a certificate, check"
                " broker.ssl_certfile and broker.ssl_keyfile"
            ) from None
        except OSError as error:
            raise _ClosedError(f"the connection broke ({_text(error)})") from None
        except (errors.KafkaError, ValueError, IndexError) as error:
            raise _ForeignError(f"what listens there does not speak Kafka's protocol ({_text(error)})") from None


def _speaks(server: Server, tls: ssl.SSLContext | None) -> bool:
    """Whether the listener speaks Kafka's protocol with or without TLS."""
    try:
        with _connected(server, tls, lambda _server, error: _StepError(str(error))) as connection:
            connection.ask(ApiVersionsRequest(version=0))
    except _StepError:
        return False
    return True


def _mechanisms(server: Server, tls: ssl.SSLContext | None) -> list[str]:
    """The SASL mechanisms of the listener; none if it has no SASL."""
    try:
        with _connected(server, tls, lambda _server, error: _StepError(str(error))) as connection:
            connection.ask(ApiVersionsRequest(version=0))
            # No broker has a mechanism of this name: it answers with those that it has.
            return list(connection.ask(SaslHandshakeRequest(mechanism="NONE", version=1)).mechanisms)
    except _StepError:
        return []


def _unverified() -> ssl.SSLContext:
    """A TLS context that accepts any certificate. It is only used to see whether a listener uses TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _text(error: BaseException) -> str:
    """The text of an exception without numbers of libraries."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
