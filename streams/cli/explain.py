"""The command that explains a flag: its numbers, its sentences, its course and where its artificial part lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.audit_topics import flag_lines
from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from

if TYPE_CHECKING:
    from streams.kafka.reader import Reader

SHOWN_ID = 4
"""Fewest characters of a flag id that may stand for all of it."""
BARS = 24
WIDTH = 40


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(explain)


def explain(
    flag_id: Annotated[str, typer.Argument(help="Flag id, or its first characters.", show_default=False)],
    config: ConfigOption = None,
    servers: ServersOption = None,
    from_dir: Annotated[
        Path | None, typer.Option("--from", help="Directory of an offline replay.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show why something was flagged. Example: truecount explain 9f2c04aa --from audited"""
    import orjson
    from rich.console import Console

    from streams.kafka.reader import Reader
    from streams.kafka.topics import Topics
    from streams.settings.settings import SettingsError

    if len(flag_id) < SHOWN_ID:
        raise SettingsError(f"flag id {flag_id!r} is too short; give at least {SHOWN_ID} characters of it")
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
    for line in [*flag_lines(flag), "", *_ratio_lines(flag), "", *course(flag), *_chart(flag, bars)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def newest(flags: Iterable[dict[str, Any]], prefix: str) -> dict[str, Any]:
    """The newest revision of the flag whose id begins so. Raises SettingsError if there is none, or more than one."""
    from streams.settings.settings import SettingsError

    found: dict[str, dict[str, Any]] = {}
    for flag in flags:
        ident = flag["flag_id"]
        if ident.startswith(prefix) and flag["revision"] >= found.get(ident, flag)["revision"]:
            found[ident] = flag
    if not found:
        raise SettingsError(f"there is no flag {prefix!r}; `truecount flags` lists them")
    if len(found) > 1:
        raise SettingsError(f"{prefix!r} stands for {len(found)} flags: {', '.join(sorted(found)[:5])}; say more of it")
    return next(iter(found.values()))


def unique(corrections: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each correction once: a broker without transactions may deliver one twice."""
    return list({row["correction_id"]: row for row in corrections}.values())


def bars_of(flag: dict[str, Any], corrections: list[dict[str, Any]]) -> list[dict[str, int]]:
    """Events taken out of the count, by equal spans of the flag's time; what lies in a window is spread over it evenly.

    Only movements out of valid count: what was given back, or made invalid, had been taken out before.
    """
    taken = [row for row in corrections if row["from"] == "valid"]
    start = min([flag["onset"], *(row["window"]["start"] for row in taken)])
    until = max([flag["until"], start + 1, *(row["window"]["end"] for row in taken)])
    edges = [start + (until - start) * i // BARS for i in range(BARS + 1)]
    sums = [0.0] * BARS
    for row in taken:
        low, high = row["window"]["start"], max(row["window"]["end"], row["window"]["start"] + 1)
        for i in range(BARS):
            shared = min(high, edges[i + 1]) - max(low, edges[i])
            sums[i] += row["count"] * max(0, shared) / (high - low)
    return [{"start": edges[i], "end": edges[i + 1], "count": round(sums[i])} for i in range(BARS)]


def _ratio_lines(flag: dict[str, Any]) -> list[str]:
    rows = [("observed", flag["observed"]), ("expected", flag["expected"]["value"])]
    rows.append(("artificial", flag["artificial"]["value"]))
    most = max(1, *(count for _, count in rows))
    return [f"   {name:<10} {_bar(count / most):<{WIDTH}} {count:,}" for name, count in rows]


def course(flag: dict[str, Any]) -> list[str]:
    """What came, span by span, with a mark where the expectation lies; flags of older versions have none."""
    series = flag.get("series") or []
    if not series:
        return []
    spans = [max(1, row["end"] - row["start"]) for row in series]
    fastest = max(max(row["observed"], row["expected"]) / span for row, span in zip(series, spans, strict=True)) or 1.0
    lines = ["   how fast they came, by time (UTC); | is what was expected"]
    for row, span in zip(series, spans, strict=True):
        bar = f"{_bar(row['observed'] / span / fastest):<{WIDTH + 1}}"
        at = min(WIDTH, round(row["expected"] / span / fastest * WIDTH))
        marked = f"{bar[:at]}|{bar[at + 1 :]}"
        lines.append(f"   {_clock(row['start'])} {marked} {row['observed']:,} ({row['expected']:,.0f})")
    return [*lines, ""]


def _chart(flag: dict[str, Any], bars: list[dict[str, int]]) -> list[str]:
    from detectors.state.case import EXPLAINED

    most = max(row["count"] for row in bars)
    if flag["verdict"] == EXPLAINED:
        return ["   nothing is taken out of the count: this surge is accounted for"]
    if most == 0:
        return ["   nothing was taken out of the count for this flag"]
    lines = ["   taken out of the count, by time (UTC)"]
    lines += [f"   {_clock(row['start'])} {_bar(row['count'] / most):<{WIDTH}} {row['count']:,}" for row in bars]
    return lines


def _bar(share: float) -> str:
    """A bar of eighths of a character; nothing that is something vanishes."""
    eighths = max(round(share * WIDTH * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + "▏▎▍▌▋▊▉"[eighths % 8 - 1 : eighths % 8] * (eighths % 8 > 0)


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%m-%d %H:%M:%S")


def _lines(directory: Path, name: str) -> Iterator[dict[str, Any]]:
    import orjson

    from streams.settings.settings import SettingsError

    path = directory / f"{name}.ndjson"
    try:
        with path.open("rb") as file:
            for line in file:
                yield _plain(line)
    except (OSError, orjson.JSONDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}. It should be from truecount replay --offline") from None


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
