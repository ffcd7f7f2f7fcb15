"""Commands on the log: rebuild, repartition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from

if TYPE_CHECKING:
    from rich.progress import Progress

    from streams.maintenance.rebuild import Summary
    from streams.settings.settings import Settings


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(rebuild)
    app.command()(repartition)


def rebuild(
    start: Annotated[
        str,
        typer.Option(
            "--from",
            help="Where to start: beginning, an offset of each partition, or a time (ISO 8601).",
            show_default=False,
        ),
    ],
    into: Annotated[
        str, typer.Option(help="Name of the new installation, and prefix of its topics.", show_default=False)
    ],
    config: ConfigOption = None,
    servers: ServersOption = None,
    partition: Annotated[
        list[int] | None, typer.Option(help="Only this partition; may be repeated.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Audit the retained log again, under this configuration, into separate topics.

    Example: truecount rebuild --config new.toml --from 2026-03-01T00:00:00Z --into truecount-v2
    """
    import asyncio

    import orjson

    from streams.clock import SystemClock
    from streams.maintenance.rebuild import Start, parallel_settings
    from streams.maintenance.rebuild import rebuild as rebuild_log
    from streams.service.logs import configure

    live = settings_from(config, servers)
    settings = parallel_settings(live, into)
    begin = Start.parse(start)
    configure("WARNING")
    with _progress(quiet=as_json) as bar:
        rebuilding = rebuild_log(
            settings,
            begin,
            partitions=partition or None,
            unjudged=_unjudged(live),
            clock=SystemClock(),
            progress=_by_partition(bar),
        )
        summary = asyncio.run(rebuilding)
    if as_json:
        print(orjson.dumps(summary.as_dict()).decode())
        return
    _print(summary)


def _by_partition(bar: Any) -> Callable[[int, int, int], None]:
    """A function that shows the position of each partition (partition, position, end) in the progress bar."""
    shown: dict[int, Any] = {}

    def progress(partition: int, position: int, end: int) -> None:
        if partition not in shown:
            shown[partition] = bar.add_task(f"partition {partition}", total=end, completed=position)
        bar.update(shown[partition], completed=position)

    return progress


def _unjudged(live: Settings) -> dict[int, list[tuple[int, int]]]:
    """Positions that the live audit only counted; empty if it has no state."""
    from streams.kafka.topics import Topics, partitions_of
    from streams.maintenance.unjudged import unjudged_of

    topic = Topics.of(live).targets_state
    return {} if partitions_of(live, topic) is None else unjudged_of(live)


def repartition(
    partitions: Annotated[int, typer.Option(help="New number of partitions: a multiple of the current one.")],
    into: Annotated[str, typer.Option(help="Prefix of the new log and state topics.", show_default=False)],
    config: ConfigOption = None,
    servers: ServersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Split log and state into more partitions; stop all workers first.

    Example: truecount repartition --config truecount.toml --partitions 16 --into truecount.p16
    """
    import asyncio

    import orjson
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    from streams.clock import SystemClock
    from streams.maintenance.repartition import repartition as repartition_log
    from streams.maintenance.repartition import split
    from streams.service.logs import configure

    settings = settings_from(config, servers)
    after = split(settings, partitions, into)
    configure("WARNING")
    with Progress(TextColumn("{task.description}"), console=Console(stderr=True, quiet=as_json)) as bar:
        shown = bar.add_task("fencing")

        def progress(what: str, done: int, _of: int) -> None:
            bar.update(shown, description=f"{what}: {done:,}")

        summary = asyncio.run(repartition_log(settings, after, clock=SystemClock(), progress=progress))
    if as_json:
        print(orjson.dumps(asdict(summary)).decode())
        return
    console = Console()
    for name, value in asdict(summary).items():
        shown_value = f"{value:,}" if isinstance(value, int) else value
        console.print(f"{name:16} {shown_value}", markup=False, highlight=False)
    keys = f'partitions = {after.partitions}, log_prefix = "{after.log_prefix}", state_prefix = "{after.state_prefix}"'
    console.print(f"done; now set {keys}, and start the workers", markup=False, highlight=False)


def _print(summary: Summary) -> None:
    from rich.console import Console

    from streams.kafka.topics import BY_TARGET

    console = Console()
    facts = summary.as_dict()
    for part in summary.partitions:
        resumed = "" if part.resumed_at is None else f", continued from {part.resumed_at:,}"
        console.print(f"partition {part.partition}: offsets {part.start:,} to {part.end:,}{resumed}", highlight=False)
    for name in ("frames", "events", "broken", "flagged_events", "corrections", "audited_counts", "seconds"):
        console.print(f"{name.replace('_', ' '):16} {facts[name]:,}", highlight=False)
    console.print(f"{'config':16} {summary.config}", highlight=False)
    log_prefix = summary.log.removesuffix(BY_TARGET.suffix)
    keys = f'app = "{summary.app}", prefix = "{summary.prefix}", log_prefix = "{log_prefix}"'
    console.print(
        f"to follow the log from here on, set {keys}, and start `truecount worker --roles targets`",
        markup=False,
        highlight=False,
    )


def _progress(*, quiet: bool) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("offsets"),
        TimeRemainingColumn(),
        console=Console(stderr=True, quiet=quiet),
    )
