"""A Prometheus of our own on a free loopback port, with deploy/prometheus's files aimed at one worker.

Give it any worker's address: the tests here give it a pretended one, an integration test may
give it a live one.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

COMPOSE_TARGET = "worker:6067"
START_SECONDS = 30.0


class PrometheusServer:
    """Start, ask, stop."""

    def __init__(self, worker_url: str, files: Path, directory: Path) -> None:
        self._files, self._directory = files, directory
        self._target = worker_url.removeprefix("http://")
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready. Raises TimeoutError."""
        config = (self._files / "prometheus.yml").read_text()
        assert COMPOSE_TARGET in config
        config = config.replace(COMPOSE_TARGET, self._target).replace("_interval: 15s", "_interval: 1s")
        (self._directory / "prometheus.yml").write_text(config)
        (self._directory / "rules.yml").write_text((self._files / "rules.yml").read_text())
        with (self._directory / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self._directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._directory / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310  # loopback
                    return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError((self._directory / "prometheus.log").read_text())

    def stop(self) -> None:
        """Stop it; harmless if it never started."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Series of an instant query. Raises ValueError with Prometheus's own words."""
        result: list[dict[str, Any]] = self._get("query", query=expr)["result"]
        return result

    def query_range(self, expr: str, seconds: float) -> list[dict[str, Any]]:
        """Series of a query over the last seconds, one point a second."""
        now = time.time()
        return self.query_between(expr, now - seconds, now)

    def query_between(self, expr: str, start: float, end: float) -> list[dict[str, Any]]:
        """Series of a query between two moments (unix seconds), one point a second."""
        answer = self._get("query_range", query=expr, start=str(start), end=str(end), step="1")
        result: list[dict[str, Any]] = answer["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """Every loaded rule with its health."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        address = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as response:  # noqa: S310  # loopback
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(f"{parameters}: {error.read().decode()}") from None
        assert answer["status"] == "success", answer
        data: dict[str, Any] = answer["data"]
        return data


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
