"""The dashboard *Operations*: whether truecount works, how fast, and how far behind."""

from __future__ import annotations

from deploy.grafana.panels import EVENTS_PER_SECOND, INSTANCE, Panel, chosen, process, quantile, rate

INPUT_LAG = chosen('truecount_lag_records{role="ingest"}')

STATS = (
    Panel(
        "Ready workers",
        "Workers whose /readyz answers 200. If one is missing, its /readyz has the reason.",
        "short",
        ((f"sum({chosen('truecount_ready')})", "ready"),),
        kind="stat",
        core=True,
        warn_below=1,
    ),
    Panel(
        "Broker reachable",
        "1 if every worker reaches the brokers that it needs, 0 if one does not.",
        "short",
        ((f"min({chosen('truecount_broker_reachable')})", "reachable"),),
        kind="stat",
        core=True,
        warn_below=1,
    ),
    Panel(
        "Tasks",
        "Tasks by role. A task is one role on one partition, so the sum of a role is its number of partitions.",
        "short",
        ((f"sum by (role) ({chosen('truecount_tasks')})", "{{role}}"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Since progress",
        "Time since the last progress of the slowest worker. Without input it rises too: compare the lag.",
        "s",
        ((f"max(time() - {chosen('truecount_last_progress_timestamp_seconds')})", "slowest"),),
        kind="stat",
        core=True,
        warn_above=120,
    ),
    Panel(
        "Failures in a row",
        "Failures of the worst task at one position. From five on, its partition is not audited.",
        "short",
        ((f"max({chosen('truecount_task_failures_in_a_row')})", "worst task"),),
        kind="stat",
        core=True,
        warn_above=5,
    ),
    Panel(
        "Restoring",
        "State records that running restores have not read yet. After a restart it falls to 0.",
        "short",
        ((f"sum({chosen('truecount_restore_remaining_records')})", "to read"),),
        kind="stat",
        core=True,
        warn_above=1,
    ),
    Panel(
        "Configuration",
        "1 if every worker has accepted its last reload (SIGHUP), 0 if one refused it.",
        "short",
        ((f"min({chosen('truecount_configuration_last_reload_successful')})", "accepted"),),
        kind="stat",
        core=True,
        warn_below=1,
    ),
    Panel(
        "Free disk",
        "Free part of the disk with the state directory, on the worker with least.",
        "percentunit",
        (
            (
                f"min({chosen('truecount_state_disk_free_bytes')} / {chosen('truecount_state_disk_size_bytes')})",
                "least",
            ),
        ),
        kind="stat",
        core=True,
        warn_below=0.1,
    ),
    Panel(
        "Memory used",
        "Resident memory as a part of what the worker may use, on the worker with most.",
        "percentunit",
        (
            (
                f"max({chosen('process_resident_memory_bytes')} / {chosen('truecount_memory_limit_bytes')})",
                "most",
            ),
        ),
        kind="stat",
        core=True,
        warn_above=0.9,
    ),
    Panel(
        "Open files",
        "Open file descriptors as a part of what the worker may have, on the worker with most.",
        "percentunit",
        (
            (
                f"max({process('process_open_fds')} / {process('process_max_fds')})",
                "most",
            ),
        ),
        kind="stat",
        core=True,
        warn_above=0.8,
    ),
    Panel(
        "Youngest worker",
        "Time since the last start of a worker.",
        "s",
        (("min(time() - " + process("process_start_time_seconds") + ")", "up"),),
        kind="stat",
        core=True,
    ),
    Panel(
        "Damaged state",
        "State records that could not be read and were skipped since the workers started. It should be 0.",
        "short",
        ((f"sum({chosen('truecount_damaged_state_records_total')})", "records"),),
        kind="stat",
        core=True,
        warn_above=1,
    ),
)

THROUGHPUT_AND_LAG = (
    Panel(
        "Events by metric",
        "Events audited per second.",
        EVENTS_PER_SECOND,
        ((rate(chosen("truecount_events_total"), "metric"), "{{metric}}"),),
        core=True,
    ),
    Panel(
        "Records read",
        "Kafka records read per second. In by-target a record is a frame of many events.",
        "reqps",
        ((rate(chosen("truecount_records_total"), "role", "topic"), "{{role}} {{topic}}"),),
        core=True,
    ),
    Panel(
        "Lag",
        "Records between the positions of tasks and the ends of their partitions. If it rises steadily, add workers.",
        "short",
        ((f"sum by (role, topic) ({chosen('truecount_lag_records')})", "{{role}} {{topic}}"),),
        core=True,
    ),
    Panel(
        "Time lag by source",
        "Age of the last event that was read, where more records wait; otherwise 0. The worst partition of each input.",
        "s",
        (
            (
                (
                    f"max by (topic) ((time() - {chosen('truecount_source_time_seconds')})"
                    f" * on (instance, topic, partition) (sum by (instance, topic, partition) ({INPUT_LAG}) > bool 0))"
                ),
                "{{topic}}",
            ),
        ),
        core=True,
    ),
    Panel(
        "Event-time delay",
        "Delay of event time behind wall time, in the slowest and the fastest partition. About ten seconds are "
        "the allowed lateness. In a replay of recorded events it is their age.",
        "s",
        (
            (f"max(time() - {chosen('truecount_event_time_seconds')})", "slowest"),
            (f"min(time() - {chosen('truecount_event_time_seconds')})", "fastest"),
        ),
        core=True,
    ),
    Panel(
        "Event to output",
        "Time from the last event that an output covers until readers can see it, median and 95th percentile. It has "
        "the allowed lateness in it, and for counts the time between two publications.",
        "s",
        tuple(
            (
                quantile(q, "truecount_output_latency_seconds", "output", only=INSTANCE),
                f"{{{{output}}}} {name}",
            )
            for q, name in ((0.5, "p50"), (0.95, "p95"))
        ),
    ),
    Panel(
        "Record to commit",
        "Time from the oldest record of a checkpoint to its commit, median and 95th percentile: truecount's own share "
        "of the delay.",
        "s",
        tuple(
            (
                quantile(q, "truecount_commit_latency_seconds", "role", only=INSTANCE),
                f"{{{{role}}}} {name}",
            )
            for q, name in ((0.5, "p50"), (0.95, "p95"))
        ),
        core=True,
    ),
    Panel(
        "Checkpoint and micro-batch time",
        "95th percentile of the duration of a checkpoint, and of a micro-batch without Kafka (the processor alone).",
        "s",
        (
            (
                quantile(0.95, "truecount_checkpoint_seconds", "role", only=INSTANCE),
                "checkpoint {{role}}",
            ),
            (quantile(0.95, "truecount_batch_seconds", "role", only=INSTANCE), "batch {{role}}"),
        ),
        core=True,
    ),
)

ERRORS_AND_PROCESS = (
    Panel(
        "Errors by component",
        "Per second. Input: records refused. Log: records that are no frames, or were deleted before they were read. "
        "Tasks: failures and failed checkpoints; a rebalance causes one. Detection: contained exceptions. State: "
        "damaged records.",
        "ops",
        (
            (rate(chosen("truecount_dead_letters_total")), "input: refused"),
            (rate(chosen("truecount_broken_frames_total")), "log: no frame"),
            (rate(chosen("truecount_deleted_records_total")), "log: deleted unread"),
            (rate(chosen("truecount_task_failures_total"), "role"), "task failed: {{role}}"),
            (rate(chosen('truecount_checkpoints_total{outcome="failed"}'), "role"), "checkpoint failed: {{role}}"),
            (rate(chosen("truecount_unjudged_windows_total")), "detection: not judged"),
            (rate(chosen("truecount_damaged_state_records_total")), "state: damaged"),
        ),
        core=True,
    ),
    Panel(
        "Bad input by reason",
        "Records refused per second. Each is in the dead-letters topic with its reason, topic, partition and offset.",
        "reqps",
        ((rate(chosen("truecount_dead_letters_total"), "reason") + " > 0", "{{reason}}"),),
        stacked=True,
    ),
    Panel(
        "Late and repeated events",
        "Late events are counted, but detection cannot use them. Duplicates and redelivered events were counted.",
        EVENTS_PER_SECOND,
        (
            (rate(chosen("truecount_late_events_total")), "late"),
            (rate(chosen("truecount_duplicate_events_total")), "duplicate id"),
            (rate(chosen("truecount_redelivered_events_total")), "redelivered"),
            (rate(chosen("truecount_unmatched_undos_total")), "undo without event"),
        ),
        core=True,
    ),
    Panel(
        "Checkpoints",
        "Checkpoints per second, by role and outcome.",
        "ops",
        ((rate(chosen("truecount_checkpoints_total"), "role", "outcome"), "{{role}} {{outcome}}"),),
        core=True,
    ),
    Panel(
        "Memory",
        "Resident memory of each worker. *Memory used*, at the top, compares it with the limit.",
        "bytes",
        ((f"sum by (instance) ({process('process_resident_memory_bytes')})", "{{instance}}"),),
        core=True,
    ),
    Panel(
        "Processor",
        "Processors that each worker uses. One worker cannot use more than one.",
        "short",
        ((rate(process("process_cpu_seconds_total"), "instance"), "{{instance}}"),),
        core=True,
    ),
    Panel(
        "Restarts",
        "Starts of workers in the last ten minutes, and failures of tasks at one position.",
        "short",
        (
            (
                "sum by (instance) (changes(" + process("process_start_time_seconds") + "[10m]))",
                "worker {{instance}}",
            ),
            (f"max by (role, topic) ({chosen('truecount_task_failures_in_a_row')})", "{{role}} {{topic}} in a row"),
        ),
        core=True,
    ),
    Panel(
        "Targets in memory",
        "Targets and metrics that are in memory as objects, and those that are evicted to the disk per second.",
        "short",
        (
            (f"sum({chosen('truecount_hot_keys')})", "in memory"),
            (rate(chosen("truecount_cooled_keys_total")), "evicted per second"),
        ),
        core=True,
    ),
)

PANELS = STATS + THROUGHPUT_AND_LAG + ERRORS_AND_PROCESS
