"""What the tests of deploy/ share: Prometheus's tools, and something to scrape."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.prometheus_server import PrometheusServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def promtool() -> str:
    """Path of promtool."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing (on Debian: apt-get install prometheus)")
    return found


@pytest.fixture(scope="module")
def worker_url() -> Iterator[str]:
    """Base address of what Prometheus scrapes: here a worker's web server with every metric touched."""
    command = [sys.executable, "-m", "tests.deploy.pretend_worker"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def prometheus(worker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A real Prometheus with our own configuration, scraping ``worker_url`` every second."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is missing (on Debian: apt-get install prometheus)")
    server = PrometheusServer(worker_url, ROOT / "deploy" / "prometheus", tmp_path_factory.mktemp("prometheus"))
    try:
        server.start()
        yield server
    finally:
        server.stop()
