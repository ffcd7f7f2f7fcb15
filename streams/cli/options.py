"""Options that commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streams.settings.settings import Settings

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file; also TRUECOUNT_CONFIG.", show_default=False)
]
ServersOption = Annotated[
    str | None,
    typer.Option("--servers", "-s", help="Bootstrap servers, host:port[,host:port].", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AllowBadOption = Annotated[
    bool, typer.Option("--allow-bad", help="Exit with 0 even if there are no events or more than 1 % was lost.")
]


def settings_from(config: Path | None, servers: str | None = None, **overrides: Any) -> Settings:
    """Settings from the file, the environment and the options; later ones override. Raises SettingsError."""
    from streams.settings.settings import load

    if config is None and os.environ.get("TRUECOUNT_CONFIG"):
        config = Path(os.environ["TRUECOUNT_CONFIG"])
    if servers is not None:
        overrides["broker__servers"] = servers
    return load(config, **{key: value for key, value in overrides.items() if value is not None})
