"""The command explain: numbers, evidence, history and artificial events of a flag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from
from streams.cli.outputs.progress import ReadProgress
from streams.evidence.chart import WIDTH, bar_text, bars_of, chart_lines, course, newest, unique
from streams.evidence.flag_text import flag_lines
from streams.evidence.text import plain

if TYPE_CHECKING:
    from streams.kafka.reader import Reader
    from streams.maintenance.contributors import Contributors
    from streams.settings.settings import Settings

ID_CHARS_MIN = 4
"""Smallest number of characters that identify a flag."""


WhoOption = Annotated[
    bool,
    typer.Option(
        "--who", help="Read its input records again: the networks, referrers, user agents and accounts of most events."
    ),
]


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
    who: WhoOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the evidence of a flag. Example: truecount explain 9f2c04aa --who"""
    import orjson
    from rich.console import Console

    from streams.kafka.reader import Reader
    from streams.kafka.topics import Topics
    from streams.settings.section import SettingsError

    if len(flag_id) < ID_CHARS_MIN:
        raise SettingsError(f"flag id {flag_id!r} is too short; give at least its first {ID_CHARS_MIN} characters")
    if from_dir is not None and who:
        raise SettingsError("--who reads the input topics, so it cannot be used with --from")
    settings = None
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
    contributors = None if settings is None or not who else _contributors(settings, flag)
    if as_json:
        facts = {"flag": flag, "corrections": moved, "artificial_by_time": bars}
        print(orjson.dumps(facts if contributors is None else {**facts, "who": contributors.as_dict()}).decode())
        return
    console = Console()
    for line in [
        *flag_lines(flag),
        "",
        *_ratio_lines(flag),
        "",
        *course(flag),
        *chart_lines(flag, bars),
        *_who_lines(contributors),
    ]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _ratio_lines(flag: dict[str, Any]) -> list[str]:
    rows = [("observed", flag["observed"]), ("expected", flag["expected"]["value"])]
    rows.append(("artificial", flag["artificial"]["value"]))
    most = max(1, *(count for _, count in rows))
    return [f"   {name:<10} {bar_text(count / most):<{WIDTH}} {count:,}" for name, count in rows]


def _contributors(settings: Settings, flag: dict[str, Any]) -> Contributors:
    import asyncio

    from streams.maintenance.contributors import contributors_of

    with ReadProgress("reading the log and the inputs") as progress:
        return asyncio.run(contributors_of(settings, flag, progress))


def _who_lines(who: Contributors | None) -> list[str]:
    """What a flag's input records have, or why they cannot be read."""
    if who is None:
        return []
    lines = ["", f"   {_read_sentence(who)}"]
    if who.no_input:
        lines.append(f"   no input of this configuration: {', '.join(who.no_input)}; use the one of the workers")
    for kind, counted in who.counts.items() if who.events else ():
        without = who.events - sum(counted.values())
        missing = f"; {without / who.events:.1%} of the events have none" if without else ""
        lines += ["", f"   {kind.replace('_', ' ')}: {len(counted):,} different{missing}"]
        lines += [f"   {row['share']:>7.1%}  {row['events']:>9,}  {plain(row['value'])}" for row in who.top(kind)]
    return lines


def _read_sentence(who: Contributors) -> str:
    if not who.found:
        return "who came is not known any more: the log has none of its events left (retention_hours)"
    sampled = f", a sample of {who.wanted:,} of them" if who.wanted < who.found and not who.no_input else ""
    gone = who.wanted - who.read
    deleted = f"; {gone:,} are gone from the input topics (their retention)" if gone else ""
    other = "" if who.events or not who.read else ". They have no event of it under the present map"
    return (
        f"who came, by input records: {who.found:,} in the log{sampled}, {who.read:,} read again{deleted}; "
        f"shares are of {who.events:,} events, those that a rule removed included{other}"
    )


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
