"""Backtests of scenarios (in a pool of processes) and of labelled files, as reports."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import orjson

from detectors.accounts.settings import AccountSettings
from detectors.audit import AuditSettings
from detectors.lab.backtest import METHOD, RUN_VIEWS, judge_stream, run
from detectors.lab.baselines import BASELINES
from detectors.lab.measure import Report
from detectors.lab.scenarios.registry import QUIET, SCENARIOS
from detectors.lab.scenarios.scene import BASE_RATE
from detectors.lab.traffic.platform import Labelled
from detectors.windows.scales import DAY_MS
from streams.offline.recorded.decoding import RowDecoder, events_of
from streams.offline.recorded.file import RecordedFile
from streams.offline.recorded.losses import Losses
from streams.offline.recorded.row import Row
from streams.settings.event_time import Time
from streams.settings.section import SettingsError
from streams.settings.settings import ReplayMap, load
from streams.targets.step import audit_settings

METHODS = (METHOD, *BASELINES)
ARTIFICIAL = ("1", "true", "yes", "y", "t", "artificial", "fraud", "fake", "bot", "spam", "bought", "invalid", "robot")
HONEST = ("0", "false", "no", "n", "f", "organic", "honest", "genuine", "human", "legit", "valid", "normal", "real")
CHUNK_EVENTS = 2000
FIGURE_NAMES = (
    "precision",
    "recall",
    "AP",
    "AUC",
    "flags",
    "flag precision",
    "wrong per M",
    "detect s",
    "share before",
    "error",
)
"""Columns of every table of figures, in the order of ``cells_of``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run scenarios: the options of ``truecount backtest``. ``views`` is the size of the background traffic."""

    methods: tuple[str, ...] = METHODS
    views: float = RUN_VIEWS
    base_rate: float = BASE_RATE
    strength: float = 1.0
    without_fields: tuple[str, ...] = ()
    without_detectors: tuple[str, ...] = ()
    config: Path | None = None
    """configuration with the ``[detection]`` to use; by default the default thresholds"""
    accounts: bool = False
    """whether accounts are observed beside the audits, as the role ``actors`` does"""


def scenario_ids() -> list[str]:
    """All scenarios and the quiet background, in the order of the tables."""
    return [*SCENARIOS, QUIET.id]


def kind_of(name: str) -> str:
    """overt, stealthy or honest; "file" for a recorded file."""
    if name == QUIET.id:
        return QUIET.kind
    return SCENARIOS[name].kind if name in SCENARIOS else "file"


def run_scenario(name: str, seed: int, plan: Plan) -> list[Report]:
    """Reports of all methods on one scenario. Raises NoSuchDetectorError."""
    began = time.monotonic()
    reports = run(
        name,
        seed,
        views=plan.views,
        base_rate=plan.base_rate,
        strength=plan.strength,
        without=plan.without_fields,
        methods=plan.methods,
        shadow=plan.without_detectors,
        settings=_audit_settings(plan),
        accounts=AccountSettings() if plan.accounts else None,
    )
    seconds = round(time.monotonic() - began, 1)
    return [replace(report, seconds=seconds) for report in reports]


def _audit_settings(plan: Plan) -> AuditSettings | None:
    """Settings of the audit. Loaded in the process that runs the scenario: models cannot be sent to it."""
    return None if plan.config is None else audit_settings(load(plan.config), 0)


def run_scenarios(
    jobs: list[tuple[str, int]], plan: Plan, progress: Callable[[str, int], None] = lambda *_: None
) -> list[Report]:
    """Reports of (scenario, seed) jobs in their order, run in at most one process a core."""
    done: dict[tuple[str, int], list[Report]] = {}
    # Spawned, not forked: the thread of a progress bar may be running.
    context = get_context("spawn")
    with ProcessPoolExecutor(max(1, min(len(jobs), os.cpu_count() or 1)), mp_context=context) as pool:
        waiting = {pool.submit(run_scenario, name, seed, plan): (name, seed) for name, seed in jobs}
        for future in as_completed(waiting):
            done[waiting[future]] = future.result()
            progress(waiting[future][0], len(done))
    return [report for job in jobs for report in done[job]]


def label_of(text: str, where: str = "the label") -> bool:
    """Whether a label means artificial. Raises SettingsError for an unknown label.

    >>> label_of("Fraud"), label_of("0"), label_of("organic"), label_of("1.0")
    (True, False, False, True)
    """
    label = text.strip().lower().removesuffix(".0")
    if label in ARTIFICIAL:
        return True
    if label in HONEST:
        return False
    raise SettingsError(
        f"{where} is {text!r}, which means neither artificial nor honest; use one of "
        f"{', '.join(ARTIFICIAL)}, or one of {', '.join(HONEST)}"
    )


def run_file(
    path: Path,
    layout: ReplayMap | None,
    column: str,
    plan: Plan,
    quiet_days: float | None = None,
    *,
    losses: Losses | None = None,
) -> list[Report]:
    """Reports on a labelled file. Baselines learn from its first ``quiet_days``, or from all of it if None.

    Without a layout, its columns must have native names. ``losses`` counts the records that became no event. The file
    is read into memory and sorted by time. Raises SettingsError.
    """
    began = time.monotonic()
    losses = Losses() if losses is None else losses
    rows = labelled_events(RecordedFile(path, layout), column, losses)
    if not rows:
        raise SettingsError(f"{losses.sentence(str(path))}. There is nothing to measure; check --map")
    rows.sort(key=lambda row: row.event.ts)
    quiet_until = None if quiet_days is None else rows[0].event.ts + round(quiet_days * DAY_MS)
    reports = judge_stream(
        _chunks(rows),
        path.name,
        quiet_until_ms=quiet_until,
        without=plan.without_fields,
        methods=plan.methods,
        shadow=plan.without_detectors,
        settings=_audit_settings(plan),
        accounts=AccountSettings() if plan.accounts else None,
    )
    seconds = round(time.monotonic() - began, 1)
    return [replace(report, seconds=seconds) for report in reports]


def labelled_events(recorded: RecordedFile, column: str, losses: Losses) -> list[Labelled]:
    """All events of a file with their labels. Raises SettingsError if a label is missing or unknown."""
    found: list[Labelled] = []
    # The times of a labelled file may start at 0: nothing here depends on the year.
    decoder = RowDecoder(recorded.input, Time(earliest=0), int(time.time() * 1000))
    with closing(recorded.rows()) as rows:
        for batch, documents, decoded in decoder.batches(rows):
            before = losses.records
            losses.records += len(batch)
            for row in batch:
                if row.reason is not None:
                    losses.refuse(str(row.reason), row.line, row.original, row.message, row.lines)
            for refusal in decoded.refused:
                row = documents[refusal.index]
                losses.refuse(str(refusal.reason), row.line, row.original, refusal.message)
            losses.skip(decoded.skipped)
            if decoded.good is None:
                continue
            numbers = [number for number, row in enumerate(batch, before + 1) if row.value is not None]
            for place, event in events_of(decoded.good):
                where = f"record {numbers[place]} of {recorded.path}"
                text = _label(documents[place], column, where)
                artificial = label_of(text, f"label {column} of {where}")
                found.append(Labelled(event, "file" if artificial else "", artificial))
    losses.events = len(found)
    return found


def _label(row: Row, column: str, where: str) -> str:
    document = orjson.loads((row.value or b"").decode("utf-8", "replace"))
    if not isinstance(document, dict) or column not in document:
        names = ", ".join(document) if isinstance(document, dict) else type(document).__name__
        raise SettingsError(f"{where} has no label {column!r}; it has {names}")
    return str(document[column])


def document(reports: list[Report], plan: Plan) -> dict[str, Any]:
    """All reports as one JSON document."""
    options = asdict(plan) | {"config": None if plan.config is None else str(plan.config)}
    return {"plan": options, "reports": [{"kind": kind_of(r.scenario), **asdict(r)} for r in reports]}


def _chunks(rows: list[Labelled]) -> Iterator[list[Labelled]]:
    for start in range(0, len(rows), CHUNK_EVENTS):
        yield rows[start : start + CHUNK_EVENTS]


def cells_of(report: Report) -> list[str]:
    """A report's figures as texts, in the order of FIGURE_NAMES."""
    return [
        _ratio(report.precision),
        _ratio(report.recall),
        _ratio(report.average_precision),
        _ratio(report.auc),
        f"{report.flags:,}",
        _ratio(report.flag_precision),
        f"{report.removed_honest_per_million:,.0f}",
        "–" if report.detect_seconds is None else f"{report.detect_seconds:,.0f}",
        _ratio(report.before_detection),
        _ratio(report.estimate_error),
    ]


