"""Commands: worker, broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, ServersOption, settings_from

if TYPE_CHECKING:
    from streams.settings.settings import Settings


def add(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(worker)
    app.command()(broker)


def worker(
    config: ConfigOption = None,
    servers: ServersOption = None,
    roles: Annotated[
        str | None,
        typer.Option(help="Roles to run, comma-separated; by default all.", show_default=False),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of /metrics; 0 takes a free one.")] = None,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
) -> None:
    """Run a worker, which audits the input topics.

    Example: truecount worker --config truecount.toml --roles ingest,targets
    """
    import asyncio

    from streams.roles import ROLES, used_roles
    from streams.service import memory
    from streams.service.logs import as_json, configure
    from streams.settings.section import SettingsError
    from streams.worker import Worker

    wanted = [] if roles is None else [role.strip() for role in roles.split(",") if role.strip()]
    unknown = [role for role in wanted if role not in ROLES]
    if unknown or not (wanted or roles is None):
        raise SettingsError(f"--roles: unknown role {', '.join(unknown) or '(none)'}; the roles are {', '.join(ROLES)}")

    def read() -> Settings:
        return settings_from(config, servers, web__port=port)

    settings = read()
    names = [role.name for role in used_roles(settings)]
    wanted = wanted or names
    if unused := [role for role in wanted if role not in names]:
        raise SettingsError(f"--roles: {', '.join(unused)} is switched off; set actors.enabled = true for it")
    if log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError(f"--log-level {log_level}: must be DEBUG, INFO, WARNING or ERROR")
    configure(log_level.upper())

    async def run() -> None:
        await Worker(settings, roles=wanted, reread=read).run()

    try:
        asyncio.run(run())
    except Exception as error:
        if not as_json():
            raise
        raise typer.Exit(_log_end(error)) from None  # a sentence in plain text would be no line of this log
    finally:
        memory.freeze_heap()


def _log_end(error: Exception) -> int:
    """Log why the worker ended. Returns the exit code."""
    import sys

    import structlog

    from streams.cli import INTERNAL_ERROR
    from streams.cli.crash import report
    from streams.failures import Failure

    if isinstance(error, Failure):
        code, reason = error.exit_code, str(error)
    else:
        code, reason = INTERNAL_ERROR, report(error, sys.argv[1:])
    structlog.get_logger().error("the worker ended", reason=reason, code=code)
    return code


def broker(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 9092,
) -> None:
    """Run the embedded broker until Ctrl-C: in memory only, for tests. Example: truecount broker --port 9092"""
    import signal

    from rich.console import Console

    from streams.kafka.embedded import EmbeddedBroker

    def end(_number: int, _frame: object) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, end)
    with EmbeddedBroker(port) as running:
        Console().print(
            f"broker at {running.address}: in memory only, at-least-once (no transactions); Ctrl-C stops it"
        )
        raise typer.Exit(running.wait())
