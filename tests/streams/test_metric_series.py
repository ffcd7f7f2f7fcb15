"""Every series whose labels are known in advance exists, with value 0, before anything has happened."""

from __future__ import annotations

import subprocess
import sys

import pytest

CREATE = """
from prometheus_client import generate_latest
from streams import metric_series, metrics
metric_series.create({"ingest": ["views"], "targets": ["truecount.by-target"], "actors": []}, models=["mine"])
print(generate_latest(metrics.REGISTRY).decode())
"""

OF_TASKS = {
    "truecount_counted_events",
    "truecount_targets",
    "truecount_open_cases",
    "truecount_lag_records",
    "truecount_event_time_seconds",
    "truecount_actors_event_time_seconds",
    "truecount_accounts",
    "truecount_open_questions",
    "truecount_source_time_seconds",
    "truecount_views_told_at_once",
    "truecount_task_failures_in_a_row",
    "truecount_build_info",
}
"""Gauges that begin when a task opens (or the worker: its configuration), with the right value at once."""


@pytest.fixture(scope="module")
def page() -> list[str]:
    """What a worker exposes before its first record. A process of its own: others fill the registry of this one."""
    done = subprocess.run([sys.executable, "-c", CREATE], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_every_metric_but_those_of_tasks_has_a_series(page: list[str]) -> None:
    families = {line.split()[2] for line in page if line.startswith("# TYPE ")}
    with_series = {
        family
        for family in families
        if any(line.startswith((f"{family}{{", f"{family} ", f"{family}_bucket{{")) for line in page)
    }
    assert families - with_series == OF_TASKS


@pytest.mark.parametrize(
    "series",
    [
        'truecount_flag_reasons_total{metric="like",reason="lockstep"}',
        'truecount_flag_reasons_total{metric="view",reason="declared_robot"}',
        'truecount_corrected_events_total{metric="view",to="quarantined"}',
        'truecount_corrected_events_total{metric="view",to="few_networks"}',
        'truecount_detector_witnesses_total{detector="mine",verdict="failed"}',
        'truecount_deleted_records_total{role="ingest",topic="views"}',
        'truecount_records_total{role="targets",topic="truecount.by-target"}',
        'truecount_output_latency_seconds_count{output="flag"}',
        'truecount_detection_seconds_bucket{le="+Inf",metric="follow"}',
        'truecount_configuration_reloads_total{outcome="refused"}',
    ],
)
def test_a_series_is_0_from_the_start(page: list[str], series: str) -> None:
    assert f"{series} 0.0" in page


def test_no_series_has_the_time_of_its_creation(page: list[str]) -> None:
    assert not [line for line in page if line.partition("{")[0].partition(" ")[0].endswith("_created")]


def test_the_process_shows_its_processor_memory_files_and_start(page: list[str]) -> None:
    for name in (
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ):
        assert any(line.startswith(f"{name} ") for line in page), name
