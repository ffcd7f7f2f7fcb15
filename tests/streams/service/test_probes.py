"""The worker's HTTP server: what fails in a request is a line of the log, and no traceback in plain text."""

from __future__ import annotations

import http.client
import socket

import pytest
from prometheus_client import CollectorRegistry, Counter
from structlog.testing import capture_logs

from streams.service.probes import Web


def _failing() -> tuple[bool, str]:
    raise RuntimeError("the state is not there")


def _alive() -> tuple[bool, str]:
    return True, "alive"


def test_a_request_that_fails_is_logged_and_the_next_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    web = Web(host="127.0.0.1", port=0, registry=CollectorRegistry(), live=_alive, ready=_failing)
    web.start()
    try:
        with capture_logs() as lines:
            with pytest.raises(http.client.HTTPException):
                _get(web, "/readyz")
            assert _get(web, "/livez") == 200
            with socket.create_connection((web.host, web.port)) as hasty:
                hasty.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
            assert _get(web, "/livez") == 200
    finally:
        web.stop()
    assert [(line["event"], str(line["exc_info"])) for line in lines] == [
        ("a request failed", "the state is not there")
    ]
    assert capsys.readouterr() == ("", "")


def test_a_client_may_ask_for_some_metrics_only() -> None:
    registry = CollectorRegistry()
    for name in ("records", "events", "flags"):
        Counter(name, "of a test", ["topic"], registry=registry).labels("t").inc(3)
    web = Web(host="127.0.0.1", port=0, registry=registry, live=_alive, ready=_alive)
    web.start()
    try:
        some = _page(web, "/metrics?name[]=records_total&name%5B%5D=flags_total&name[]=unknown")
        everything = _page(web, "/metrics")
    finally:
        web.stop()
    assert sorted(line for line in some.splitlines() if not line.startswith("#")) == [
        'flags_total{topic="t"} 3.0',
        'records_total{topic="t"} 3.0',
    ]
    assert 'events_total{topic="t"} 3.0' in everything.splitlines()


def _page(web: Web, path: str) -> str:
    client = http.client.HTTPConnection(web.host, web.port, timeout=10)
    try:
        client.request("GET", path)
        return client.getresponse().read().decode()
    finally:
        client.close()


def _get(web: Web, path: str) -> int:
    client = http.client.HTTPConnection(web.host, web.port, timeout=10)
    try:
        client.request("GET", path)
        return client.getresponse().status
    finally:
        client.close()
