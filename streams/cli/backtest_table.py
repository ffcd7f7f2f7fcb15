"""The backtest of a command, run and shown as tables."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from detectors.events.event import FIELDS, REQUIRED
from detectors.lab.measure import Report
from streams.offline.backtest import HEADS, Plan, cells_of, run_file, run_scenarios, scenario_ids
from streams.offline.recorded.losses import Losses
from streams.settings.section import SettingsError
from streams.settings.settings import load_map

WIDE = 125
"""Columns of a terminal from which the table shows everything."""
ONLY_WIDE = ("AP", "AUC", "flag precision", "share before")
LEAVABLE = tuple(name for name in FIELDS if name not in REQUIRED)


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
    """Run what the command asks for: a scenario, a labelled file, or all.

    ``losses`` takes what of a file became no event. Raises SettingsError.
    """
    names = scenario_ids()
    if every == (what is not None):
        raise SettingsError("say either a scenario or a file, or --all")
    if not every and what not in names:
        path = Path(what or "")
        if not path.exists():
            raise SettingsError(f"{what!r} is neither a file nor a scenario; scenarios: {', '.join(names)}")
        if labels is None:
            raise SettingsError(f"--labels COLUMN is missing: which column of {path} says what is artificial?")
        layout = None if map_file is None else load_map(map_file)
        learned = "all of it" if learn_days is None else f"its first {learn_days:g} days"
        Console(stderr=True, quiet=quiet).print(f"{path}: baselines learn their thresholds from {learned}")
        return run_file(path, layout, labels, plan, learn_days, losses=losses)
    if labels is not None or map_file is not None:
        raise SettingsError("--labels and --map belong to a file; a scenario has its own labels")
    jobs = [(name, one) for name in (names if every else [what or ""]) for one in seeds]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True, quiet=quiet)) as bar:
        task = bar.add_task("backtest", total=len(jobs))
        return run_scenarios(jobs, plan, lambda name, n: bar.update(task, completed=n, description=name))


def chosen(kind: str, names: list[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """The names, each of which must be known. Raises SettingsError."""
    for name in names:
        if name not in known:
            raise SettingsError(f"there is no {kind} {name!r}; there are {', '.join(known)}")
    return tuple(names)


def table_of(reports: list[Report], width: int = 160) -> Table:
    """The figures as a table; a dash where there is nothing to divide by.

    A narrow one leaves out what JSON has, and names each scenario on a line above its methods.
    """
    table = Table(title="Backtest: events right and wrong, times in event time", box=SIMPLE_HEAD, pad_edge=False)
    seeds = len({report.seed for report in reports}) > 1
    wide = width >= WIDE
    for name in ("scenario", "method") if wide else ("method",):
        table.add_column(name, no_wrap=True)
    shown = [name for name in HEADS if wide or name not in ONLY_WIDE]
    for name in shown:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    before = None
    for report in reports:
        run = (report.scenario, report.seed)
        if before is not None and run != before:
            table.add_section()
        name = "" if run == before else f"{report.scenario} {report.seed}" if seeds else report.scenario
        before = run
        cells = dict(zip(HEADS, cells_of(report), strict=True))
        figures = [cells[head] for head in shown]
        if wide:
            table.add_row(name, report.method, *figures)
            continue
        if name:
            table.add_row(f"[bold]{name}[/bold]")
        table.add_row(f" {report.method}", *figures)
    return table


def witnesses_of(reports: list[Report]) -> Table:
    """Of the windows that were judged, how many each detector spoke against, those in shadow too."""
    flagged = sum(n for report in reports for verdict, n in report.judged.items() if verdict != "none")
    others = sum(report.judged.get("none", 0) for report in reports)
    title = f"Detectors: of {flagged:,} windows that were flagged and {others:,} surges that were not"
    table = Table("detector", title=title, box=SIMPLE_HEAD, pad_edge=False)
    for head in ("spoke against\nflagged ones", "spoke against\nothers"):
        table.add_column(head, justify="right")
    for name in sorted({name for report in reports for name in report.witnesses}):
        told = [report.witnesses.get(name, {}) for report in reports]
        spoke = sum(n for verdicts in told for verdict, n in verdicts.items() if verdict not in ("none", "failed"))
        table.add_row(name, f"{spoke:,}", f"{sum(verdicts.get('none', 0) for verdicts in told):,}")
    return table
