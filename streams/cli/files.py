"""Commands: replay a recorded file, simulate traffic."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import AllowBadOption, ConfigOption, JsonOption, ServersOption, settings_from

if TYPE_CHECKING:
    from streams.offline.recorded.file import RecordedFile
    from streams.offline.recorded.losses import Losses
    from streams.offline.replay import Sent
    from streams.offline.summary import Summary
    from streams.settings.settings import Settings


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(replay)
    app.command()(simulate)


def replay(
    file: Annotated[
        Path, typer.Argument(help="CSV, TSV, NDJSON, JSON or Parquet file; gzip and zstd are read.", show_default=False)
    ],
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="TOML map of the file; by default columns have native names.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    servers: ServersOption = None,
    speed: Annotated[float, typer.Option(help="Event seconds per second; 0 is as fast as possible.", min=0)] = 0,
    offline: Annotated[
        bool, typer.Option("--offline", help="Audit without a broker, and write the outputs to --out.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Output directory of --offline.", show_default=False)] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Processes of --offline; by default one a core, and one for a small file.", min=1, show_default=False
        ),
    ] = None,
    allow_bad: AllowBadOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send a recorded file to the input topics, or audit it offline.

    Exits with 1 if there are no events, or if more than 1 % are dead letters or late.

    Example: truecount replay reviews.csv.gz --map deploy/examples/reviews.toml --offline --out audited
    """
    from streams.cli.losses import print_facts, report_losses
    from streams.offline.recorded.file import RecordedFile
    from streams.offline.summary import Summary
    from streams.settings.section import SettingsError
    from streams.settings.settings import load_map

    clock_ms = int(time.time() * 1000)
    settings = settings_from(config, servers)
    if offline and out is None:
        raise SettingsError("--offline needs an output directory; add --out DIR")
    recorded = RecordedFile(file, None if map_file is None else load_map(map_file))
    summary: Summary | Sent
    if out is not None and offline:
        summary, losses = _offline(settings, recorded, out, clock_ms, jobs=jobs, quiet=as_json)
    else:
        summary, losses = _online(settings, recorded, speed, clock_ms, quiet=as_json)
    print_facts(summary.as_dict(), as_json)
    if isinstance(summary, Summary) and not (summary.flags or summary.rule_bursts or as_json):
        print(f"no flags in {summary.events:,} events of {summary.targets:,} targets")
    report_losses(losses, str(file), allow_bad=allow_bad)


def simulate(
    config: ConfigOption = None,
    servers: ServersOption = None,
    seconds: Annotated[float, typer.Option(help="Duration in seconds; 0 is until Ctrl-C.", min=0)] = 60,
    rate: Annotated[int, typer.Option(help="Events per second.", min=1)] = 2000,
    targets: Annotated[int, typer.Option(help="Number of targets.", min=10)] = 2000,
    attack: Annotated[bool, typer.Option(help="Add a bought burst.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of the traffic.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Send simulated traffic in real time. Example: truecount simulate --rate 2000 --seconds 60"""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from streams.cli.losses import print_facts
    from streams.kafka.sender import Sender
    from streams.offline.simulation import Simulation

    settings = settings_from(config, servers)
    simulation = Simulation(seed=seed, targets=targets, rate=rate, attack=attack)
    console = Console(stderr=True, quiet=as_json)
    began = time.monotonic()
    with Sender(settings, idempotent=settings.processing == "exactly_once") as sender:
        with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console) as bar:
            task = bar.add_task("sending", total=seconds or None)
            try:
                for batch in simulation.live(time.time, time.sleep, seconds):
                    for event in batch:
                        sender.send_event(event)
                    bar.update(task, completed=time.monotonic() - began, description=f"{sender.sent:,} events")
            except KeyboardInterrupt:
                console.print("stopped by Ctrl-C")
        sender.flush()
        print_facts({"events": sender.sent, "bought_target": simulation.bought_target}, as_json)


def _offline(
    settings: Settings, recorded: RecordedFile, out: Path, clock_ms: int, *, jobs: int | None, quiet: bool
) -> tuple[Summary, Losses]:
    from streams.cli.outputs.progress import ReplayProgress
    from streams.offline.pipeline import Files, audit_file
    from streams.offline.processes import jobs_for
    from streams.service import memory

    jobs = jobs_for(recorded.size_bytes, settings.partitions, jobs)
    files = Files(out, actors=settings.actors.enabled)
    memory.collect_rarely()
    try:
        with ReplayProgress(quiet=quiet) as progress:
            offline = audit_file(settings, recorded, files, clock_ms, progress.reached, jobs=jobs)
    finally:
        files.close()
    return offline.summary, offline.losses


def _online(
    settings: Settings, recorded: RecordedFile, speed: float, clock_ms: int, *, quiet: bool
) -> tuple[Sent, Losses]:
    from streams.cli.outputs.progress import ReplayProgress
    from streams.kafka.sender import Sender
    from streams.offline.replay import Replay

    with (
        Sender(settings, idempotent=settings.processing == "exactly_once") as sender,
        ReplayProgress(quiet=quiet) as progress,
    ):
        replay = Replay(settings, recorded, sender, speed=speed, clock_ms=clock_ms)
        return replay.run(progress.reached), replay.losses
