"""Commands that send events: replay a recorded file, simulate traffic."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from

if TYPE_CHECKING:
    from rich.progress import Progress

    from streams.offline import Summary
    from streams.recorded import RecordedFile
    from streams.settings import Settings

PROGRESS_EVERY = 2000


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(replay)
    app.command()(simulate)


def replay(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or NDJSON file, .gz too.", show_default=False)],
    map_file: Annotated[Path, typer.Option("--map", help="TOML map of the file.", show_default=False)],
    config: ConfigOption = None,
    servers: ServersOption = None,
    speed: Annotated[float, typer.Option(help="Event seconds per second; 0 is as fast as possible.", min=0)] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="No broker: write the outputs to --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="Directory for --offline.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Send a recorded file into the input topics, or audit it offline.

    Example: truecount replay reviews.csv.gz --map deploy/examples/reviews.toml --offline --out audited
    """
    from streams.recorded import RecordedFile
    from streams.settings import SettingsError, load_map

    settings = settings_from(config, servers)
    recorded = RecordedFile(file, load_map(map_file))
    if offline:
        if out is None:
            raise SettingsError("--offline needs --out DIR")
        summary = _offline(settings, recorded, out, quiet=as_json)
        _print(summary.as_dict(), as_json)
        return
    sent, bad = _online(settings, recorded, speed, quiet=as_json)
    _print({"records": sent, "unmapped": bad}, as_json)


def simulate(
    config: ConfigOption = None,
    servers: ServersOption = None,
    seconds: Annotated[float, typer.Option(help="How long, in seconds; 0 is until Ctrl-C.", min=0)] = 60,
    rate: Annotated[int, typer.Option(help="Events per second.", min=1)] = 2000,
    targets: Annotated[int, typer.Option(help="Number of targets.", min=10)] = 2000,
    attack: Annotated[bool, typer.Option(help="Lay a bought burst over it.")] = True,
    seed: Annotated[int, typer.Option(help="Seed of the traffic.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Play a platform's traffic in real time. Example: truecount simulate --rate 2000 --seconds 60"""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from streams.sending import Sender
    from streams.simulation import Simulation

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
                console.print("stopped")
        sender.flush()
        _print({"events": sender.sent, "bought_target": simulation.bought_target}, as_json)


def _offline(settings: Settings, recorded: RecordedFile, out: Path, *, quiet: bool) -> Summary:
    from streams import collector
    from streams.offline import Files, Offline

    files = Files(out)
    try:
        with _progress(quiet) as bar:
            task = bar.add_task("auditing", total=recorded.size_bytes)
            values = (value for _, value in recorded.events())
            collector.relax()
            return Offline(settings, files.write).run(
                values,
                lambda records: bar.update(
                    task, completed=recorded.read_bytes(), description=f"auditing {records:,} records"
                ),
            )
    finally:
        files.close()


def _online(settings: Settings, recorded: RecordedFile, speed: float, *, quiet: bool) -> tuple[int, int]:
    from streams.sending import Sender

    bad = 0
    began = time.monotonic()
    first: int | None = None
    with (
        Sender(settings, idempotent=settings.processing == "exactly_once") as sender,
        _progress(quiet) as bar,
    ):
        task = bar.add_task("sending", total=recorded.size_bytes)
        for event, value in recorded.events():
            if event is None:
                bad += 1
                sender.send(None, value)
            else:
                if speed > 0:
                    first = event.ts if first is None else first
                    ahead = (event.ts - first) / 1000 / speed - (time.monotonic() - began)
                    if ahead > 0:
                        time.sleep(ahead)
                sender.send(event.metric, value)
            if sender.sent % PROGRESS_EVERY == 0:
                bar.update(task, completed=recorded.read_bytes(), description=f"sent {sender.sent:,} records")
        sender.flush()
        bar.update(task, completed=recorded.size_bytes)
        return sender.sent, bad


def _progress(quiet: bool) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, quiet=quiet)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _print(facts: dict[str, object], as_json: bool) -> None:
    import orjson
    from rich.console import Console

    if as_json:
        print(orjson.dumps(facts).decode())
        return
    console = Console()
    for name, value in facts.items():
        shown = f"{value:,}" if isinstance(value, int) else value
        console.print(f"{name.replace('_', ' '):16} {shown}", highlight=False)
