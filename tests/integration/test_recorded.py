"""A recorded file through a real Kafka: exact counts, the same offline, the same again from the log, byte for byte."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.recorded import prove
from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import install

DAYS = 6
VISITS_A_DAY = 5000
PAGES = 400
BURST = 600
"""Likes of one page in a quarter of an hour by eight accounts: something that has to be flagged."""
MIDDAY = datetime(2024, 5, 5, 12, 0, tzinfo=UTC)

MAP = """
[file]
format = "csv"
[map]
metric = {value = "like"}
ts = {path = "when", time = "%Y-%m-%d %H:%M:%S"}
actor = "who"
target = "page"
"""


def rows(seed: int) -> list[tuple[datetime, str, str]]:
    """Some thousand likes over several days, in time order, one burst among them."""
    rng = random.Random(seed)
    first = MIDDAY - timedelta(days=DAYS - 1, hours=12)
    made = [
        (
            first + timedelta(seconds=int(rng.random() * DAYS * 86_400)),
            f"reader{int(3000 * rng.random() ** 2)}",
            f"page{int(PAGES * rng.random() ** 3)}",
        )
        for _ in range(DAYS * VISITS_A_DAY)
    ]
    made += [(MIDDAY + timedelta(seconds=int(rng.random() * 900)), f"busy{n % 8}", "page33") for n in range(BURST)]
    return sorted(made)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_recorded_file_gives_the_same_online_offline_and_from_the_log(
    kafka: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    made = rows(seed=1)
    lines = ["when,who,page", *(f"{when:%Y-%m-%d %H:%M:%S},{who},{page}" for when, who, page in made)]
    lines.insert(1000, "not a time,reader1,page1")
    (tmp_path / "likes.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "map.toml").write_text(MAP)
    # A partition that waits for the sender must not count as idle: its next events would be late, not judged.
    truecount = install(kafka, tmp_path, unique, partitions=3, tick_seconds=10, counts_seconds=5, idle_seconds=10)

    proof = prove(truecount, tmp_path / "likes.csv", tmp_path / "map.toml", drain_seconds=90)

    assert proof.problems == []
    assert (proof.records, proof.unmapped, proof.raw) == (len(made) + 1, 1, len(made))
    assert proof.late == 0, "a replay sends in order, and sources wake together"
    assert ("page33", "like") in proof.flagged_targets
    assert proof.log_outputs > proof.targets
