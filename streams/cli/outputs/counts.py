"""The command counts: the current audited counts, as a table of the top targets or as JSON."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from
from streams.cli.outputs.progress import ReadProgress

if TYPE_CHECKING:
    from detectors.records import Count
    from streams.settings.settings import Settings

LIMIT = 20
WIDE = 100
"""Columns of a terminal that has room for everything."""


class Part(StrEnum):
    """What ``--by`` sorts by."""

    RAW = "raw"
    VALID = "valid"
    QUARANTINED = "quarantined"
    REMOVED = "removed"


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(counts)


def counts(
    config: ConfigOption = None,
    servers: ServersOption = None,
    target: Annotated[str | None, typer.Option(help="Show only this target.", show_default=False)] = None,
    by: Annotated[
        Part | None,
        typer.Option(
            help="Sort by this, highest first (default: raw). Removed: quarantined and invalid, without undone.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "--top", help="Number of rows (default: 20; JSON: all).", min=1, show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the current audited counts. Example: truecount counts --by removed --limit 50"""
    settings = settings_from(config, servers)
    values, targets = _newest(settings, target)
    if not values:
        print(f"truecount: {_nothing(settings, target, targets)}", file=sys.stderr)
        return
    if as_json and by is None:
        for _, value in sorted(values.items())[:limit]:
            sys.stdout.write(value.decode() + "\n")
        return
    rows = _decoded(values.values())
    shown = _top(rows, by or Part.RAW, len(rows) if as_json and limit is None else limit or LIMIT)
    if not shown:
        print(f"truecount: no target has {by} events", file=sys.stderr)
    elif as_json:
        for row in shown:
            sys.stdout.write(values[f"{row.target}|{row.metric}".encode()].decode() + "\n")
    else:
        _print(rows, shown)


def _top(rows: list[Count], part: Part, size: int) -> list[Count]:
    """The first ``size`` counts by one part, the highest first. A count that has nothing removed is not among them."""
    amount = _amounts()[part]
    if part in {Part.QUARANTINED, Part.REMOVED}:
        rows = [row for row in rows if amount(row) > 0]
    return heapq.nsmallest(size, rows, key=lambda row: (-amount(row), row.target, row.metric))


def _newest(settings: Settings, target: str | None) -> tuple[dict[bytes, bytes], int]:
    """The newest value of each key, of one target if it is given; and the number of all keys."""
    import asyncio

    from streams.kafka.bulk_reader import newest_values
    from streams.kafka.topics import Topics
    from streams.service import memory

    memory.collect_rarely()
    topic = Topics.of(settings).audited_counts
    with ReadProgress(f"reading {topic}") as progress:
        partitions = asyncio.run(newest_values(settings, topic, progress))
    newest: dict[bytes, bytes] = {}
    for values in partitions:
        for key in newest.keys() & values.keys():
            # After a repartition, the count of a target may be in two partitions.
            values[key] = max(values[key], newest[key], key=_age)
        newest.update(values)
    if target is None:
        return newest, len(newest)
    wanted = target.encode()
    return {key: value for key, value in newest.items() if key.rpartition(b"|")[0] == wanted}, len(newest)


def _age(value: bytes) -> tuple[int, int]:
    (row,) = _decoded([value])
    return row.as_of, row.revision


def _decoded(values: Iterable[bytes]) -> list[Count]:
    import msgspec

    from detectors.records import Count

    decode = msgspec.json.Decoder(Count).decode
    return [decode(value) for value in values]


def _nothing(settings: Settings, target: str | None, all_keys: int) -> str:
    from streams.evidence.text import plain
    from streams.kafka.topics import Topics

    topic = Topics.of(settings).audited_counts
    if not all_keys:
        return f"none yet: {topic} has no counts; the first ones come about a minute after the first events"
    return f"no such target: {topic} has {all_keys:,} counts, and none of {plain(target or '')}"


def _amounts() -> dict[Part, Callable[[Count], int]]:
    from detectors.state.ledger import UNDONE

    def removed(row: Count) -> int:
        return row.quarantined + sum(row.invalid.values()) - row.invalid.get(UNDONE, 0)

    return {
        Part.RAW: lambda row: row.raw,
        Part.VALID: lambda row: row.valid,
        Part.QUARANTINED: lambda row: row.quarantined,
        Part.REMOVED: removed,
    }


def _print(rows: list[Count], shown: list[Count]) -> None:
    """A table on a terminal; otherwise a line a count, with tabs."""
    from streams.evidence.text import plain

    heads = ["raw", "valid", "quarantined", "invalid", "removed", "revision"]
    removed = _amounts()[Part.REMOVED]
    lines: list[tuple[str | int, ...]] = [
        (
            *(plain(row.target), row.metric),
            *(row.raw, row.valid, row.quarantined, sum(row.invalid.values()), removed(row), row.revision),
        )
        for row in shown
    ]
    if not sys.stdout.isatty():
        for line in [("target", "metric", *heads), *lines]:
            sys.stdout.write("\t".join(map(str, line)) + "\n")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if console.width < WIDE:
        heads, lines = heads[:-1], [line[:-1] for line in lines]  # without the revision
    more = "" if len(rows) == len(shown) else f", {len(shown):,} shown"
    title = f"{len(rows):,} counts{more}; sum of raw {sum(row.raw for row in rows):,}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("target", overflow="ellipsis", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True, min_width=len(head))
    for name, metric, *numbers in lines:
        table.add_row(Text(str(name)), str(metric), *(f"{number:,}" for number in numbers))
    console.print(table)
