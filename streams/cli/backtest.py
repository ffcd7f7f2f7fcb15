"""The command that measures detection: scenarios of the lab, or a labelled file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import AllowBadOption, JsonOption

RUN_VIEWS = 400_000.0
BASE_RATE = 0.01
METHODS = "truecount,count_threshold,wikimedia_rules,half_space_trees"
"""The defaults of ``detectors.lab`` and ``streams.offline.backtest``, which the help must not import."""


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(backtest)


def backtest(
    what: Annotated[
        str | None,
        typer.Argument(help="Scenario id or labelled file (CSV, TSV, NDJSON, JSON, Parquet).", show_default=False),
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
    methods: Annotated[str, typer.Option(help="Comma-separated: truecount and baselines.")] = METHODS,
    html: Annotated[Path | None, typer.Option(help="Write a page with the curves here.", show_default=False)] = None,
    allow_bad: AllowBadOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure detection against labels, beside the baselines. Example: truecount backtest botnet_burst --seed 7"""
    import orjson
    from rich.console import Console

    from detectors.lab.backtest import NoSuchDetectorError
    from streams.cli.backtest_page import page
    from streams.cli.backtest_table import LEAVABLE, chosen, reports_of, table_of, witnesses_of
    from streams.cli.losses import hold_to_account
    from streams.offline.backtest import METHODS as KNOWN_METHODS
    from streams.offline.backtest import Plan, document
    from streams.offline.recorded.losses import Losses
    from streams.settings.section import SettingsError
    from streams.settings.settings import load

    if config is not None:
        load(config)  # refused here, and not in another process
    plan = Plan(
        methods=chosen("method", methods.split(","), KNOWN_METHODS),
        views=views,
        base_rate=base_rate,
        strength=strength,
        without_fields=chosen("field", without_field or [], LEAVABLE),
        without_detectors=tuple(without_detector or []),
        config=config,
    )
    losses = Losses()
    try:
        reports = reports_of(what, every, labels, map_file, learn_days, seed or [1], plan, losses, quiet=as_json)
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
    if losses.records:
        hold_to_account(losses, what or "", allow_bad=allow_bad)
