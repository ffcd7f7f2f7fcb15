"""Commands that read the output topics: flags, counts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from
from streams.evidence.flag_text import flag_lines

if TYPE_CHECKING:
    from rich.console import Console


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(flags)
    app.command()(counts)


def flags(
    config: ConfigOption = None,
    servers: ServersOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new flags and print them.")] = False,
    from_dir: Annotated[
        Path | None,
        typer.Option("--from", help="Read the directory of an offline replay, not the topic.", show_default=False),
    ] = None,
    every_revision: Annotated[
        bool, typer.Option("--revisions", help="Show every revision, not only the newest.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the newest revision of each flag. Example: truecount flags --follow"""
    from rich.console import Console

    from streams.kafka.reader import Reader
    from streams.kafka.topics import Topics
    from streams.settings.section import SettingsError

    console = Console()
    if from_dir is not None:
        if follow:
            raise SettingsError("--follow cannot be used with --from: an offline replay writes no more flags")
        _show_flags(_flag_values(_recorded(from_dir), every_revision), console, as_json)
        return
    settings = settings_from(config, servers)
    reader = Reader(settings, Topics.of(settings).flagged_events)
    try:
        if follow:
            for record in reader.follow():
                _show_flag(record.value, console, as_json)
            return
        _show_flags(_flag_values((record.value for record in reader.to_end()), every_revision), console, as_json)
    finally:
        reader.close()


def _show_flags(values: Iterable[bytes], console: Console, as_json: bool) -> None:
    shown = 0
    for value in values:
        _show_flag(value, console, as_json)
        shown += 1
    if not (shown or as_json):
        console.print("no flags", highlight=False)


def counts(
    config: ConfigOption = None,
    servers: ServersOption = None,
    target: Annotated[str | None, typer.Option(help="Show only this target.", show_default=False)] = None,
    top: Annotated[int, typer.Option(help="Number of rows of the table; JSON has all.", min=1)] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the current audited counts. Example: truecount counts --target v42 --json"""
    import orjson

    from streams.kafka.reader import Reader
    from streams.kafka.topics import Topics

    settings = settings_from(config, servers)
    reader = Reader(settings, Topics.of(settings).audited_counts)
    latest: dict[bytes, dict[str, Any]] = {}
    try:
        for record in reader.to_end():
            row = orjson.loads(record.value)
            known = latest.get(record.key)
            # After a repartition, the count of a target may be in two partitions.
            if known is None or (row["as_of"], row["revision"]) >= (known["as_of"], known["revision"]):
                latest[record.key] = row
    finally:
        reader.close()
    rows = [row for _, row in sorted(latest.items())]
    if target is not None:
        rows = [row for row in rows if row["target"] == target]
    if as_json:
        for row in rows:
            sys.stdout.write(orjson.dumps(row).decode() + "\n")
        return
    _table(rows, top)


def _recorded(directory: Path) -> Iterator[bytes]:
    from streams.settings.section import SettingsError

    path = directory / "flagged-events.ndjson"
    try:
        with path.open("rb") as file:
            yield from (line.rstrip(b"\n") for line in file)
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {error.strerror}. --from must be the --out directory of truecount replay --offline"
        ) from None


def _flag_values(values: Iterable[bytes], every_revision: bool) -> Iterator[bytes]:
    import orjson

    latest: dict[str, tuple[int, bytes]] = {}
    for value in values:
        if every_revision:
            yield value
            continue
        flag = orjson.loads(value)
        known = latest.get(flag["flag_id"])
        if known is None or flag["revision"] > known[0]:
            latest[flag["flag_id"]] = (flag["revision"], value)
    yield from (value for _, value in latest.values())


def _show_flag(value: bytes, console: Console, as_json: bool) -> None:
    import orjson

    if as_json:
        sys.stdout.write(value.decode() + "\n")
        sys.stdout.flush()
        return
    for line in flag_lines(orjson.loads(value)):
        console.print(line, markup=False, highlight=False)


def _table(rows: list[dict[str, Any]], top: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{len(rows):,} counts; sum of raw {sum(row['raw'] for row in rows):,}")
    for name in ("target", "metric"):
        table.add_column(name)
    for name in ("raw", "valid", "quarantined", "invalid", "revision"):
        table.add_column(name, justify="right")
    for row in sorted(rows, key=lambda r: -r["raw"])[:top]:
        invalid = sum(row["invalid"].values())
        cells = [row["raw"], row["valid"], row["quarantined"], invalid, row["revision"]]
        table.add_row(row["target"], row["metric"], *(f"{cell:,}" for cell in cells))
    Console().print(table)
