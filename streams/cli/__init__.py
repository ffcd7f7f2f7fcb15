"""The command ``truecount``. Exit codes: 0 done, 1 not as wanted, 2 usage or configuration, 3 broker."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from streams.failures import Failure

ROOMS = {
    "worker": "service",
    "broker": "service",
    "topics": "service",
    "replay": "files",
    "simulate": "files",
    "backtest": "backtest",
    "explain": "explain",
    "flags": "audit_topics",
    "counts": "audit_topics",
    "rebuild": "log",
    "repartition": "log",
    "config": "tools",
    "doctor": "tools",
    "demo": "tools",
}
"""Command → the module of this package that adds it."""


class Commands(TyperGroup):
    """Imports a command's module when it is asked for: a worker that starts has no use for the lab's libraries.

    Contexts and commands are of the click that Typer brings along, which has no public name.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the help."""
        return list(ROOMS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None."""
        if cmd_name not in ROOMS:
            return None
        room = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        room.callback()(truecount)  # without one, Typer makes a room of one command that command
        import_module(f"streams.cli.{ROOMS[cmd_name]}").add(room)
        group = typer.main.get_command(room)
        assert isinstance(group, TyperGroup)
        return group.commands[cmd_name]


app = typer.Typer(
    name="truecount",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def truecount() -> None:
    """Audits view, like and follow counts on the stream: flags bought bursts, spares viral hits."""


def main() -> None:
    """Entry point: errors are sentences on standard error."""
    try:
        app()
    except Failure as error:
        print(f"truecount: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
