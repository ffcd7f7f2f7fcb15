"""Commands: config check, doctor, demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from


def add(app: typer.Typer) -> None:
    """Register the commands."""
    config = typer.Typer(help="Check a configuration.", no_args_is_help=True)
    config.command("check")(config_check)
    app.add_typer(config, name="config")
    app.command()(doctor)
    app.command()(demo)


def config_check(
    file: Annotated[Path, typer.Argument(help="Configuration, or a map for replay.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Check a configuration or a map before it is used. Example: truecount config check deploy/truecount.toml"""
    import orjson
    from rich.console import Console

    from streams.settings.settings import load_map, read_toml

    data = read_toml(file)
    if data.keys() & {"map", "file"}:
        kind, version = "replay map", None
        load_map(file, data)
    else:
        kind = "configuration"
        version = settings_from(file).version()
    if as_json:
        print(orjson.dumps({"file": str(file), "kind": kind, "version": version, "ok": True}).decode())
    else:
        suffix = f" {version}" if version else ""
        Console().print(f"{file}: a valid {kind}{suffix}", highlight=False, soft_wrap=True)


def doctor(config: ConfigOption = None, servers: ServersOption = None, as_json: JsonOption = False) -> None:
    """Check machine, broker, access, topics and input records; exit 1 if something is wrong.

    Example: truecount doctor
    """
    import orjson
    from rich.console import Console

    from streams.maintenance.doctor import run_checks

    checks = run_checks(settings_from(config, servers))
    if as_json:
        print(orjson.dumps([check.as_dict() for check in checks]).decode())
    else:
        console = Console()
        for check in checks:
            mark = "[green]ok  [/green]" if check.ok else "[red]BAD [/red]"
            console.print(f"{mark} {check.what}: ", end="")
            for line in (check.message, *check.commands):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def demo(
    seed: Annotated[int, typer.Option(help="Seed of the traffic.")] = 1,
    port: Annotated[int, typer.Option(help="Port of /metrics; 0 takes a free one.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show on an embedded broker how truecount flags a bought burst and spares a viral hit.

    Example: truecount demo
    """
    import orjson

    from streams.demo.demo import Demo

    result = Demo(seed=seed, metrics_port=port, plain=as_json or not sys.stdout.isatty(), quiet=as_json).run()
    if as_json:
        print(orjson.dumps(result.as_dict()).decode())
    if not result.passed:
        raise typer.Exit(1)
