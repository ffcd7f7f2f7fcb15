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

from detectors.cases.statuses import ENDINGS, STATUSES
from streams.offline.backtest import kind_of, scenario_ids
from streams.roles import ROLES, Role

DIRECTORY = Path(__file__).parent / "pictures"
FIGURES = Path(__file__).parents[1] / "tests" / "quality" / "figures.json"

INK, QUIET, LINE = "#1f2328", "#57606a", "#8c959f"
ROLE, TOPIC, VERDICT = "#ddf4ff", "#f6f8fa", "#fff8c5"
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
    known = [name for name in scenario_ids() if name in recorded]
    attacks = [name for name in known if kind_of(name) != "honest"]
    honest = [recorded[name] for name in known if kind_of(name) == "honest"]
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
        y, figures = top + step * row, recorded[name]
        lines.append(_text(left - 10, y + 16, f"{name} ({kind_of(name)})", size=12, at="end"))
        lines.append(
            f'<rect x="{left}" y="{y + 5}" width="{at(figures["recall"]) - left:g}" height="14" '
            f'fill="{FOUND}" opacity="0.75"/>'
        )
        if figures["precision"] is not None:  # something was removed
            center = f'cx="{at(figures["precision"]):g}" cy="{y + 12}"'
            lines.append(f'<circle {center} r="4.5" fill="{GOOD}" stroke="#ffffff"/>')
        lines.append(_text(right + 12, y + 16, f"{figures['recall']:.2f}", size=11, fill=QUIET, at="start"))
    key = bottom + 38
    lines.append(f'<rect x="{left}" y="{key - 11}" width="22" height="12" fill="{FOUND}" opacity="0.75"/>')
    lines.append(_text(left + 28, key, "recall: share of the bought events that was removed", size=11, at="start"))
    lines.append(f'<circle cx="{left + 11}" cy="{key + 14}" r="4.5" fill="{GOOD}"/>')
    lines.append(
        _text(left + 28, key + 18, "precision: share of the removed events that was bought", size=11, at="start")
    )
    return _svg(720, key + 34, "Precision and recall of each attack scenario", lines)


def _box(x: float, y: float, width: float, title: str, note: str = "", *, fill: str) -> list[str]:
    """A rectangle with a title, and a smaller line below it."""
    height, middle = 50 if note else 32, x + width / 2
    lines = [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height}" rx="6" fill="{fill}" stroke="{LINE}"/>',
        _text(middle, y + 21, title, weight=600),
    ]
    return [*lines, _text(middle, y + 39, note, size=11, fill=QUIET)] if note else lines


def _arrow(*points: tuple[float, float]) -> str:
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{QUIET}" stroke-width="1.5" marker-end="url(#tip)"/>'


def pipeline() -> str:
    """The roles, and the topics that each reads and writes: a row for each role of the table."""
    lines = [_text(20, 28, "How data flows", size=15, weight=600, at="start")]
    y = 60.0
    for role in ROLES.values():
        written = [*role.outputs, *role.aligned]
        height = max(96, 40 * len(written))
        middle = y + height / 2
        reads, note = ("your topics", "views, likes, follows") if role.log is None else (role.log.suffix, "the log")
        lines += _box(20, middle - 25, 160, reads, note, fill=TOPIC)
        lines.append(_arrow((180, middle), (250, middle)))
        lines += _box(250, middle - 25, 170, role.name, _note(role), fill=ROLE)
        for number, topic in enumerate(written):
            at = y + (number + 0.5) * height / len(written)
            lines.append(_arrow((420, middle), (450, middle), (450, at), (490, at)))
            lines += _box(490, at - 16, 210, topic.suffix, fill=TOPIC)
        y += height + 30
    return _svg(720, round(y), "The roles of truecount and the topics that they read and write", lines)


def _note(role: Role) -> str:
    return "" if role.changelog is None else f"state in {role.changelog.suffix}"


def case() -> str:
    """The statuses of a flag, and where the artificial events are while its case is open and after it."""
    lines = [_text(20, 28, "The life of a case", size=15, weight=600, at="start")]
    y = 50
    for number, (status, when) in enumerate(STATUSES.items()):
        lines += _box(20, y, 150, status, fill=ROLE)
        lines.append(_text(185, y + 20, when, size=12, fill=QUIET, at="start"))
        if number + 1 < len(STATUSES):
            lines.append(_arrow((95, y + 32), (95, y + 52)))
        y += 52
    y += 14
    for x, head in ((20, "verdict"), (200, "while the case is open"), (440, "when it closes")):
        lines.append(_text(x, y, head, size=12, weight=600, at="start"))
    for verdict, ending in ENDINGS.items():
        y += 14
        inside = "the artificial part is quarantined" if ending.quarantines else "nothing is taken out"
        after = "it becomes invalid, with a reason" if ending.becomes is None else "it is valid again"
        lines += _box(20, y, 150, verdict, fill=VERDICT)
        lines.append(_text(200, y + 20, inside, size=12, at="start"))
        lines.append(_text(440, y + 20, after if ending.quarantines else "nothing changes", size=12, at="start"))
        y += 32
    return _svg(720, y + 24, "The statuses of a flag and the endings of a case", lines)


PICTURES = {"pipeline": pipeline, "case": case, "precision_and_recall": precision_and_recall}


def main() -> None:
    """Write every picture."""
    for name, draw in PICTURES.items():
        (DIRECTORY / f"{name}.svg").write_text(draw())


if __name__ == "__main__":
    main()
