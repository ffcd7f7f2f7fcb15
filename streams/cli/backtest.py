"""The command that measures detection: scenarios of the lab, or a labelled file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from detectors.events import FIELDS, REQUIRED
from detectors.lab.backtest import RUN_VIEWS, NoSuchDetectorError
from detectors.lab.measure import Report
from detectors.lab.scene import BASE_RATE
from streams.backtesting import HEADS, METHODS, Plan, cells_of, document, run_file, run_scenarios, scenario_ids
from streams.cli.backtest_page import page
from streams.cli.options import JsonOption
from streams.recorded import native_layout
from streams.settings import SettingsError, load, load_map

WIDE = 125
"""Columns of a terminal from which the table shows everything."""
ONLY_WIDE = ("AP", "AUC", "flag precision", "share before")
LEAVABLE = tuple(name for name in FIELDS if name not in REQUIRED)


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(backtest)


def backtest(
    what: Annotated[
        str | None, typer.Argument(help="Scenario id or labelled file (CSV, TSV, NDJSON, .gz).", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every scenario and the quiet background.")] = False,
    labels: Annotated[str | None, typer.Option(help="Label column of the file.", show_default=False)] = None,
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="TOML map of the file; without, columns are native.", show_default=False),
    ] = None,
    learn_days: Annotated[
        float | None,
        typer.Option(help="First days of a file that baselines learn from; without, all of it.", show_default=False),
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seed of a scenario; may be repeated.")] = None,
    views: Annotated[float, typer.Option(help="Background views of a scenario's run.", min=1000)] = RUN_VIEWS,
    base_rate: Annotated[float, typer.Option(help="Artificial share of a scenario's events.")] = BASE_RATE,
    strength: Annotated[float, typer.Option(help="Strength of the attack; 1 is the scenario's own.")] = 1.0,
    without_field: Annotated[list[str] | None, typer.Option(help="A field nobody sends; may be repeated.")] = None,
    without_detector: Annotated[list[str] | None, typer.Option(help="A detector without vote.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="TOML file whose [detection] is judged by.", show_default=False),
    ] = None,
    methods: Annotated[str, typer.Option(help="Comma-separated: truecount and baselines.")] = ",".join(METHODS),
    html: Annotated[Path | None, typer.Option(help="Write a page with the curves here.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure detection against labels, beside the baselines. Example: truecount backtest botnet_burst --seed 7"""
    if config is not None:
        load(config)  # refused here, and not in another process
    plan = Plan(
        methods=_chosen("method", methods.split(","), METHODS),
        views=views,
        base_rate=base_rate,
        strength=strength,
        without_fields=_chosen("field", without_field or [], LEAVABLE),
        without_detectors=tuple(without_detector or []),
        config=config,
    )
    try:
        reports = _reports(what, every, labels, map_file, learn_days, seed or [1], plan, quiet=as_json)
    except NoSuchDetectorError as error:
        raise SettingsError(str(error)) from None
    if html is not None:
        try:
            html.write_text(page(reports))
        except OSError as error:
            raise SettingsError(f"cannot write {html}: {error.strerror}") from None
    if as_json:
        print(orjson.dumps(document(reports, plan)).decode())
    else:
        console = Console()
        console.print(table_of(reports, console.width))
        if any(report.witnesses for report in reports):
            console.print(witnesses_of(reports))


def _reports(
    what: str | None,
    every: bool,
    labels: str | None,
    map_file: Path | None,
    learn_days: float | None,
    seeds: list[int],
    plan: Plan,
    *,
    quiet: bool,
) -> list[Report]:
    names = scenario_ids()
    if every == (what is not None):
        raise SettingsError("say either a scenario or a file, or --all")
    if not every and what not in names:
        path = Path(what or "")
        if not path.exists():
            raise SettingsError(f"{what!r} is neither a file nor a scenario; scenarios: {', '.join(names)}")
        if labels is None:
            raise SettingsError(f"--labels COLUMN is missing: which column of {path} says what is artificial?")
        layout = load_map(map_file) if map_file is not None else native_layout(path)
        learned = "all of it" if learn_days is None else f"its first {learn_days:g} days"
        Console(stderr=True, quiet=quiet).print(f"{path}: baselines learn their thresholds from {learned}")
        return run_file(path, layout, labels, plan, learn_days)
    if labels is not None or map_file is not None:
        raise SettingsError("--labels and --map belong to a file; a scenario has its own labels")
    jobs = [(name, one) for name in (names if every else [what or ""]) for one in seeds]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True, quiet=quiet)) as bar:
        task = bar.add_task("backtest", total=len(jobs))
        return run_scenarios(jobs, plan, lambda name, n: bar.update(task, completed=n, description=name))


def _chosen(kind: str, names: list[str], known: tuple[str, ...]) -> tuple[str, ...]:
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
