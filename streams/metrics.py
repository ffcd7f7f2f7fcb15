"""All metrics that truecount exposes, with their meaning. docs/metrics.md is generated from this file.

Their series are created with value 0 by ``streams.metric_series``, when a worker starts.

The values of a label are a closed set (metric, reason, role, topic, partition, verdict, status, detector), never ids:
otherwise anyone who can send events could create series without bound.
"""

from __future__ import annotations

import contextlib

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

# Otherwise each counter and histogram has a second series, with the time of its creation.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library does not annotate it

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600)
"""Seconds. An event is published after its tick and the allowed lateness: some twenty seconds by default."""

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
LATE = Counter(
    "truecount_late_events_total",
    "Events counted after their window had closed: detection cannot use them.",
    registry=REGISTRY,
)
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
UNDOS = Counter(
    "truecount_undos_total",
    "Undos of likes and follows, by what they found: a current like or follow (current); perhaps one from before"
    " relations were stored (unknown); nothing (unmatched); one that was read later (early; counted as unmatched"
    " before).",
    ["found"],
    registry=REGISTRY,
)
REDELIVERED = Counter(
    "truecount_redelivered_events_total", "Events skipped because their offset was read before.", registry=REGISTRY
)
BROKEN_FRAMES = Counter(
    "truecount_broken_frames_total", "Records of the log that are no frames and were skipped.", registry=REGISTRY
)
UNJUDGED_WINDOWS = Counter(
    "truecount_unjudged_windows_total",
    "Contained exceptions in detection, by part: a window was not judged, was not learned from, or was judged without"
    " a rule; or something was not concluded of accounts. All events are counted.",
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
    "Events of a partition of by-target, by the part of the count that they are in now: valid, invalid, quarantined,"
    " undone. Undone events were taken back by their own actor; an invalid count in audited-counts includes them.",
    ["partition", "metric", "part"],
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
    " verdict; failed if a configured model raised. Where more than 500 windows close together, a detector in shadow is"
    " asked about a sample of them and those with a verdict.",
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
SOURCE_TIME = Gauge(
    "truecount_source_time_seconds",
    "Latest event time that was read from a partition of an input (unix seconds). It stays while nothing arrives.",
    ["topic", "partition"],
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
TARGETS = Gauge(
    "truecount_targets",
    "Targets and metrics whose state a partition of by-target has.",
    ["partition"],
    registry=REGISTRY,
)
OPEN_CASES = Gauge(
    "truecount_open_cases", "Flags of a partition of by-target that are open now.", ["partition"], registry=REGISTRY
)
ACTOR_EVENT_TIME = Gauge(
    "truecount_actors_event_time_seconds",
    "Event time of a partition of by-actor (unix seconds).",
    ["partition"],
    registry=REGISTRY,
)
ACTOR_EVENTS = Counter("truecount_actor_events_total", "Events that the role actors has taken.", registry=REGISTRY)
ACCOUNTS = Gauge(
    "truecount_accounts", "Actors of which a partition of by-actor stores something.", ["partition"], registry=REGISTRY
)
RULINGS = Counter("truecount_rulings_total", "New or changed rulings on actors, by kind.", ["kind"], registry=REGISTRY)
REVERSED_RULINGS = Counter(
    "truecount_reversed_rulings_total", "Rulings on actors that were taken back, by kind.", ["kind"], registry=REGISTRY
)
OPEN_QUESTIONS = Gauge(
    "truecount_open_questions",
    "Questions of suspect cases that wait until their accounts' conduct settles them, by partition of by-actor.",
    ["partition"],
    registry=REGISTRY,
)
ANSWERED = Counter(
    "truecount_answered_questions_total",
    "Questions of suspect cases that the role actors has answered, by outcome: answered; refused, as too many were open"
    " or as it failed.",
    ["outcome"],
    registry=REGISTRY,
)
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
COMMIT_LATENCY = Histogram(
    "truecount_commit_latency_seconds",
    "Time from the oldest record of a checkpoint (its timestamp in Kafka) to the commit, which makes it readable.",
    ["role"],
    buckets=LATENCY_BUCKETS,
    registry=REGISTRY,
)
OUTPUT_LATENCY = Histogram(
    "truecount_output_latency_seconds",
    "Time from the latest event time that an output covers to the commit that makes it readable, by output: flag (each"
    " revision), count (each publication).",
    ["output"],
    buckets=LATENCY_BUCKETS,
    registry=REGISTRY,
)
DETECTION_SECONDS = Histogram(
    "truecount_detection_seconds",
    "Time from the onset of an incident (event time) to the commit of its first flag, by metric.",
    ["metric"],
    buckets=(1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 21600, 86400, 259200),
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "truecount_batch_seconds",
    "Duration of a micro-batch in a role, without Kafka.",
    ["role"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    registry=REGISTRY,
)
TASK_FAILURES = Counter(
    "truecount_task_failures_total",
    "Tasks that failed or could not be opened. Each starts again from its last checkpoint.",
    ["role"],
    registry=REGISTRY,
)
FAILURES_IN_A_ROW = Gauge(
    "truecount_task_failures_in_a_row",
    "Failures of a task without progress between them: it starts again at the same position.",
    ["role", "topic", "partition"],
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
DISK_FREE = Gauge(
    "truecount_state_disk_free_bytes", "Free space of the disk with the state directory.", registry=REGISTRY
)
DISK_SIZE = Gauge("truecount_state_disk_size_bytes", "Size of the disk with the state directory.", registry=REGISTRY)
MEMORY_LIMIT = Gauge(
    "truecount_memory_limit_bytes",
    "Memory that the worker may use: the least of its control group's limit, its resident limit (ulimit -m) and the"
    " machine's memory.",
    registry=REGISTRY,
)
LAST_PROGRESS = Gauge(
    "truecount_last_progress_timestamp_seconds",
    "When a task last took records or committed (unix seconds).",
    registry=REGISTRY,
)
READY = Gauge("truecount_ready", "1 if /readyz answers 200.", registry=REGISTRY)
BROKER_REACHABLE = Gauge(
    "truecount_broker_reachable",
    "1 while the brokers that this worker needs answer it: the leaders of its partitions, and the coordinator of the"
    " group.",
    registry=REGISTRY,
)
RELOADS = Counter(
    "truecount_configuration_reloads_total",
    "Reloads of the configuration (SIGHUP), by outcome: applied, unchanged, refused.",
    ["outcome"],
    registry=REGISTRY,
)
LAST_RELOAD_GOOD = Gauge(
    "truecount_configuration_last_reload_successful",
    "0 if the last reload of the configuration was refused: the worker continues with the old one.",
    registry=REGISTRY,
)
INFO = Gauge(
    "truecount_build_info",
    "Always 1. Its labels are the version and the configuration.",
    ["version", "config"],
    registry=REGISTRY,
)


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
