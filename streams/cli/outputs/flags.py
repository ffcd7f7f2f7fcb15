"""The command flags: one line for each flag, filtered; reasons and chart with ``--long``."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from

if TYPE_CHECKING:
    from streams.evidence.flag_filter import FlagFilter
    from streams.evidence.flag_row import Layout

FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Wait for new flags and print them.")]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", help="Read the directory of an offline replay, not the topic.", show_default=False),
]
RevisionsOption = Annotated[bool, typer.Option("--revisions", help="Show every revision, not only the newest.")]
LongOption = Annotated[bool, typer.Option("--long", "-l", help="Show numbers, reasons and chart of each flag.")]
SinceOption = Annotated[
    str | None,
    typer.Option(help="Only flags that lasted until then: ISO 8601, or 30m, 2h, 7d ago.", show_default=False),
]
UntilOption = Annotated[
    str | None, typer.Option(help="Only flags that began before: ISO 8601, or 30m, 2h, 7d ago.", show_default=False)
]
TargetOption = Annotated[list[str] | None, typer.Option(help="Only this target; may be repeated.", show_default=False)]
MetricOption = Annotated[
    list[str] | None, typer.Option(help="view, like or follow; may be repeated.", show_default=False)
]
VerdictOption = Annotated[
    list[str] | None, typer.Option(help="suspect, artificial, explained or rule; may be repeated.", show_default=False)
]
StatusOption = Annotated[
    list[str] | None, typer.Option(help="opened, updated or closed; may be repeated.", show_default=False)
]
ScoreOption = Annotated[int, typer.Option("--score", help="Only flags of at least this score.", min=0, max=100)]


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(flags)


def flags(
    config: ConfigOption = None,
    servers: ServersOption = None,
    follow: FollowOption = False,
    from_dir: FromOption = None,
    every_revision: RevisionsOption = False,
    long: LongOption = False,
    since: SinceOption = None,
    until: UntilOption = None,
    target: TargetOption = None,
    metric: MetricOption = None,
    verdict: VerdictOption = None,
    status: StatusOption = None,
    score: ScoreOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Show the newest revision of each flag, a line each. Example: truecount flags --since 2h --verdict artificial"""
    from streams.evidence.flag_filter import FlagFilter
    from streams.kafka.reader import Reader
    from streams.kafka.topics import Topics
    from streams.settings.section import SettingsError

    wanted = FlagFilter(
        since_ms=_moment("--since", since),
        until_ms=_moment("--until", until),
        targets=frozenset(target or ()),
        metrics=_known("--metric", metric),
        verdicts=_known("--verdict", verdict),
        statuses=_known("--status", status),
        score_min=score,
    )
    printer = _Printer(wanted, long=long, as_json=as_json)
    if from_dir is not None:
        if follow:
            raise SettingsError("--follow cannot be used with --from: an offline replay writes no more flags")
        printer.all(_flag_values(_recorded(from_dir), every_revision), str(from_dir))
        return
    settings = settings_from(config, servers)
    topic = Topics.of(settings).flagged_events
    reader = Reader(settings, topic)
    try:
        if follow:
            printer.each(record.value for record in reader.follow())
            return
        printer.all(_flag_values((record.value for record in reader.to_end()), every_revision), topic)
    finally:
        reader.close()


def _moment(option: str, text: str | None) -> int | None:
    from streams.evidence.flag_filter import moment
    from streams.settings.section import SettingsError

    try:
        return None if text is None else moment(text, int(time.time() * 1000))
    except (ValueError, TypeError):
        raise SettingsError(
            f"{option} {text!r} is no time; give ISO 8601 (2026-03-01T12:00:00Z) or a span before now (30m, 2h, 7d)"
        ) from None


def _known(option: str, given: list[str] | None) -> frozenset[str]:
    from detectors.cases.statuses import ENDINGS, STATUSES
    from detectors.events.event import METRICS
    from streams.settings.section import SettingsError

    known: tuple[str, ...] = {"--metric": tuple(METRICS), "--verdict": tuple(ENDINGS), "--status": tuple(STATUSES)}[
        option
    ]
    for word in given or ():
        if word not in known:
            raise SettingsError(f"{option} {word!r} is unknown; it is one of {', '.join(known)}")
    return frozenset(given or ())


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


class _Printer:
    """Prints flags as JSON, as blocks of lines, or a line each: columns on a terminal, otherwise fields with tabs."""

    def __init__(self, wanted: FlagFilter, *, long: bool, as_json: bool) -> None:
        from rich.console import Console

        self._wanted = wanted
        self._long = long
        self._as_json = as_json
        self._on_terminal = sys.stdout.isatty()
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._width = shutil.get_terminal_size().columns

    def all(self, values: Iterable[bytes], where: str) -> None:
        """Print flags in order of their onset (JSON: in that of the topic), or a sentence if there are none."""
        import orjson

        from streams.evidence.flag_row import Layout

        read = [(value, orjson.loads(value)) for value in values]
        kept = [(value, flag) for value, flag in read if self._wanted.keeps(flag)]
        if not kept:
            print(f"truecount: {_nothing([flag for _, flag in read], self._wanted, where)}", file=sys.stderr)
            return
        if not self._as_json:
            kept.sort(key=lambda each: (each[1]["onset"], each[1]["flag_id"], each[1]["revision"]))
        layout = Layout(self._width, [flag for _, flag in kept])
        self._head(layout)
        for value, flag in kept:
            self._print(value, flag, layout)

    def each(self, values: Iterable[bytes]) -> None:
        """Print flags as they come."""
        import orjson

        from streams.evidence.flag_row import Layout

        layout = Layout(self._width)
        self._head(layout)
        for value in values:
            flag = orjson.loads(value)
            if self._wanted.keeps(flag):
                self._print(value, flag, layout)
                sys.stdout.flush()

    def _head(self, layout: Layout) -> None:
        if self._on_terminal and not (self._as_json or self._long):
            self._console.print(layout.head(), style="bold")

    def _print(self, value: bytes, flag: dict[str, Any], layout: Layout) -> None:
        from rich.text import Text

        from streams.evidence.chart import course
        from streams.evidence.flag_row import fields_of
        from streams.evidence.flag_text import flag_lines

        if self._as_json:
            sys.stdout.write(value.decode() + "\n")
        elif self._long:
            for line in [*flag_lines(flag), *course(flag)]:
                sys.stdout.write(line + "\n")
        elif self._on_terminal:
            self._console.print(Text.assemble(*layout.cells(flag)))
        else:
            sys.stdout.write("\t".join(fields_of(flag)) + "\n")


def _nothing(read: list[dict[str, Any]], wanted: FlagFilter, where: str) -> str:
    from streams.evidence.text import plain

    if not read:
        return f"none yet: {where} has no flags"
    if not any(map(wanted.about_target, read)):
        names = ", ".join(sorted(map(plain, wanted.targets)))
        return f"no such target: {where} has {len(read):,} flags, and none of {names}"
    return f"none of the {len(read):,} flags in {where} is selected by these options"
