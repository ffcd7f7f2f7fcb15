"""The command backtest: measures detection on scenarios of the lab, or on a labelled file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import AllowBadOption, JsonOption

if TYPE_CHECKING:
    from detectors.lab.measure import Report
    from streams.offline.backtest import Plan

RUN_VIEWS = 400_000.0
BASE_RATE = 0.01
METHODS = "truecount,count_threshold,wikimedia_rules,half_space_trees"
"""Copies of the defaults of ``detectors.lab`` and ``streams.offline.backtest``, which the help must not import."""


WhatArgument = Annotated[
    str | None,
    typer.Argument(help="Scenario id or labelled file (CSV, TSV, NDJSON, JSON, Parquet).", show_default=False),
]
AllOption = Annotated[bool, typer.Option("--all", help="Run every scenario and the quiet background.")]
LabelsOption = Annotated[str | None, typer.Option(help="Column of the file with the labels.", show_default=False)]
MapOption = Annotated[
    Path | None,
    typer.Option("--map", help="TOML map of the file; by default columns have native names.", show_default=False),
]
LearnDaysOption = Annotated[
    float | None,
    typer.Option(help="First days of a file that baselines learn from; by default the whole file.", show_default=False),
]
SeedOption = Annotated[list[int] | None, typer.Option(help="Seed of a scenario; may be repeated.")]
ViewsOption = Annotated[float, typer.Option(help="Background views of a scenario.", min=1000)]
BaseRateOption = Annotated[float, typer.Option(help="Artificial share of a scenario's events.")]
StrengthOption = Annotated[float, typer.Option(help="Strength of the attack; 1 is the scenario's own.")]
WithoutFieldOption = Annotated[list[str] | None, typer.Option(help="A field that no event has; may be repeated.")]
WithoutDetectorOption = Annotated[list[str] | None, typer.Option(help="A detector without a vote; may be repeated.")]
DetectionOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file with the [detection] to use.", show_default=False)
]
AccountsOption = Annotated[bool, typer.Option("--accounts", help="Observe accounts too, as the role actors does.")]
MethodsOption = Annotated[str, typer.Option(help="Methods to compare, comma-separated.")]
HtmlOption = Annotated[
    Path | None, typer.Option(help="Write an HTML page with curves to this file.", show_default=False)
]


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(backtest)


def backtest(
    what: WhatArgument = None,
    every: AllOption = False,
    labels: LabelsOption = None,
    map_file: MapOption = None,
    learn_days: LearnDaysOption = None,
    seed: SeedOption = None,
    views: ViewsOption = RUN_VIEWS,
    base_rate: BaseRateOption = BASE_RATE,
    strength: StrengthOption = 1.0,
    without_field: WithoutFieldOption = None,
    without_detector: WithoutDetectorOption = None,
    config: DetectionOption = None,
    accounts: AccountsOption = False,
    methods: MethodsOption = METHODS,
    html: HtmlOption = None,
    allow_bad: AllowBadOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure detection against labels, and compare it with baselines.

    Example: truecount backtest botnet_burst --seed 7
    """
    from detectors.lab.backtest import NoSuchDetectorError
    from streams.cli.backtest.table import OPTIONAL_FIELDS, check_config, check_methods, check_names, reports_of
    from streams.cli.losses import report_losses
    from streams.offline.backtest import Plan
    from streams.offline.recorded.losses import Losses
    from streams.settings.section import SettingsError

    check_config(config)
    plan = Plan(
        methods=check_methods(methods),
        views=views,
        base_rate=base_rate,
        strength=strength,
        without_fields=check_names("field", without_field or [], OPTIONAL_FIELDS),
        without_detectors=tuple(without_detector or []),
        config=config,
        accounts=accounts,
    )
    losses = Losses()
    try:
        reports = reports_of(what, every, labels, map_file, learn_days, seed or [1], plan, losses, quiet=as_json)
    except NoSuchDetectorError as error:
        raise SettingsError(str(error)) from None
    _show(reports, plan, html=html, as_json=as_json)
    if losses.records:
        report_losses(losses, what or "", allow_bad=allow_bad)


def _show(reports: list[Report], plan: Plan, *, html: Path | None, as_json: bool) -> None:
    import orjson
    from rich.console import Console

    from streams.cli.backtest.page import page
    from streams.cli.backtest.table import account_table, detector_table, table_of
    from streams.offline.backtest import document, failure_sentence
    from streams.settings.section import SettingsError

    if html is not None:
        try:
            html.write_text(page(reports))
        except OSError as error:
            raise SettingsError(f"cannot write to --html {html}: {error.strerror}") from None
    for sentence in filter(None, map(failure_sentence, reports)):
        print(sentence, file=sys.stderr)
    if as_json:
        print(orjson.dumps(document(reports, plan)).decode())
        return
    console = Console()
    console.print(table_of(reports, console.width))
    if any(report.witnesses for report in reports):
        console.print(detector_table(reports))
    if plan.accounts:
        console.print(account_table(reports))
