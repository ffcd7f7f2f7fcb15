"""The command ``truecount``.

Exit codes: 0 done, 1 a check or a condition failed, 2 usage or configuration, 3 broker, 70 internal error.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from streams.failures import Failure

INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h."""


class CommandEntry(NamedTuple):
    """A command in the list of the help: the module that adds it, and the first sentence of its own help."""

    module: str
    line: str


COMMANDS = {
    "worker": CommandEntry("service", "Run a worker, which audits the input topics."),
    "broker": CommandEntry("service", "Run the embedded broker until Ctrl-C: in memory only, for tests."),
    "topics": CommandEntry("topics", "Create truecount's topics."),
    "acls": CommandEntry("topics", "Print the least ACLs that truecount needs, as commands for an administrator."),
    "replay": CommandEntry("files", "Send a recorded file to the input topics, or audit it offline."),
    "map": CommandEntry("maps", "Suggest and try maps from your fields to an event's fields."),
    "simulate": CommandEntry("files", "Send simulated traffic in real time."),
    "backtest": CommandEntry("backtest.command", "Measure detection against labels, and compare it with baselines."),
    "explain": CommandEntry("outputs.explain", "Show the evidence of a flag."),
    "flags": CommandEntry("outputs.flags", "Show the newest revision of each flag, a line each."),
    "counts": CommandEntry("outputs.counts", "Show the current audited counts."),
    "actors": CommandEntry("outputs.actors", "Show the current rulings on actors, the highest scores first."),
    "actor": CommandEntry(
        "outputs.actors", "Show one actor: its ruling with reasons, what is stored of it, and its acts."
    ),
    "forget": CommandEntry("forget", "Delete what is stored of an actor."),
    "rebuild": CommandEntry("log", "Audit the retained log again, under this configuration, into separate topics."),
    "repartition": CommandEntry("log", "Split log and state into more partitions; stop all workers first."),
    "config": CommandEntry("tools", "Check a configuration."),
    "doctor": CommandEntry(
        "tools", "Check machine, broker, access, topics and input records; exit 1 if something is wrong."
    ),
    "demo": CommandEntry(
        "tools", "Show on an embedded broker how truecount flags a bought burst and spares a viral hit."
    ),
}
"""All commands, in the order of the help. Their help lines are here because the help must not import the commands."""


class Commands(TyperGroup):
    """A group that imports a command's module only when that command is called.

    Contexts and commands are typed Any: they are of the click inside Typer, which has no public name.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        module.callback()(truecount)  # without a callback, Typer makes a module with one command that command
        import_module(f"streams.cli.{COMMANDS[cmd_name].module}").add(module)
        group = typer.main.get_command(module)
        assert isinstance(group, TyperGroup)
        return group.commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.line) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises OutputClosedError when the output is closed: click would exit with 1."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            raise OutputClosedError from None


class OutputClosedError(Exception):
    """The output was closed by its reader (``truecount counts | head``). This is not an error of the command."""


app = typer.Typer(
    name="truecount",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(requested: bool) -> None:
    if requested:
        print(f"truecount {import_module('streams.service.version').installed_version()}")
        raise typer.Exit


@app.callback()
def truecount(
    version: Annotated[  # the callback does everything
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Audit view, like and follow counts of a stream: flag bought bursts, spare viral hits."""


def main() -> None:
    """Entry point. An error ends as one sentence on standard error, never as a traceback."""
    try:
        for stream in (sys.stdout, sys.stderr):
            # On an ASCII terminal, an id in Chinese is printed as escapes instead of an error.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        app()
    except Failure as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except (BrokenPipeError, OutputClosedError):
        _close_output()
        sys.exit(0)
    except Exception as error:  # noqa: BLE001  # any error must end as a sentence
        _end(_report(error), INTERNAL_ERROR)


def _report(error: Exception) -> str:
    try:
        return str(import_module("streams.cli.crash").report(error, sys.argv[1:]))
    except Exception as other:  # noqa: BLE001  # a failure of the report must not show a traceback
        return f"internal error ({error!r}); writing its report failed, too ({other!r}). Please report both errors"


def _end(sentence: str, code: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # standard error may be closed
        print(f"truecount: {sentence}", file=sys.stderr, flush=True)
    sys.exit(code)


def _close_output() -> None:
    """Redirect a closed output to nowhere, so that the interpreter does not fail when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
