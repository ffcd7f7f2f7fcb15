"""The command forget: deletes what is stored of an actor."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from

WAIT_SECONDS = 60.0


def add(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(forget)


def forget(
    actor: Annotated[str, typer.Argument(metavar="ACTOR", help="Id of the actor.", show_default=False)],
    config: ConfigOption = None,
    servers: ServersOption = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for a worker that confirms it.", min=0)] = WAIT_SECONDS,
    as_json: JsonOption = False,
) -> None:
    """Delete what is stored of an actor. Exits with 1 if no worker has confirmed it yet.

    Example: truecount forget u4711 --config truecount.toml
    """
    import asyncio

    import orjson

    from streams.clock import SystemClock
    from streams.evidence.text import plain
    from streams.failures import Failure
    from streams.maintenance.forget import forget as delete

    settings = settings_from(config, servers)
    result = asyncio.run(delete(settings, actor, wait_seconds=wait, clock=SystemClock()))
    name = plain(actor)
    if as_json:
        print(orjson.dumps(result.as_dict()).decode())
    elif result.deleted:
        print(f"{name}: its ruling and what was stored of its acts are deleted")
        print(f"the log still has its acts, each for {result.log_hours} hours after it; then nothing is left here")
        print("your own input topics, and the dead letters, are not changed; numbers in counts have no ids")
    if not result.deleted:
        raise Failure(
            f"{name}: no worker has confirmed it within {wait:.0f} s. The request is in the log: a worker with the"
            " role actors will do it when it runs"
        )
