"""Commands on maps: suggest one from records, try one on records."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.ingest.mapping.records import Records
    from streams.maps.sample import Draft
    from streams.maps.sampling import Sampled
    from streams.maps.trial import Totals, Tried
    from streams.settings.inputs import Input, Mapping
    from streams.settings.settings import Settings

SHOWN = 10
"""Number of records shown; the totals are of all samples."""
CELL_CHARS = 300

FileArgument = Annotated[
    Path | None, typer.Argument(help="CSV, TSV, NDJSON, JSON or Parquet file.", show_default=False)
]
TopicOption = Annotated[
    str | None, typer.Option("--topic", help="Read records of this topic, not of a file.", show_default=False)
]
SamplesOption = Annotated[
    int, typer.Option(help="Number of records to read: the first of a file, the last of a topic.", min=1)
]


def add(app: typer.Typer) -> None:
    """Register the commands."""
    maps = typer.Typer(help="Suggest and try maps from your fields to an event's fields.", no_args_is_help=True)
    maps.command("suggest")(map_suggest)
    maps.command("try")(map_try)
    app.add_typer(maps, name="map")


def map_suggest(
    file: FileArgument = None,
    topic: TopicOption = None,
    samples: SamplesOption = 1000,
    out: Annotated[
        Path | None, typer.Option(help="File to write the map to; by default standard output.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    servers: ServersOption = None,
) -> None:
    """Suggest a map for records that have none, and list what is missing. Example: truecount map suggest likes.csv"""
    from streams.maps.draft import draft
    from streams.maps.page import page_of
    from streams.maps.repeats import suggest_relations
    from streams.maps.sampling import file_without_map, topic_sample
    from streams.maps.trial import note_losses
    from streams.settings.section import SettingsError

    clock_ms = int(time.time() * 1000)
    path = _one_of(file, topic)
    if out is not None and out.exists():
        raise SettingsError(f"--out {out}: the file exists; choose another name, or remove it")
    settings = settings_from(config, servers)
    sampled = (
        file_without_map(path, samples, clock_ms) if path is not None else topic_sample(settings, topic or "", samples)
    )
    sample = sampled.sample(clock_ms)
    if not sample.documents:
        size = len(sampled.records.value) + sampled.unreadable
        problem = sampled.problem()
        why = f"; for example: {problem}" if problem else ""
        raise SettingsError(f"{sampled.name}: none of {size:,} records is a document, so no map can be suggested{why}")
    made = draft(sample)
    if not made.missing:
        read_by = _read_by(made, path, sampled, samples, clock_ms)
        suggest_relations(made, *read_by, int(sample.latest_ms))
        note_losses(made, *read_by, int(sample.latest_ms))
    what = f"file {sampled.name}" if topic is None else f"topic {topic}"
    head = [
        f"Suggested by `truecount map suggest` from {len(sample.documents):,} records of the {what}.",
        "A line with the comment `unsure` is a guess. Check the map with `truecount map try`, and correct it.",
    ]
    page = page_of(made, head=head, topic=topic, format_=sampled.codec if topic else sampled.format)
    _write(page, out)
    given = str(file) if topic is None else f"--topic {topic}"
    print(_sentence(made.missing, out, given), file=sys.stderr)
    if made.missing:
        raise typer.Exit(1)


def _write(page: str, out: Path | None) -> None:
    from streams.settings.section import SettingsError

    if out is None:
        sys.stdout.write(page)
        return
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot write {out}: {error.strerror}") from None


def _read_by(made: Draft, file: Path | None, sampled: Sampled, samples: int, clock_ms: int) -> tuple[Input, Records]:
    """The input that reads the sampled records with a draft, and the records."""
    from streams.maps.sampling import file_sample, input_of
    from streams.settings.inputs import Mapping, ReplayMap

    if file is None:
        return input_of(Mapping.model_validate(made.mapping()), sampled.name, sampled.codec), sampled.records
    layout = ReplayMap.model_validate({**made.mapping(), "file": {"format": sampled.format}})
    again, source = file_sample(file, samples, clock_ms, layout)
    return source, again.records


def _sentence(missing: list[str], out: Path | None, given: str) -> str:
    written = "the map" if out is None else f"{out}"
    if missing:
        return f"{written} is not complete: no field was found for {', '.join(missing)}; add where each of them is"
    return f"{written} is complete; next: truecount map try {given} --map {out or 'MAP.toml'}"


def map_try(
    file: FileArgument = None,
    topic: TopicOption = None,
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="The map; by default the input of --config, or native names.", show_default=False),
    ] = None,
    samples: SamplesOption = 1000,
    config: ConfigOption = None,
    servers: ServersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show ten records with the events that a map makes of them, or why there are none; exit 1 if no record has one.

    Example: truecount map try likes.csv --map likes.toml
    """
    import orjson

    from streams.ingest.mapping.decoder import EventDecoder
    from streams.maps.trial import Trial

    clock_ms = int(time.time() * 1000)
    settings = settings_from(config, servers)
    sampled, source = _sampled(_one_of(file, topic), topic, map_file, settings, samples, clock_ms)
    trial = Trial(
        EventDecoder(source, settings.time.earliest), clock_ms + round(settings.time.future_skew_seconds * 1000)
    )
    shown = _different(trial.try_all(sampled.records))
    totals = trial.totals
    if as_json:
        facts = {"records": [each.as_dict() for each in shown], "totals": totals.as_dict()}
        print(orjson.dumps({**facts, "unreadable": sampled.unreadable}).decode())
    else:
        _show(shown, totals, sampled)
    if totals.events == 0:
        raise typer.Exit(1)


