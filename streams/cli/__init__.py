"""The command ``truecount``.

Exit codes: 0 done, 1 not as wanted, 2 usage or configuration, 3 broker, 70 an internal error (it leaves a report).
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
"""As sysexits.h has it."""


class Listed(NamedTuple):
    """A command in the help: the module of this package that adds it, and the first sentence of its own help."""

    module: str
    line: str


COMMANDS = {
    "worker": Listed("service", "Audit what flows."),
    "broker": Listed("service", "Run the embedded broker until Ctrl-C: memory only, for tries."),
    "topics": Listed("service", "Truecount's topics."),
    "replay": Listed("files", "Send a recorded file into the input topics, or audit it offline."),
    "map": Listed("maps", "Maps from your fields to an event's."),
    "simulate": Listed("files", "Play a platform's traffic in real time."),
    "backtest": Listed("backtest", "Measure detection against labels, beside the baselines."),
    "explain": Listed("explain", "Show why something was flagged."),
    "flags": Listed("audit_topics", "Show the flags, newest revision of each."),
    "counts": Listed("audit_topics", "Show the audited counts as they stand."),
    "rebuild": Listed(
        "log", "Audit the retained log again, under this configuration, into topics beside the live ones."
    ),
    "repartition": Listed("log", "Split log and state into more partitions; all workers must be stopped."),
    "config": Listed("tools", "The configuration."),
    "doctor": Listed("tools", "Check broker, topics, transactions and the machine; exit 1 if something is wrong."),
    "demo": Listed("tools", "Watch truecount find a bought burst and spare a viral hit, on an embedded broker."),
}
"""All commands, in the order of the help. The lines stand here because the help must not import the commands."""


class Commands(TyperGroup):
    """Imports a command's module when that command is called, never for the list of commands.

    Contexts and commands are of the click that Typer brings along, which has no public name.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        module.callback()(truecount)  # without one, Typer takes a module of one command for that command
        import_module(f"streams.cli.{COMMANDS[cmd_name].module}").add(module)
        group = typer.main.get_command(module)
        assert isinstance(group, TyperGroup)
        return group.commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.line) for name, listed in COMMANDS.items()])

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises ReaderGoneError: click would end with 1 where nobody reads the output to its end."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGoneError from None


class ReaderGoneError(Exception):
    """Whoever read the output has enough of it (``truecount counts | head``): no error of ours."""


app = typer.Typer(
    name="truecount",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"truecount {import_module('streams.service.version').installed_version()}")
        raise typer.Exit


@app.callback()
def truecount(
    version: Annotated[  # its callback does all
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Audits view, like and follow counts on the stream: flags bought bursts, spares viral hits."""


def main() -> None:
    """Entry point: errors are sentences on standard error, and no command shows a traceback."""
    try:
        for stream in (sys.stdout, sys.stderr):
            # A terminal of ASCII shows an id in Chinese as escapes; that is no reason to end.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        app()
    except Failure as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except (BrokenPipeError, ReaderGoneError):
        _close_output()
        sys.exit(0)
    except Exception as error:  # noqa: BLE001  # whatever it is, it ends as a sentence
        _end(_report(error), INTERNAL_ERROR)


def _report(error: Exception) -> str:
    try:
        return str(import_module("streams.cli.crash").report(error, sys.argv[1:]))
    except Exception as other:  # noqa: BLE001  # not even a fault in the report shows a traceback
        return f"an internal error ({error!r}), and its report could not be written ({other!r}); please report both"


def _end(sentence: str, code: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        print(f"truecount: {sentence}", file=sys.stderr, flush=True)
    sys.exit(code)


def _close_output() -> None:
    """Nobody reads it any more: without this, the interpreter tries to write the rest when it ends, and complains."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
