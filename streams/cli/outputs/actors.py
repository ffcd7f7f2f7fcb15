"""The commands actors and actor: the current rulings, and one actor on a screen."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from
from streams.cli.outputs.progress import ReadProgress

if TYPE_CHECKING:
    from streams.settings.settings import Settings

LIMIT = 50

FromOption = Annotated[
    Path | None,
    typer.Option("--from", help="Read the directory of an offline replay, not the topics.", show_default=False),
]


class Kind(StrEnum):
    """Kinds of rulings, as in ``controls.KINDS``."""

    HUMAN = "human"
    DECLARED_ROBOT = "declared_robot"
    AUTOMATED = "automated"
    EMPTY = "empty"
    DORMANT = "dormant"
    SELLER = "seller"


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(actors)
    app.command()(actor)


def actors(
    config: ConfigOption = None,
    servers: ServersOption = None,
    from_dir: FromOption = None,
    kind: Annotated[
        list[Kind] | None,
        typer.Option(help="Only rulings of this kind; may be repeated. Default: all but human.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also rulings that were taken back or have expired.")] = False,
    limit: Annotated[
        int | None, typer.Option(help=f"Number of rows (default: {LIMIT}; JSON: all).", min=1, show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the current rulings on actors, the highest scores first. Example: truecount actors --kind seller"""
    import orjson

    where, read = _rulings(config, servers, from_dir)
    now_ms = max((ruling["as_of"] for ruling in read), default=0)
    kinds = set(kind or [each for each in Kind if each is not Kind.HUMAN])
    rows = [row for row in read if row["ruling"] in kinds or (every and kind is None)]
    if not every:
        rows = [row for row in rows if row["until"] > now_ms]
    rows.sort(key=lambda row: (-row["score"], row["since"], row["actor"]))
    if not rows:
        why = "none of them is selected by these options" if read else "none yet"
        print(f"truecount: {where} has {len(read):,} rulings; {why}", file=sys.stderr)
        return
    if as_json:
        for row in rows[:limit]:
            sys.stdout.write(orjson.dumps(row).decode() + "\n")
        return
    _print(rows, rows[: limit or LIMIT])


def actor(
    ident: Annotated[str, typer.Argument(metavar="ID", help="Id of the actor.", show_default=False)],
    config: ConfigOption = None,
    servers: ServersOption = None,
    from_dir: FromOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one actor: its ruling with reasons, what is stored of it, and its acts. Example: truecount actor u4711"""
    import msgspec
    import orjson

    from streams.evidence.actor_text import activity_lines, profile_lines, ruling_lines
    from streams.evidence.text import plain
    from streams.failures import Failure

    found: dict[str, Any] = {"actor": ident}
    if from_dir is not None:
        found["ruling"] = next((row for row in _recorded(from_dir, "actors") if row["actor"] == ident), None)
        profiles = _recorded(from_dir, "actor-profiles")
        found["profile"] = next((row for row in profiles if row["actor"] == ident), None)
    else:
        known = _known(settings_from(config, servers), ident)
        found["ruling"] = known.ruling
        found["profile"] = None if known.profile is None else msgspec.to_builtins(known.profile)
        found["activity"] = None if known.activity is None else known.activity.as_dict()
    activity = found.get("activity")
    if found["ruling"] is None and found["profile"] is None and not (activity and activity["acts"]):
        only = ", which has only actors with a ruling or with replays by a program" if from_dir is not None else ""
        raise Failure(f"nothing is known of {plain(ident)} in {from_dir or 'the log and the state'}{only}")
    if as_json:
        print(orjson.dumps(found).decode())
        return
    lines = list(ruling_lines(found["ruling"])) if found["ruling"] else [f"{plain(ident)}: no ruling"]
    lines += [] if found["profile"] is None else profile_lines(found["profile"])
    lines += [] if activity is None else activity_lines(activity)
    for line in lines:
        sys.stdout.write(line + "\n")


def _known(settings: Settings, ident: str) -> Any:
    import asyncio

    from streams.maintenance.actor_activity import known_of

    _check_enabled(settings)
    with ReadProgress("reading the log and the state of actors") as progress:
        return asyncio.run(known_of(settings, ident, progress))


def _check_enabled(settings: Settings) -> None:
    from streams.settings.section import SettingsError

    if not settings.actors.enabled:
        raise SettingsError("actors are not audited: set enabled = true under [actors], see docs/operations.md")


def _rulings(config: Path | None, servers: str | None, from_dir: Path | None) -> tuple[str, list[dict[str, Any]]]:
    """Where rulings were read, and the newest of each actor."""
    import asyncio

    import orjson

    from streams.kafka.bulk_reader import newest_values
    from streams.kafka.topics import Topics

    if from_dir is not None:
        return str(from_dir), list(_newest(_recorded(from_dir, "actors")))
    settings = settings_from(config, servers)
    _check_enabled(settings)
    topic = Topics.of(settings).actors
    with ReadProgress(f"reading {topic}") as progress:
        partitions = asyncio.run(newest_values(settings, topic, progress))
    return topic, list(_newest(orjson.loads(value) for values in partitions for value in values.values()))


def _newest(rulings: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The newest ruling of each actor. After a repartition, an actor may have one in two partitions."""
    newest: dict[str, dict[str, Any]] = {}
    for ruling in rulings:
        known = newest.get(ruling["actor"])
        if known is None or ruling["as_of"] >= known["as_of"]:
            newest[ruling["actor"]] = ruling
    yield from newest.values()


def _recorded(directory: Path, name: str) -> list[dict[str, Any]]:
    """The rows of an output file, the last ones first."""
    import orjson

    from streams.settings.section import SettingsError

    path = directory / f"{name}.ndjson"
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {error.strerror}. --from must be the --out directory of truecount replay --offline"
            " with actors.enabled = true"
        ) from None
    return [orjson.loads(line) for line in reversed(lines)]


def _print(rows: list[dict[str, Any]], shown: list[dict[str, Any]]) -> None:
    """A table on a terminal; otherwise a line a ruling, with tabs."""
    from streams.evidence.actor_text import ruling_fields

    heads = ("actor", "ruling", "score", "since", "until", "reasons")
    if not sys.stdout.isatty():
        for fields in (heads, *map(ruling_fields, shown)):
            sys.stdout.write("\t".join(fields) + "\n")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    kinds = Counter(row["ruling"].replace("_", " ") for row in rows)
    more = "" if len(rows) == len(shown) else f"; {len(shown):,} shown, --limit shows more"
    counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    title = f"{len(rows):,} rulings ({counted}){more}. Times in UTC; `truecount actor ID` shows one"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        right = head == "score"
        table.add_column(head, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for row in shown:
        table.add_row(*map(Text, ruling_fields(row)))
    Console().print(table)
