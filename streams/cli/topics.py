"""Commands on the broker's side: create the topics, print topics and ACLs for an administrator."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams.cli.options import ConfigOption, JsonOption, ServersOption, settings_from

PrincipalOption = Annotated[
    str | None,
    typer.Option(help="Principal of the ACLs, User:name; by default that of broker.username.", show_default=False),
]
StrimziOption = Annotated[
    str | None,
    typer.Option("--strimzi", metavar="CLUSTER", help="Print resources for this Strimzi cluster.", show_default=False),
]


def add(app: typer.Typer) -> None:
    """Register the commands."""
    topics = typer.Typer(help="Create truecount's topics.", no_args_is_help=True)
    topics.command("create")(topics_create)
    app.add_typer(topics, name="topics")
    app.command()(acls)


def topics_create(
    config: ConfigOption = None,
    servers: ServersOption = None,
    own_only: Annotated[bool, typer.Option("--own-only", help="Do not create the input topics.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print commands that create the topics. Needs no broker.")
    ] = False,
    strimzi: StrimziOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the topics that are missing, or print what an administrator can run to create them.

    Example: truecount topics create --own-only --dry-run
    """
    import orjson
    from rich.console import Console

    from streams.kafka.topics import create
    from streams.maintenance.access import strimzi_topic, topic_commands
    from streams.roles import plan
    from streams.settings.section import SettingsError

    settings = settings_from(config, servers)
    planned = plan(settings, inputs=not own_only)
    if strimzi is not None and not dry_run:
        raise SettingsError("--strimzi prints resources: it needs --dry-run")
    if dry_run:
        if as_json:
            print(orjson.dumps([_as_dict(topic) for topic in planned]).decode())
        elif strimzi is not None:
            print("\n---\n".join(strimzi_topic(topic, strimzi) for topic in planned))
        else:
            print("\n".join(topic_commands(planned, settings.broker.servers)))
        return
    made, there = create(settings, planned)
    if as_json:
        print(orjson.dumps({"created": made, "existing": there}).decode())
        return
    console = Console()
    for name in made:
        console.print(f"created  {name}", highlight=False)
    for name in there:
        console.print(f"exists   {name}", highlight=False)


def acls(
    config: ConfigOption = None,
    servers: ServersOption = None,
    principal: PrincipalOption = None,
    purpose: Annotated[
        str,
        typer.Option("--for", help="worker (also doctor), topics (to create them), or reader (of flags and counts)."),
    ] = "worker",
    strimzi: StrimziOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the least ACLs that truecount needs, as commands for an administrator. Needs no broker.

    Example: truecount acls --config truecount.toml --principal User:truecount
    """
    import orjson

    from streams.maintenance.access import acl_commands, principal_of, strimzi_user

    settings = settings_from(config, servers)
    who = principal_of(settings, principal)
    access = _access_for(purpose, settings)
    if as_json:
        rows = [each._asdict() for each in access]
        print(orjson.dumps({"principal": who, "access": rows}).decode())
    elif strimzi is not None:
        print(strimzi_user(access, who, strimzi))
    else:
        print("\n".join(acl_commands(access, who, settings.broker.servers)))


def _access_for(purpose: str, settings: Any) -> Any:
    from streams.maintenance.access import creator_access, reader_access, worker_access
    from streams.roles import plan
    from streams.settings.section import SettingsError

    match purpose:
        case "worker":
            return worker_access(settings)
        case "topics":
            return creator_access(plan(settings, inputs=False))
        case "reader":
            return reader_access(settings)
    raise SettingsError(f"--for {purpose}: must be worker, topics or reader")


def _as_dict(topic: Any) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "partitions": topic.num_partitions,
        "replication": topic.replication_factor,
        "config": topic.topic_configs,
    }
