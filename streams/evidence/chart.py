"""A flag as a bar chart in text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

BARS = 24
WIDTH = 40


def newest(flags: Iterable[dict[str, Any]], prefix: str) -> dict[str, Any]:
    """The newest revision of the flag whose id begins with ``prefix``. Raises SettingsError unless one flag matches."""
    from streams.settings.section import SettingsError

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
    """Remove duplicates: without transactions, a correction may be delivered twice."""
    return list({row["correction_id"]: row for row in corrections}.values())


def bars_of(flag: dict[str, Any], corrections: list[dict[str, Any]]) -> list[dict[str, int]]:
    """Events removed from the count, by equal spans of the flag's time. A correction is spread evenly over its window.

    Only corrections from ``valid`` count: events of all others were removed before.
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


def course(flag: dict[str, Any]) -> list[str]:
    """Lines with observed and expected events of each span; none for flags of older versions."""
    series = flag.get("series") or []
    if not series:
        return []
    spans = [max(1, row["end"] - row["start"]) for row in series]
    fastest = max(max(row["observed"], row["expected"]) / span for row, span in zip(series, spans, strict=True)) or 1.0
    lines = ["   how fast they came, by time (UTC); | is what was expected"]
    for row, span in zip(series, spans, strict=True):
        bar = f"{bar_text(row['observed'] / span / fastest):<{WIDTH + 1}}"
        at = min(WIDTH, round(row["expected"] / span / fastest * WIDTH))
        marked = f"{bar[:at]}|{bar[at + 1 :]}"
        lines.append(f"   {_clock(row['start'])} {marked} {row['observed']:,} ({row['expected']:,.0f})")
    return [*lines, ""]


def chart_lines(flag: dict[str, Any], bars: list[dict[str, int]]) -> list[str]:
    """The chart of removed events, or a sentence if none were removed."""
    from detectors.state.case import EXPLAINED
    from detectors.state.removals import RULE

    most = max(row["count"] for row in bars)
    if flag["verdict"] == EXPLAINED:
        return ["   nothing is taken out of the count: this surge is accounted for"]
    if flag["verdict"] == RULE:
        return ["   rules had removed these events before they were counted as valid, so no correction belongs to them"]
    if most == 0:
        return ["   nothing was taken out of the count for this flag"]
    lines = ["   taken out of the count, by time (UTC)"]
    lines += [f"   {_clock(row['start'])} {bar_text(row['count'] / most):<{WIDTH}} {row['count']:,}" for row in bars]
    return lines


def bar_text(share: float) -> str:
    """A bar in eighths of a character. A share above 0 has at least one eighth."""
    eighths = max(round(share * WIDTH * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + "▏▎▍▌▋▊▉"[eighths % 8 - 1 : eighths % 8] * (eighths % 8 > 0)


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%m-%d %H:%M:%S")
