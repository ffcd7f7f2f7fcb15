"""All metrics that truecount exposes, with their meaning. docs/metrics.md is generated from this file.

The values of a label are a closed set (metric, reason, role, topic, partition, verdict, status, detector), never ids:
otherwise anyone who can send events could create series without bound.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from detectors.cases.statuses import ENDINGS, STATUSES
from detectors.catalog.registry import CROWD_DETECTORS
from detectors.events.event import METRICS
from detectors.failures import PARTS
from detectors.intake.rules.reasons import RULES
from streams.deadletters import SKIPPED, UNREAD, Why
from streams.grammar.fields import OPTIONAL

REGISTRY = CollectorRegistry()

RECORDS = Counter("truecount_records_total", "Records read, by role and topic.", ["role", "topic"], registry=REGISTRY)
EVENTS = Counter("truecount_events_total", "Events audited, by metric.", ["metric"], registry=REGISTRY)
DEAD_LETTERS = Counter("truecount_dead_letters_total", "Records refused, by reason.", ["reason"], registry=REGISTRY)
SKIPPED_RECORDS = Counter(
    "truecount_skipped_records_total",
    "Records and list elements that are skipped on purpose, by reason: tombstone, filtered, no_elements.",
    ["reason"],
    registry=REGISTRY,
)
UNREAD_FIELDS = Counter(
    "truecount_unread_fields_total",
    "Optional values that were dropped or cut, by field and reason. Their events are counted.",
    ["field", "reason"],
    registry=REGISTRY,
)
LATE = Counter("truecount_late_events_total", "Events counted after their window had closed.", registry=REGISTRY)
HISTORIC = Counter(
    "truecount_historic_events_total",
    "Events of a snapshot or a backfill. They are counted when they are read, and never judged.",
    registry=REGISTRY,
)
DUPLICATES = Counter("truecount_duplicate_events_total", "Events whose id was counted before.", registry=REGISTRY)
REJECTED = Counter(
    "truecount_rejected_events_total",
    "Events that were invalid on arrival, by metric and reason.",
    ["metric", "reason"],
    registry=REGISTRY,
)
UNMATCHED_UNDOS = Counter("truecount_unmatched_undos_total", "Undos without an event to undo.", registry=REGISTRY)
REDELIVERED = Counter(
    "truecount_redelivered_events_total", "Events skipped because their offset was read before.", registry=REGISTRY
)
BROKEN_FRAMES = Counter(
    "truecount_broken_frames_total", "Records of the log that are no frames and were skipped.", registry=REGISTRY
)
UNJUDGED_WINDOWS = Counter(
    "truecount_unjudged_windows_total",
    "Contained exceptions in detection, by part: a window was not judged, was not learned from, or was judged without"
    " a rule. Its events are counted.",
    ["part"],
    registry=REGISTRY,
)
UNJUDGED_STEPS = Counter(
    "truecount_unjudged_steps_total",
    "Records of the log whose events were counted but not judged, because auditing them failed.",
    registry=REGISTRY,
)
FAILED_STEPS = Counter(
    "truecount_failed_steps_total",
    "Failed attempts to audit a record of the log. Its task starts again after each.",
    registry=REGISTRY,
)
DELETED = Counter(
    "truecount_deleted_records_total",
    "Records that the broker deleted before they were read. Their events are in no count.",
    ["role", "topic"],
    registry=REGISTRY,
)
WINDOWS = Counter("truecount_windows_closed_total", "Windows closed, over all scales.", registry=REGISTRY)
COUNTED = Gauge(
    "truecount_counted_events",
    "Events this worker has audited, by the part of the count that they are in now: valid, invalid, quarantined.",
    ["metric", "part"],
    registry=REGISTRY,
)
FLAGS = Counter(
    "truecount_flags_total",
    "Flag revisions, by metric, verdict and status.",
    ["metric", "verdict", "status"],
    registry=REGISTRY,
)
FLAG_REASONS = Counter(
    "truecount_flag_reasons_total",
    "Flags opened, by metric and leading reason.",
    ["metric", "reason"],
    registry=REGISTRY,
)
JUDGED = Counter(
    "truecount_judged_windows_total",
    "Windows in a surge that were judged, by verdict (none, suspect, artificial).",
    ["verdict"],
    registry=REGISTRY,
)
WITNESSES = Counter(
    "truecount_detector_witnesses_total",
    "Judged windows that are rarer for a detector, with or without a vote, than one in a hundred honest windows, by"
    " verdict; failed if a configured model raised.",
    ["detector", "verdict"],
    registry=REGISTRY,
)
WITHHELD = Counter(
    "truecount_withheld_verdicts_total",
    "Verdicts that opened no flag because of the limit of false discoveries (false_discovery_rate), by metric.",
    ["metric"],
    registry=REGISTRY,
)
PUT_OFF = Counter(
    "truecount_looks_put_off_total",
    "Open windows that were due to be judged and were deferred to a later tick or their end: others deviated more.",
    registry=REGISTRY,
)
CORRECTED = Counter(
    "truecount_corrected_events_total",
    "Events moved by corrections, by the part that they are moved to.",
    ["metric", "to"],
    registry=REGISTRY,
)
LAG = Gauge(
    "truecount_lag_records",
    "Records between a task's position and the end of its partition.",
    ["role", "topic", "partition"],
    registry=REGISTRY,
)
EVENT_TIME = Gauge(
    "truecount_event_time_seconds",
    "Event time of a partition of by-target (unix seconds).",
    ["partition"],
    registry=REGISTRY,
)
VIEWS_AT_ONCE = Gauge(
    "truecount_views_told_at_once",
    "1 if likes and follows of a partition arrive after their views; 0 if they arrive before, or if there are none:"
    " then watch times and likes without views are judged later.",
    ["partition"],
    registry=REGISTRY,
)
TASKS = Gauge("truecount_tasks", "Tasks this worker owns.", ["role"], registry=REGISTRY)
TARGETS = Gauge("truecount_targets", "Targets and metrics whose state this worker owns.", registry=REGISTRY)
OPEN_CASES = Gauge("truecount_open_cases", "Flags that are open now.", registry=REGISTRY)
CHECKPOINTS = Counter(
    "truecount_checkpoints_total",
    "Checkpoints, by role and outcome (committed, failed).",
    ["role", "outcome"],
    registry=REGISTRY,
)
CHECKPOINT_SECONDS = Histogram(
    "truecount_checkpoint_seconds",
    "Duration of a checkpoint.",
    ["role"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "truecount_batch_seconds",
    "Duration of a micro-batch in a role, without Kafka.",
    ["role"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    registry=REGISTRY,
)
RESTORED = Counter("truecount_restored_records_total", "State records read by restores.", registry=REGISTRY)
RESTORING = Gauge(
    "truecount_restore_remaining_records", "State records still to be read by running restores.", registry=REGISTRY
)
DAMAGED_STATE = Counter(
    "truecount_damaged_state_records_total",
    "State records that could not be read and were skipped. The counts of their targets are incomplete.",
    registry=REGISTRY,
)
HOT_KEYS = Gauge("truecount_hot_keys", "Targets and metrics that are in memory as objects.", registry=REGISTRY)
COLD_KEYS = Counter(
    "truecount_cooled_keys_total", "Targets and metrics that were evicted from memory to the disk.", registry=REGISTRY
)
DISKLESS = Gauge(
    "truecount_tasks_without_disk",
    "Tasks whose state directory cannot be used. All of their state is in memory, whatever the budget is.",
    registry=REGISTRY,
)
LAST_PROGRESS = Gauge(
    "truecount_last_progress_timestamp_seconds",
    "When a task last took records or committed (unix seconds).",
    registry=REGISTRY,
)
READY = Gauge("truecount_ready", "1 if /readyz answers 200.", registry=REGISTRY)
RELOADS = Counter(
    "truecount_configuration_reloads_total",
    "Reloads of the configuration (SIGHUP), by outcome: applied, unchanged, refused.",
    ["outcome"],
    registry=REGISTRY,
)
INFO = Gauge(
    "truecount_build_info",
    "Always 1. Its labels are the version and the configuration.",
    ["version", "config"],
    registry=REGISTRY,
)


def _input_series() -> None:
    for why in Why:
        DEAD_LETTERS.labels(str(why))
    for reason in SKIPPED:
        SKIPPED_RECORDS.labels(reason)
    for name, reason in product(OPTIONAL, UNREAD):
        UNREAD_FIELDS.labels(name, str(reason))


def start(version: str, config: str, *, roles: Iterable[str]) -> None:
    """Set constant metrics, and create all known series as 0: a series that begins at 1 has no increase."""
    configured(version, config)
    for outcome in ("applied", "unchanged", "refused"):
        RELOADS.labels(outcome)
    _input_series()
    _show_zeros(UNJUDGED_WINDOWS, PARTS)
    for role in roles:
        for outcome in ("committed", "failed"):
            CHECKPOINTS.labels(role, outcome)
    for verdict in ("none", "suspect", "artificial"):
        JUDGED.labels(verdict)
        for detector in CROWD_DETECTORS:
            WITNESSES.labels(detector, verdict)
    for metric in METRICS:
        EVENTS.labels(metric)
        WITHHELD.labels(metric)
        for reason in RULES:
            REJECTED.labels(metric, reason)
        for part in ("valid", "invalid", "quarantined"):
            COUNTED.labels(metric, part)
        for verdict in ENDINGS:
            for status in STATUSES:
                FLAGS.labels(metric, verdict, status)


def _show_zeros(counter: Counter, labels: Iterable[str]) -> None:
    for label in labels:
        counter.labels(label)


def configured(version: str, config: str) -> None:
    """Expose the version and the present configuration."""
    INFO.clear()
    INFO.labels(version, config).set(1)


def forget(role: str, topic: str, partition: int) -> None:
    """Remove the lag of a partition that is no longer assigned. A role removes its own series itself."""
    remove(LAG, role, topic, str(partition))


def remove(gauge: Gauge, *labels: str) -> None:
    """Remove a series if it exists."""
    with contextlib.suppress(KeyError):
        gauge.remove(*labels)
