"""Draw the pictures of docs/pictures/: ``python -m docs.build_pictures``.

The pipeline and the life of a case are drawn from the tables in the code, precision and recall from the recorded
figures, so a test can compare each picture with what it would be now.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from streams.offline.backtest import kind_of, scenario_ids

DIRECTORY = Path(__file__).parent / "pictures"
FIGURES = Path(__file__).parents[1] / "tests" / "quality" / "figures.json"

INK, QUIET, LINE = "#1f2328", "#57606a", "#8c959f"
GOOD, FOUND = "#0969da", "#bc4c00"


def _text(
    x: float, y: float, text: str, *, size: int = 13, fill: str = INK, weight: int = 400, at: str = "middle"
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{at}">'
        f"{escape(text)}</text>"
    )


def _svg(width: int, height: int, title: str, lines: Sequence[str]) -> str:
    head = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'font-family="Helvetica, Arial, sans-serif" role="img">'
        ),
        f"<title>{escape(title)}</title>",
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0 0 8 4 0 8z" fill="{QUIET}"/></marker></defs>'
        ),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    return "\n".join([*head, *lines, "</svg>", ""])


def precision_and_recall() -> str:
    """Precision and recall of each attack of the gate, and what honest scenarios lost."""
    recorded: dict[str, dict[str, Any]] = {
        run.split("/")[0]: row for run, row in json.loads(FIGURES.read_text()).items()
    }
    attacks = [name for name in scenario_ids() if kind_of(name) != "honest"]
    honest = [recorded[name] for name in scenario_ids() if kind_of(name) == "honest"]
    left, right, top, step = 210, 660, 70, 24

    def at(share: float) -> float:
        return left + share * (right - left)

    lines = [_text(20, 28, "Precision and recall of each attack scenario", size=15, weight=600, at="start")]
    flagged = sum(row["wrong_flags"] > 0 for row in honest)
    most = max(row["removed_honest_per_million"] for row in honest)
    sentence = (
        f"{len(honest)} honest scenarios: {flagged} with a flag, at most {most:g} of a million honest events removed"
    )
    lines.append(_text(20, 48, sentence, size=12, fill=QUIET, at="start"))
    bottom = top + step * len(attacks)
    for tenth in range(0, 11, 2):
        x = at(tenth / 10)
        lines.append(f'<line x1="{x:g}" y1="{top}" x2="{x:g}" y2="{bottom}" stroke="#eaeef2"/>')
        lines.append(_text(x, bottom + 16, f"{tenth / 10:g}", size=11, fill=QUIET))
    for row, name in enumerate(attacks):
        y, x = top + step * row, recorded[name]
        lines.append(_text(left - 10, y + 16, f"{name} ({kind_of(name)})", size=12, at="end"))
        lines.append(
            f'<rect x="{left}" y="{y + 5}" width="{at(x["recall"]) - left:g}" height="14" '
            f'fill="{FOUND}" opacity="0.75"/>'
        )
        lines.append(f'<circle cx="{at(x["precision"]):g}" cy="{y + 12}" r="4.5" fill="{GOOD}" stroke="#ffffff"/>')
        lines.append(_text(right + 12, y + 16, f"{x['recall']:.2f}", size=11, fill=QUIET, at="start"))
    key = bottom + 38
    lines.append(f'<rect x="{left}" y="{key - 11}" width="22" height="12" fill="{FOUND}" opacity="0.75"/>')
    lines.append(_text(left + 28, key, "recall: share of the bought events that was removed", size=11, at="start"))
    lines.append(f'<circle cx="{left + 11}" cy="{key + 14}" r="4.5" fill="{GOOD}"/>')
    lines.append(
        _text(left + 28, key + 18, "precision: share of the removed events that was bought", size=11, at="start")
    )
    return _svg(720, key + 34, "Precision and recall of each attack scenario", lines)


PICTURES = {"precision_and_recall": precision_and_recall}


def main() -> None:
    """Write every picture."""
    for name, draw in PICTURES.items():
        (DIRECTORY / f"{name}.svg").write_text(draw())


if __name__ == "__main__":
    main()