def _one_of(file: Path | None, topic: str | None) -> Path | None:
    from streams.settings.section import SettingsError

    if (file is None) == (topic is None):
        raise SettingsError("give either a file or --topic")
    return file


def _sampled(
    file: Path | None, topic: str | None, map_file: Path | None, settings: Settings, samples: int, clock_ms: int
) -> tuple[Sampled, Input]:
    from streams.maps.sampling import file_sample, input_of, topic_sample
    from streams.settings.inputs import Input

    if file is not None:
        layout = None if map_file is None else _layout(_mapping(map_file, None))
        return file_sample(file, samples, clock_ms, layout)
    name = topic or ""
    config = None if map_file is None else _mapping(map_file, name)
    sampled = topic_sample(settings, name, samples)
    if config is not None:
        return sampled, input_of(config, name, sampled.codec)
    return sampled, next((each for each in settings.inputs if each.topic == name), Input(topic=name))


def _mapping(path: Path, topic: str | None) -> Mapping:
    """Read a map from a file: a map for replay, or an input of a configuration."""
    from streams.settings.settings import load, load_map, read_toml

    data = read_toml(path)
    if "inputs" not in data:
        return load_map(path, data)
    inputs = load(path, environ={}).inputs
    return next((each for each in inputs if each.topic == topic), inputs[0])


def _layout(config: Mapping) -> Any:
    from streams.settings.inputs import ReplayMap
    from streams.settings.section import SettingsError

    if isinstance(config, ReplayMap):
        return config
    if config.map is None:
        return None
    given = config.model_dump(exclude={"topic", "format"}, exclude_defaults=True, by_alias=True)
    try:
        return ReplayMap.model_validate(given)
    except ValueError as error:
        raise SettingsError(f"this input cannot be used as the map of a file: {error}") from None


def _different(every: Iterable[Tried]) -> list[Tried]:
    """A few records, in their order: the first of each kind of outcome, then the first ones."""
    first: dict[tuple[Any, ...], tuple[int, Tried]] = {}
    early: list[tuple[int, Tried]] = []
    for place, each in enumerate(every):
        refused = each.refused.partition(":")[0] if each.refused else ""
        kind = (refused, tuple(each.skipped), tuple(each.unread), bool(each.events))
        if kind not in first and len(first) < SHOWN:
            first[kind] = place, each
        if len(early) < SHOWN:
            early.append((place, each))
    chosen = dict(list(first.values())[:SHOWN])
    for place, each in early:
        if len(chosen) < SHOWN:
            chosen.setdefault(place, each)
    return [chosen[place] for place in sorted(chosen)]


def _show(shown: list[Tried], totals: Totals, sampled: Sampled) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if console.is_terminal:
        table = Table(show_lines=True)
        for head in ("record", "becomes"):
            table.add_column(head, overflow="fold")
        for each in shown:
            table.add_row(Text(_cut(each.before)), Text("\n".join(_outcome(each))))
        console.print(table)
    else:
        for each in shown:
            where = "" if each.line is None else f"line {each.line}: "
            for line in (f"{where}{_cut(each.before)}", *(f"   {line}" for line in _outcome(each))):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    for line in _totals(totals, sampled):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _cut(text: str) -> str:
    return text if len(text) <= CELL_CHARS else text[:CELL_CHARS] + "…"


def _outcome(each: Tried) -> list[str]:
    import orjson

    lines = [f"event {orjson.dumps(event).decode()}" for event in each.events]
    lines += [f"refused: {each.refused}"] if each.refused else []
    lines += [f"skipped: {reason}" for reason in each.skipped]
    lines += [f"left out: {field}" for field in each.unread]
    return [_cut(line) for line in lines] or ["no event"]


def _totals(totals: Totals, sampled: Sampled) -> list[str]:
    lines = [f"{totals.records:,} records of {sampled.name} make {totals.events:,} events"]
    lines += [f"   {count:,} skipped: {reason}" for reason, count in totals.skipped.most_common()]
    lines += [
        f"   {count:,} refused: {reason}, for example: {totals.examples[reason]}"
        for reason, count in totals.refused.most_common()
    ]
    lines += [f"   {count:,} values left out: {field}" for field, count in totals.unread.most_common()]
    lines += [f"   {sampled.unreadable:,} unreadable, for example: {sampled.example}"] if sampled.unreadable else []
    return lines
