"""A flag as one line: aligned columns for a terminal, tab-separated fields for everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size

from streams.evidence.text import plain

ID_CHARS = 8
GAP = 2
TARGET_MIN, TARGET_USUAL, TARGET_ENOUGH = 12, 16, 36
"""Widths of the column of targets: the smallest one, the one for targets that are not known yet, and the one beyond
which other columns come first (a UUID has 36). Longer targets are cut if the terminal has no room for them."""
REASONS_MIN, REASONS_ENOUGH = 12, 40
"""The same of the column of reasons."""

FIELDS = (
    "flag_id",
    "since",
    "verdict",
    "status",
    "score",
    "metric",
    "target",
    "observed",
    "expected",
    "removed",
    "reasons",
)
"""Fields of a line without a terminal, in their order."""


class Cell(NamedTuple):
    """A text of a line, and the style that a terminal shows it in."""

    text: str
    style: str = ""


class Column(NamedTuple):
    """A column on a terminal."""

    name: str
    width: int
    of: Callable[[dict[str, Any]], str]
    right: bool = False


def _time(ms: int, layout: str) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(layout)


def codes_of(flag: dict[str, Any]) -> list[str]:
    """The codes of a flag's reasons, each once."""
    return list(dict.fromkeys(reason["code"] for reason in flag["reasons"]))


_ALWAYS = (
    Column("flag", ID_CHARS, lambda flag: flag["flag_id"][:ID_CHARS]),
    Column("since (UTC)", 11, lambda flag: _time(flag["onset"], "%m-%d %H:%M")),
    Column("verdict", 10, lambda flag: flag["verdict"]),
    Column("score", 5, lambda flag: f"{flag['score']}", right=True),
    Column("metric", 6, lambda flag: flag["metric"]),
    Column("removed", 9, lambda flag: f"{flag['artificial']['value']:,}", right=True),
)
_STATUS = Column("status", 7, lambda flag: flag["status"])
_OBSERVED = Column("observed", 9, lambda flag: f"{flag['observed']:,}", right=True)
_EXPECTED = Column("expected", 9, lambda flag: f"{flag['expected']['value']:,}", right=True)
_SAYS_LITTLE = "surge"
"""Nearly every flag has this reason; on a terminal it comes last."""
_STYLES = {"artificial": "red", "suspect": "yellow", "explained": "green", "rule": "cyan"}


class Layout:
    """Columns for a terminal of ``width``, as wide as these flags need; for flags that are not known yet, as usual.

    A line is never wider than the terminal, if that has about 75 columns.
    """

    def __init__(self, width: int, flags: Sequence[dict[str, Any]] = ()) -> None:
        def fitted(column: Column) -> Column:
            texts = [column.of(flag) for flag in flags] or [" " * column.width]
            return column._replace(width=max(len(column.name), *map(len, texts)))

        columns = [fitted(column) for column in _ALWAYS]
        left = width - sum(column.width + GAP for column in columns)
        target_chars = max((cell_len(plain(flag["target"])) for flag in flags), default=TARGET_USUAL)
        target = max(TARGET_MIN, min(target_chars, TARGET_ENOUGH, left))
        left -= target
        for column, place, spare in ((_STATUS, 3, 0), (_OBSERVED, -1, 0), (_EXPECTED, -1, REASONS_ENOUGH)):
            more = fitted(column)
            if more.width + GAP + spare <= left:
                columns.insert(place if place > 0 else len(columns) - 1, more)
                left -= more.width + GAP
        self._columns = columns
        self._reasons = left - GAP if left - GAP >= REASONS_MIN else 0
        self._target = target if self._reasons else max(target, min(target_chars, target + left))
        self._width = width

    def head(self) -> str:
        """The line of names."""
        names = [f"{c.name:>{c.width}}" if c.right else f"{c.name:<{c.width}}" for c in self._columns]
        names.append(_filled("target", self._target))
        return (" " * GAP).join([*names, *(["reasons"] if self._reasons else [])]).rstrip()[: self._width]

    def cells(self, flag: dict[str, Any]) -> list[Cell]:
        """The line of one flag. Put together, the cells are no wider than the terminal."""
        cells: list[Cell] = []
        for column in self._columns:
            text = cut(column.of(flag), column.width)
            aligned = f"{text:>{column.width}}" if column.right else f"{text:<{column.width}}"
            cells.append(Cell(aligned, _STYLES.get(flag["verdict"], "") if column.name == "verdict" else ""))
            cells.append(Cell(" " * GAP))
        target = cut(plain(flag["target"]), self._target)
        reasons = cut(", ".join(sorted(codes_of(flag), key=lambda code: code == _SAYS_LITTLE)), self._reasons)
        cells.append(Cell(_filled(target, self._target) if reasons else target))
        return [*cells, Cell(" " * GAP), Cell(reasons, "dim")] if reasons else cells


def fields_of(flag: dict[str, Any]) -> Sequence[str]:
    """The fields of a line without a terminal: see FIELDS. No field has a tab or a newline."""
    values = {
        **flag,
        "since": _time(flag["onset"], "%Y-%m-%dT%H:%M:%SZ"),
        "target": plain(flag["target"]),
        "expected": flag["expected"]["value"],
        "removed": flag["artificial"]["value"],
        "reasons": ",".join(codes_of(flag)),
    }
    return [str(values[name]) for name in FIELDS]


def cut(text: str, width: int) -> str:
    """A text of at most ``width`` cells of a terminal; a Chinese character takes two.

    >>> cut("few_networks", 7), cut("surge", 7), cut("日本語", 5)
    ('few_ne…', 'surge', '日本…')
    """
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + "…" * (width > 0)


def _filled(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))
