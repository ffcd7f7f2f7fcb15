"""The worker's HTTP server: /metrics, /livez, /readyz and nothing else."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

log = structlog.get_logger()

Health = Callable[[], tuple[bool, str]]
"""Returns whether the check passes, and a sentence."""


class _Server(ThreadingHTTPServer):
    """Each request has a thread. The log is JSON, so an exception in one must not be printed."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an exception, unless the client left before it had the answer."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("a request failed", client=str(client_address), exc_info=error)


class Web:
    """The server, on its own thread, so that probes are answered while the event loop is busy."""

    def __init__(self, *, host: str, port: int, registry: CollectorRegistry, live: Health, ready: Health) -> None:
        probes = {"/livez": live, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                if path == "/metrics":
                    encode, content_type = choose_encoder(self.headers.get("Accept") or "")
                    names = parse_qs(query).get("name[]")
                    self._answer(200, content_type, encode(registry.restricted_registry(names) if names else registry))
                elif path in probes:
                    passes, sentence = probes[path]()
                    body = json.dumps({"ok": passes, "detail": sentence}).encode()
                    self._answer(200 if passes else 503, "application/json", body)
                else:
                    self._answer(404, "text/plain", b"try /metrics, /livez or /readyz\n")

            def _answer(self, status: int, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Normal operation logs nothing."""

        class Server(_Server):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

        self._server = Server((host, port), Handler)
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="web")

    @property
    def url(self) -> str:
        """The base URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
