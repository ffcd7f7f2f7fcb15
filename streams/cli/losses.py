"""Reports the result of commands that read a file: facts, losses, and failure if too much was lost."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console

from streams.failures import Failure
from streams.offline.recorded.losses import Losses


class LostError(Failure):
    """Too many records of a file were lost."""

    exit_code = 1


def report_losses(losses: Losses, name: str, *, allow_bad: bool) -> None:
    """Print to standard error what was lost. Raises LostError if it is too much, unless ``allow_bad``."""
    sentence = losses.sentence(name)
    if sentence is None:
        return
    if losses.too_many() and not allow_bad:
        raise LostError(f"{sentence}. If this is expected, add --allow-bad")
    print(f"truecount: {sentence}", file=sys.stderr)


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print facts to standard output: as JSON, or one a line without empty ones."""
    if as_json:
        print(orjson.dumps(facts).decode())
        return
    console = Console()
    for name, value in facts.items():
        if value is not None and value != {} and name != "most_frequent":
            console.print(f"{name.replace('_', ' '):16} {_shown(value)}", markup=False, highlight=False, soft_wrap=True)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {f'({_shown(inner)})' if isinstance(inner, dict) else f'{inner:,}'}"
            for name, inner in value.items()
        )
    return f"{value:,}" if isinstance(value, int) else str(value)
