"""The command ``truecount``. Exit codes: 0 done, 1 not as wanted, 2 usage or configuration, 3 broker."""

from __future__ import annotations

import sys

import typer

from streams.cli import audit_topics, backtest, explain, files, log, service, tools
from streams.embedded import EmbeddedBrokerError
from streams.rebuilding import LogError
from streams.settings import SettingsError
from streams.topics import BrokerError

EXIT_NOT_AS_WANTED = 1
EXIT_CONFIGURATION = 2
EXIT_BROKER = 3

app = typer.Typer(
    name="truecount",
    help="Audits view, like and follow counts on the stream: flags bought bursts, spares viral hits.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
service.add(app)
files.add(app)
backtest.add(app)
explain.add(app)
audit_topics.add(app)
log.add(app)
tools.add(app)


def main() -> None:
    """Entry point: errors are sentences on standard error."""
    try:
        app()
    except SettingsError as error:
        print(f"truecount: {error}", file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION)
    except LogError as error:
        print(f"truecount: {error}", file=sys.stderr)
        sys.exit(EXIT_NOT_AS_WANTED)
    except (BrokerError, EmbeddedBrokerError) as error:
        print(f"truecount: {error}", file=sys.stderr)
        sys.exit(EXIT_BROKER)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
