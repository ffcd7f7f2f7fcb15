"""What the metrics show of a task's partition is what its outputs and its state say."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from detectors.cases.statuses import ACCUSING
from detectors.events.event import METRICS
from detectors.events.key import VIEW, key_of, metric_name_of
from detectors.records import Outcome
from detectors.state.ledger import UNDONE
from streams.metrics import REGISTRY
from streams.targets.step import PartitionAudit, audit_settings
from tests.streams.state.test_disk import MARKER, Plant
from tests.streams.state.test_sealed import log_of

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

TARGETS = "truecount_targets", (("partition", "0"),)


def samples() -> Samples:
    """All that is exposed now."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
    }


class Shown:
    """A log of bought bursts, duplicates or late and undone events, taken by one task; how the metrics moved by it."""

    def __init__(self, kind: str) -> None:
        self.before = before = samples()
        with tempfile.TemporaryDirectory() as directory:
            self.plant = Plant(Path(directory), kind, budget_bytes=1 << 30)
            self.plant.work(self.plant.size)
            task = self.plant.task
            assert task is not None
            task.heartbeat(0, at_end=False)
            self.audit = task.audit
            self.during = samples()
            self.moved = {key: value - before.get(key, 0.0) for key, value in self.during.items()}
            self.plant.stop()
        self.after = samples()

    def of(self, name: str, **labels: str) -> float:
        """By how much a metric has moved."""
        return self.moved.get((f"truecount_{name}", tuple(sorted(labels.items()))), 0.0)

    def shown(self, name: str, **labels: str) -> float:
        """The value of a gauge. What a task of another test left there was replaced."""
        return self.during[f"truecount_{name}", tuple(sorted(labels.items()))]

    def records(self, topic: str) -> list[dict[str, Any]]:
        """The values of an output topic."""
        return [json.loads(record.value) for record in self.plant.kafka.log(topic) if record is not MARKER]


@cache
def shown(kind: str) -> Shown:
    return Shown(kind)


KINDS = pytest.mark.parametrize("kind", ["duplicates", "late and undone", "historic and without actors"])


@KINDS
def test_flags_and_corrections_are_counted_as_they_go_out(kind: str) -> None:
    seen = shown(kind)
    topics = seen.plant.topics
    flags = Counter((f["metric"], f["verdict"], f["status"]) for f in seen.records(topics.flagged_events))
    assert flags
    for (metric, verdict, status), count in flags.items():
        assert seen.of("flags_total", metric=metric, verdict=verdict, status=status) == count
    moved: Counter[tuple[str, str]] = Counter()
    for correction in seen.records(topics.corrections):
        moved[correction["metric"], correction["to"]] += correction["count"]
    for (metric, to), events in moved.items():
        assert seen.of("corrected_events_total", metric=metric, to=to) == events


@KINDS
def test_opened_flags_are_counted_by_their_leading_reason_and_only_those_that_accuse(kind: str) -> None:
    seen = shown(kind)
    opened = [
        f
        for f in seen.records(seen.plant.topics.flagged_events)
        if f["status"] == "opened" and f["verdict"] in ACCUSING
    ]
    leading = Counter(f["reasons"][1]["code"] for f in opened)
    assert leading
    for code, count in leading.items():
        assert seen.of("flag_reasons_total", metric="view", reason=code) == count
    total = sum(value for (name, _), value in seen.moved.items() if name == "truecount_flag_reasons_total")
    assert total == len(opened)


@KINDS
def test_the_parts_of_all_counts_are_those_of_the_ledgers_while_the_task_is_here(kind: str) -> None:
    seen = shown(kind)
    ledgers = [state.ledger for key, state in seen.plant.keyed_state().items() if key.startswith(b"w/0")]
    parts = {
        "valid": sum(ledger.valid for ledger in ledgers),
        "invalid": sum(sum(ledger.invalid.values()) - ledger.invalid.get(UNDONE, 0) for ledger in ledgers),
        "quarantined": sum(ledger.quarantined for ledger in ledgers),
        UNDONE: sum(ledger.invalid.get(UNDONE, 0) for ledger in ledgers),
    }
    for part, events in parts.items():
        assert seen.shown("counted_events", partition="0", metric="view", part=part) == events
    assert seen.shown("targets", partition="0") == len(seen.plant.keyed_state())
    assert TARGETS not in seen.after


@KINDS
def test_what_an_audit_counts_on_the_way_is_shown(kind: str) -> None:
    seen, outcome = shown(kind), Outcome()
    audit = PartitionAudit(audit_settings(seen.plant.settings, 0))
    for offset, value in enumerate(log_of(kind)):
        audit.apply(value, offset, outcome)
    plain = {
        "late_events": outcome.late,
        "historic_events": outcome.historic,
        "duplicate_events": outcome.duplicates,
        "unmatched_undos": outcome.unmatched_undos,
        "windows_closed": outcome.windows,
        "looks_put_off": outcome.put_off,
    }
    assert {name: seen.of(f"{name}_total") for name in plain} == plain
    assert sum(plain.values()) > 0
    assert [seen.of("events_total", metric=metric) for metric in METRICS] == outcome.entered
    assert [seen.of("withheld_verdicts_total", metric=metric) for metric in METRICS] == outcome.withheld
    hits: Counter[tuple[str, str]] = Counter()
    for hit in outcome.hits:
        hits[metric_name_of(hit.key), hit.reason] += hit.events
    assert {
        (metric, reason): seen.of("rejected_events_total", metric=metric, reason=reason) for metric, reason in hits
    } == hits
    assert (
        {verdict: seen.of("judged_windows_total", verdict=verdict) for verdict in outcome.judged}
        == outcome.judged
        != {}
    )
    assert (
        {
            (detector, verdict): seen.of("detector_witnesses_total", detector=detector, verdict=verdict)
            for detector, verdict in outcome.witnesses
        }
        == outcome.witnesses
        != {}
    )


@KINDS
def test_the_time_that_a_partition_has_reached_is_shown(kind: str) -> None:
    seen = shown(kind)
    sample = "truecount_event_time_seconds", (("partition", "0"),)
    assert seen.during[sample] == seen.audit.now_ms / 1000 > 0
    assert sample not in seen.after


def test_a_heartbeat_shows_what_has_changed_since_the_last_checkpoint(tmp_path: Path) -> None:
    plant = Plant(tmp_path, "duplicates", budget_bytes=1 << 30)
    plant.work(plant.size)
    task = plant.task
    assert task is not None
    before = samples()
    task.audit.audit.target_states.change(key_of(VIEW, "new")).ledger.accept(7)
    assert samples()[TARGETS] == before[TARGETS]
    task.heartbeat(0, at_end=False)
    counted = "truecount_counted_events", (("metric", "view"), ("part", "valid"), ("partition", "0"))
    assert samples()[TARGETS] == before[TARGETS] + 1
    assert samples()[counted] == before[counted] + 7
    plant.stop()
