"""Runs the backtest of a command, and makes its tables."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from detectors.events.event import FIELDS, REQUIRED
from detectors.lab.backtest import METHOD
from detectors.lab.measure import Report
from streams.offline.backtest import (
    ACCOUNT_FIGURE_NAMES,
    FIGURE_NAMES,
    METHODS,
    Plan,
    account_cells_of,
    cells_of,
    run_file,
    run_scenarios,
    scenario_ids,
)
from streams.offline.recorded.losses import Losses
from streams.settings.section import SettingsError
from streams.settings.settings import load, load_map

WIDE = 125
"""Width of a terminal from which on the table has all columns."""
ONLY_WIDE = ("AP", "AUC", "flag precision", "share before")
OPTIONAL_FIELDS = tuple(name for name in FIELDS if name not in REQUIRED)


def reports_of(
    what: str | None,
    every: bool,
    labels: str | None,
    map_file: Path | None,
    learn_days: float | None,
    seeds: list[int],
    plan: Plan,
    losses: Losses,
    *,
    quiet: bool,
) -> list[Report]:
    """Run a scenario, a labelled file, or all scenarios.

    ``losses`` counts the records of a file that became no event. Raises SettingsError.
    """
    names = scenario_ids()
    if every == (what is not None):
        raise SettingsError("give either a scenario or a file, or --all")
    if not every and what not in names:
        path = Path(what or "")
        if not path.exists():
            raise SettingsError(f"{what!r} is neither a file nor a scenario; the scenarios are {', '.join(names)}")
        if labels is None:
            raise SettingsError(f"--labels is missing: name the column of {path} with the labels")
        layout = None if map_file is None else load_map(map_file)
        learned = "all of it" if learn_days is None else f"its first {learn_days:g} days"
        Console(stderr=True, quiet=quiet).print(f"{path}: baselines learn their thresholds from {learned}")
        return run_file(path, layout, labels, plan, learn_days, losses=losses)
    if labels is not None or map_file is not None:
        raise SettingsError("--labels and --map are for files only: a scenario has its own labels")
    jobs = [(name, seed) for name in (names if every else [what or ""]) for seed in seeds]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True, quiet=quiet)) as bar:
        task = bar.add_task("backtest", total=len(jobs))
        return run_scenarios(jobs, plan, lambda name, n: bar.update(task, completed=n, description=name))


def check_config(path: Path | None) -> None:
    """Refuse a bad configuration here, not in the process that runs a scenario. Raises SettingsError."""
    if path is not None:
        load(path)


def check_methods(names: str) -> tuple[str, ...]:
    """The methods of a comma-separated list, if all are known. Raises SettingsError."""
    return check_names("method", names.split(","), METHODS)


def check_names(kind: str, names: list[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """The names, if all of them are known. Raises SettingsError."""
    for name in names:
        if name not in known:
            raise SettingsError(f"unknown {kind} {name!r}; known are {', '.join(known)}")
    return tuple(names)


def table_of(reports: list[Report], width: int = 160) -> Table:
    """The figures as a table; a dash means that there is nothing to divide by.

    A narrow table has fewer columns, and each scenario on a line above its methods.
    """
    table = Table(title="Backtest: events right and wrong, times in event time", box=SIMPLE_HEAD, pad_edge=False)
    seeds = len({report.seed for report in reports}) > 1
    wide = width >= WIDE
    for name in ("scenario", "method") if wide else ("method",):
        table.add_column(name, no_wrap=True)
    shown = [name for name in FIGURE_NAMES if wide or name not in ONLY_WIDE]
    for name in shown:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    before = None
    for report in reports:
        run = (report.scenario, report.seed)
        if before is not None and run != before:
            table.add_section()
        name = "" if run == before else f"{report.scenario} {report.seed}" if seeds else report.scenario
        before = run
        cells = dict(zip(FIGURE_NAMES, cells_of(report), strict=True))
        figures = [cells[head] for head in shown]
        if wide:
            table.add_row(name, report.method, *figures)
            continue
        if name:
            table.add_row(f"[bold]{name}[/bold]")
        table.add_row(f" {report.method}", *figures)
    return table


def detector_table(reports: list[Report]) -> Table:
    """Number of judged windows in which each detector, including those in shadow, had evidence."""
    flagged = sum(n for report in reports for verdict, n in report.judged.items() if verdict != "none")
    others = sum(report.judged.get("none", 0) for report in reports)
    title = f"Detectors: evidence in {flagged:,} flagged windows and {others:,} surges that were not flagged"
    table = Table("detector", title=title, box=SIMPLE_HEAD, pad_edge=False)
    for head in ("evidence in\nflagged windows", "evidence in\nother surges"):
        table.add_column(head, justify="right")
    for name in sorted({name for report in reports for name in report.witnesses}):
        by_report = [report.witnesses.get(name, {}) for report in reports]
        in_flagged = sum(
            n for verdicts in by_report for verdict, n in verdicts.items() if verdict not in ("none", "failed")
        )
        table.add_row(name, f"{in_flagged:,}", f"{sum(verdicts.get('none', 0) for verdicts in by_report):,}")
    return table


def account_table(reports: list[Report]) -> Table:
    """What the conduct of accounts decided: settled cases, rulings on actors, honest events lost on small targets."""
    table = Table("scenario", title="Accounts: settlements of cases, and rulings on actors", box=SIMPLE_HEAD)
    for head in ACCOUNT_FIGURE_NAMES:
        table.add_column(head, justify="right", overflow="fold")
    seeds = len({report.seed for report in reports}) > 1
    for report in reports:
        if report.method == METHOD:
            table.add_row(f"{report.scenario} {report.seed}" if seeds else report.scenario, *account_cells_of(report))
    return table
