"""The cause of a connection that fails, with servers that do not behave like a broker."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.testbed.brokers import BrokerAddress, free_port
from streams.kafka import connection
from streams.kafka.connection import Server, connection_problem
from streams.settings.broker import Broker


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that answers every connection with ``answer``. Yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                with accepted:
                    answer(accepted)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def problem_at(*servers: str) -> str:
    problem = connection_problem(Broker(servers=",".join(servers)))
    assert problem is not None
    return problem


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STEP_SECONDS", 0.3)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("kafka", Server("kafka", 9092)),
        ("kafka:9093", Server("kafka", 9093)),
        ("10.0.0.1:1", Server("10.0.0.1", 1)),
        ("[::1]:9094", Server("::1", 9094)),
        ("[::1]", Server("::1", 9092)),
    ],
)
def test_a_server_is_a_host_and_perhaps_a_port(text: str, server: Server) -> None:
    assert Server.of(text) == server
    assert Server.of(str(server)) == server


def test_a_broker_that_answers_has_no_problem(tansu: BrokerAddress) -> None:
    assert connection_problem(Broker(servers=tansu.servers)) is None


def test_one_server_that_answers_is_enough(tansu: BrokerAddress) -> None:
    servers = f"kafka.invalid:9092, 127.0.0.1:{free_port()},{tansu.servers}"
    assert connection_problem(Broker(servers=servers)) is None


def test_of_several_servers_each_has_its_problem() -> None:
    port = free_port()
    problem = problem_at("kafka.invalid:9092", f"127.0.0.1:{port}")
    assert "kafka.invalid:9092: the host name cannot be resolved (Name or service not known)" in problem
    assert f"127.0.0.1:{port}: nothing listens on this port (TCP connection refused)" in problem


def test_a_name_that_is_no_host_name_is_a_sentence_too() -> None:
    assert "the host name cannot be resolved" in problem_at(f"{'a' * 300}.example:9092")


@pytest.mark.usefixtures("impatient")
def test_a_server_of_another_protocol() -> None:
    def http(accepted: socket.socket) -> None:
        accepted.recv(1000)
        accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(http) as port:
        assert "does not speak Kafka's protocol" in problem_at(f"127.0.0.1:{port}")


@pytest.mark.usefixtures("impatient")
def test_a_server_that_hangs_up() -> None:
    with serving(lambda _accepted: None) as port:
        problem = problem_at(f"127.0.0.1:{port}")
    assert "closed the connection" in problem or "the connection broke" in problem


@pytest.mark.usefixtures("impatient")
def test_a_server_that_accepts_and_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        problem = problem_at(f"127.0.0.1:{silent.getsockname()[1]}")
    assert "accepts connections, but did not answer" in problem


@pytest.mark.usefixtures("impatient")
def test_a_machine_that_does_not_answer_at_all() -> None:
    # The queue of connections is full, so the machine ignores another one, as a firewall does.
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        problem = problem_at(f"127.0.0.1:{full.getsockname()[1]}")
    assert "no TCP connection within" in problem
    assert "firewall" in problem


@pytest.mark.usefixtures("impatient")
def test_brokers_that_name_an_address_which_clients_cannot_reach(tansu: BrokerAddress) -> None:
    """A broker behind a port that was forwarded: it answers, and sends clients to an address of its own network."""
    host, _, port = tansu.servers.rpartition(":")
    stopped = free_port()

    def forward(accepted: socket.socket) -> None:
        with socket.create_connection((host, int(port)), 5) as onward:
            while request := accepted.recv(1 << 16):
                onward.sendall(request)
                # The advertised port is replaced by one on which nothing listens.
                answer = onward.recv(1 << 16)
                accepted.sendall(answer.replace(int(port).to_bytes(4, "big"), stopped.to_bytes(4, "big")))

    with serving(forward) as forwarded:
        problem = problem_at(f"127.0.0.1:{forwarded}")
    assert f"tells clients to connect to 127.0.0.1:{stopped} (advertised.listeners of the broker)" in problem
    assert "nothing listens on this port" in problem
