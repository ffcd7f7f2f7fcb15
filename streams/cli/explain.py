"""The command explain: numbers, evidence, history and artificial events of a flag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from
from streams.evidence.chart import WIDTH, bar_text, bars_of, chart_lines, course, newest, unique
from streams.evidence.flag_text import flag_lines

if TYPE_CHECKING:
    from streams.kafka.reader import Reader

ID_CHARS_MIN = 4
"""Smallest number of characters that identify a flag."""


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(explain)


def explain(
    flag_id: Annotated[str, typer.Argument(help="Id of the flag, or its first characters.", show_default=False)],
    config: ConfigOption = None,
    servers: ServersOption = None,
    from_dir: Annotated[
        Path | None,
        typer.Option("--from", help="Read the directory of an offline replay, not the topics.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the evidence of a flag. Example: truecount explain 9f2c04aa --from audited"""
    import orjson
    from rich.console import Console

    from streams.kafka.reader import Reader
    from streams.kafka.topics import Topics
    from streams.settings.section import SettingsError

    if len(flag_id) < ID_CHARS_MIN:
        raise SettingsError(f"flag id {flag_id!r} is too short; give at least its first {ID_CHARS_MIN} characters")
    if from_dir is not None:
        flags, corrections = _lines(from_dir, "flagged-events"), _lines(from_dir, "corrections")
    else:
        settings = settings_from(config, servers)
        topics = Topics.of(settings)
        flags = _records(Reader(settings, topics.flagged_events))
        corrections = _records(Reader(settings, topics.corrections))
    flag = newest(flags, flag_id)
    moved = unique(row for row in corrections if row["flag_id"] == flag["flag_id"])
    bars = bars_of(flag, moved)
    if as_json:
        print(orjson.dumps({"flag": flag, "corrections": moved, "artificial_by_time": bars}).decode())
        return
    console = Console()
    for line in [*flag_lines(flag), "", *_ratio_lines(flag), "", *course(flag), *chart_lines(flag, bars)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _ratio_lines(flag: dict[str, Any]) -> list[str]:
    rows = [("observed", flag["observed"]), ("expected", flag["expected"]["value"])]
    rows.append(("artificial", flag["artificial"]["value"]))
    most = max(1, *(count for _, count in rows))
    return [f"   {name:<10} {bar_text(count / most):<{WIDTH}} {count:,}" for name, count in rows]


def _lines(directory: Path, name: str) -> Iterator[dict[str, Any]]:
    import orjson

    from streams.settings.section import SettingsError

    path = directory / f"{name}.ndjson"
    try:
        with path.open("rb") as file:
            for line in file:
                yield _plain(line)
    except (OSError, orjson.JSONDecodeError) as error:
        raise SettingsError(
            f"cannot read {path}: {error}. --from must be the --out directory of truecount replay --offline"
        ) from None


def _records(reader: Reader) -> Iterator[dict[str, Any]]:
    try:
        for record in reader.to_end():
            yield _plain(record.value)
    finally:
        reader.close()


def _plain(value: bytes) -> dict[str, Any]:
    import orjson

    record: dict[str, Any] = orjson.loads(value)
    return record
