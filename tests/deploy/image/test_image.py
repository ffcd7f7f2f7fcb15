"""The image, built from this tree and run as it is configured: its user, a read-only root, against a real Kafka."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.testbed.brokers import KafkaServer, free_port, log_tail
from bench.testbed.workers import Installation
from streams.settings.settings import load
from tests.deploy.image.building import ROOT, Builder, Image, missing
from tests.deploy.processes import wait_until_ready
from tests.integration.test_worker import events

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # the first test builds it

CONFIG = "/etc/truecount/truecount.toml"
SIZE_LIMIT_MEGABYTES = 250
"""Above the base. It was 390 before what no worker needs was removed."""

IMPORT_ALL = """
import importlib, pkgutil, detectors, streams
packages = (streams, detectors)
names = [m.name for each in packages for m in pkgutil.walk_packages(each.__path__, each.__name__ + '.')]
for name in names:
    if not name.endswith('__main__'):
        importlib.import_module(name)
import faust._cython.streams, faust._cython.windows, faust.models._cython.fields, faust.transport._cython.conductor
import aiokafka.record._crecords, cramjam, lz4.frame, snappy, zstandard, rocksdict
import scipy.stats, river.forest, river.neighbors
print(len(names))
"""

READ_ONLY = ("/a", "/opt/truecount/a", "/etc/truecount/a", "/usr/local/lib/a")

WRITES = f"""
import errno, os, pathlib
pathlib.Path('/tmp/a').write_text('a')
pathlib.Path('/var/lib/truecount/a').write_text('a')
for place in {READ_ONLY}:
    try:
        pathlib.Path(place).write_text('a')
    except OSError as error:
        print(place, errno.errorcode[error.errno])
print(os.getuid(), os.getgid())
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of this tree."""
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    builder = Builder(tmp_path_factory.mktemp("buildah"))
    builder.build()
    mounted = builder.mount()
    yield mounted
    builder.close()


@pytest.fixture
def state(image: Image, tmp_path: Path) -> Path:
    """An empty state directory that its user may write."""
    return image.state(tmp_path)


def test_it_runs_as_a_user_without_rights_on_a_read_only_root(image: Image, state: Path) -> None:
    done = image.run(state, "python", "-c", WRITES)
    *refused, user = done.stdout.splitlines()
    assert user == "10001 10001", done.stderr
    assert refused == [f"{place} EROFS" for place in READ_ONLY]


def test_every_module_and_every_compiled_part_can_be_imported(image: Image, state: Path) -> None:
    done = image.run(state, "python", "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200


def test_it_has_nothing_that_no_worker_reads(image: Image) -> None:
    packages = next((image.root / "opt/truecount/lib").glob("python3.*")) / "site-packages"
    names = {path.name for path in packages.iterdir()}
    assert {"streams", "detectors", "faust", "river"} <= names
    assert {
        name for name in names if re.match(r"pip|setuptools|wheel|cython|hatchling|calfkit", name, re.IGNORECASE)
    } == set()
    assert [str(path) for path in packages.rglob("tests") if path.is_dir()] == []
    assert [str(path) for suffix in ("pyx", "c", "h", "pyi") for path in packages.rglob(f"*.{suffix}")] == []


def test_it_is_as_large_as_the_page_says(image: Image) -> None:
    table = (ROOT / "docs" / "deployment.md").read_text()
    said = re.search(r"^\| \*\*all\*\* \| (\d+) \|", table, re.MULTILINE)
    assert said
    assert image.megabytes == pytest.approx(int(said[1]), rel=0.05)
    assert image.megabytes < SIZE_LIMIT_MEGABYTES


def test_its_configuration_is_accepted_and_without_a_broker_doctor_says_so(image: Image, state: Path) -> None:
    checked = image.truecount(state, "config", "check", CONFIG)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    doctor = image.truecount(state, "doctor", "--config", CONFIG, TRUECOUNT_BROKER__SERVERS=f"127.0.0.1:{free_port()}")
    assert doctor.returncode not in {0, 70}, doctor.stdout + doctor.stderr


def test_without_the_embedded_broker_the_demo_says_what_to_do(image: Image, state: Path) -> None:
    done = image.truecount(state, "demo")
    assert done.returncode == 3
    assert "Use a real Kafka" in done.stderr


def test_a_worker_counts_events_is_healthy_and_stops(
    image: Image, state: Path, tmp_path: Path, kafka_server: KafkaServer, unique: Callable[[str], str]
) -> None:
    name = unique("image")
    port = free_port()
    variables = {
        "TRUECOUNT_APP": name,
        "TRUECOUNT_PREFIX": f"{name}.",
        "TRUECOUNT_BROKER__SERVERS": kafka_server.address.servers,
        "TRUECOUNT_TIME__COUNTS_SECONDS": "10",
        "TRUECOUNT_CHECKPOINT_SECONDS": "1",
        "TRUECOUNT_WEB__PORT": str(port),
    }
    created = image.truecount(state, "topics", "create", "--config", CONFIG, **variables)
    assert created.returncode == 0, created.stdout + created.stderr
    doctor = image.truecount(state, "doctor", "--config", CONFIG, **variables)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    kind, *health = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert image.run(state, *health, **variables).returncode != 0, "healthy without a worker"

    log = tmp_path / "worker.log"
    command = image.command(state, *image.config["Entrypoint"], *image.config["Cmd"], **variables)
    with log.open("wb") as output:
        worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        assert wait_until_ready(f"http://127.0.0.1:{port}/readyz", worker), log_tail(log)
        healthy = image.run(state, *health, **variables)
        assert healthy.returncode == 0, healthy.stderr
        settings = load(ROOT / "deploy" / "truecount.toml", variables)
        truecount = Installation(kafka_server.address, tmp_path, {"view": "views"}, Path(CONFIG), settings)
        truecount.send("views", events(2000))
        truecount.wait_drained(2000)
    finally:
        worker.terminate()
        code = worker.wait(60)
    assert code == 0, log_tail(log)
    assert list(state.iterdir()), "the state is on the volume"
    assert image.run(state, *health, **variables).returncode != 0, "healthy after the worker has stopped"