ACCOUNT_FIGURE_NAMES = (
    "settled right",
    "not settled",
    "taken back",
    "bought actors automated",
    "honest actors automated",
    "other rulings",
    "removed on small targets",
)
"""Columns of the table about accounts, in the order of ``account_cells_of``."""


def account_cells_of(report: Report) -> list[str]:
    """A report's figures about accounts as texts, in the order of ACCOUNT_FIGURE_NAMES."""
    automated = report.rulings.get("automated", {"bought": 0, "honest": 0})
    others = [f"{kind} {sum(by.values()):,}" for kind, by in sorted(report.rulings.items()) if kind != "automated"]
    return [
        _of(report.settled_right, report.settled),
        f"{report.unsettled:,}",
        f"{report.reversed:,}",
        _of(automated["bought"], report.bought_actors),
        _of(automated["honest"], report.honest_actors),
        ", ".join(others) or "–",
        _of(report.removed_honest_small, report.honest_small),
    ]


def failure_sentence(report: Report) -> str | None:
    """What a run says of the exceptions that it has contained; None if there were none."""
    if not report.failures:
        return None
    parts = ", ".join(f"{part} {failures:,}" for part, failures in sorted(report.failures.items()))
    return (
        f"{report.scenario}/{report.seed}: {sum(report.failures.values()):,} exceptions were contained in detection "
        f"({parts}), so the figures lack what failed. The first one:\n{report.first_failure}"
    )


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" if whole else "–"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
