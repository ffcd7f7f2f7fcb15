"""How commands that read a file end: what was read, what was lost, and whether that is too much."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console

from streams.failures import Failure
from streams.offline.recorded.losses import Losses


class LostError(Failure):
    """More of a file was lost than an odd record here and there."""

    exit_code = 1


def report_losses(losses: Losses, name: str, *, allow_bad: bool) -> None:
    """Say on standard error what was lost. Raises LostError if it is too much and not allowed."""
    sentence = losses.sentence(name)
    if sentence is None:
        return
    if losses.too_many() and not allow_bad:
        raise LostError(f"{sentence}. If that is right, say --allow-bad")
    print(f"truecount: {sentence}", file=sys.stderr)


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Facts on standard output: as JSON, or a line each; those that are empty are left out of the lines."""
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
