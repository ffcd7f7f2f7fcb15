"""All settings: read from a TOML file, overridden by ``TRUECOUNT_*`` variables; unknown keys are refused by name."""

from __future__ import annotations

import hashlib
import os
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, Field, ValidationError, field_validator

from streams.settings.actors import Actors
from streams.settings.broker import Broker
from streams.settings.detection import Detection
from streams.settings.environment import ENV_NESTING, given, hint, variable_of
from streams.settings.event_time import Time
from streams.settings.inputs import Input, ReplayMap
from streams.settings.rules import Rules
from streams.settings.section import Section, SettingsError

Model = TypeVar("Model", bound=BaseModel)

__all__ = ["Input", "ReplayMap"]  # re-exported: they are part of the settings


class Web(Section):
    """The HTTP server for /metrics, /livez and /readyz. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=6067, ge=0, le=65535)


class State(Section):
    """Where state is stored, and how much of it is cached in memory."""

    directory: Path = Path("truecount-data")
    memory_bytes: int = Field(default=512 * 1024 * 1024, ge=1024 * 1024)
    dedupe_ids: int = Field(default=100_000, ge=1)
    """minimum number of event ids that a partition remembers, to detect duplicates"""


class Settings(Section):
    """The configuration of a worker or a command."""

    app: str = Field(default="truecount", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    prefix: str = Field(default="truecount.", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    log_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    """prefix of by-target, by-actor and ingest-state; default: ``prefix``"""
    state_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    """prefix of targets-state and actors-state; default: ``prefix``"""
    partitions: int = Field(default=8, ge=1, le=1024)
    processing: Literal["exactly_once", "at_least_once"] = "exactly_once"
    checkpoint_seconds: float = Field(default=5.0, gt=0, le=300)
    drain_seconds: float = Field(default=25.0, ge=3, le=600)
    """maximum duration of a stop, even if the broker does not answer"""
    watchdog_seconds: float = Field(default=120.0, ge=5, le=3600)
    """with work to do, /livez fails after this time without progress or without a checkpoint"""
    retention_hours: int = Field(default=168, ge=1)
    broker: Broker = Broker()
    time: Time = Time()
    web: Web = Web()
    detection: Detection = Detection()
    rules: Rules = Rules()
    actors: Actors = Actors()
    state: State = State()
    inputs: tuple[Input, ...] = (
        Input(topic="views", metric="view"),
        Input(topic="likes", metric="like"),
        Input(topic="follows", metric="follow"),
    )

    @field_validator("inputs")
    @classmethod
    def _distinct(cls, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        topics = [i.topic for i in inputs]
        twice = sorted({t for t in topics if topics.count(t) > 1})
        if twice:
            raise ValueError(f"topic {twice[0]!r} is listed twice; remove one of the two")
        if not inputs:
            raise ValueError("at least one input is needed")
        return inputs

    def version(self) -> str:
        """Digest of all settings that can change a verdict or a count; published as ``config`` of each flag."""
        relevant = self.model_dump(mode="json", include={"time", "inputs", "partitions", "detection", "rules"})
        relevant["dedupe_ids"] = self.state.dedupe_ids
        if self.actors.enabled:
            relevant["actors"] = self.actors.model_dump(mode="json", exclude={"memory_bytes"})
        return "sha256:" + hashlib.sha256(orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def input_for(self, metric: str) -> Input | None:
        """The first input that takes native JSON events of a metric; None if there is none."""
        for candidate in self.inputs:
            if candidate.is_native() and candidate.format == "json" and candidate.metric in (metric, None):
                return candidate
        return None


def load(path: Path | None = None, environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    """Read settings from a TOML file and the environment. Raises SettingsError."""
    data = read_toml(path) if path is not None else {}
    env = dict(os.environ) if environ is None else environ
    variables: dict[tuple[str, ...], str] = {}
    for name, key, value in given(env):
        _put(data, key, value, f"environment variable {name}: ")
        variables[key] = name
    for dotted, value in overrides.items():
        option = tuple(dotted.split(ENV_NESTING))
        _put(data, option, value)
        variables.pop(option, None)
    return _validated(Settings, data, None if path is None else str(path), variables)


def load_map(path: Path, data: dict[str, Any] | None = None) -> ReplayMap:
    """Read a replay map. Raises SettingsError.

    ``data`` is the content of the file if the caller has read it: a pipe cannot be read twice.
    """
    return _validated(ReplayMap, read_toml(path) if data is None else data, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dict. Raises SettingsError."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None


def _validated(
    model: type[Model], data: dict[str, Any], where: str | None, variables: dict[tuple[str, ...], str] | None = None
) -> Model:
    """Make a model of ``data``. ``variables`` has the environment variables that set a key. Raises SettingsError."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines, in_file = [], False
        for problem in error.errors():
            loc, kind = problem["loc"], problem["type"]
            variable = variable_of(loc, variables or {}, kind)
            in_file = in_file or variable is None
            key = ".".join(str(part) for part in loc) or "(whole file)"
            message = problem["msg"].removeprefix("Value error, ")
            if kind == "extra_forbidden":
                message = f"unknown key; {hint(model, loc, variable)}"
            lines.append(f"{f'environment variable {variable}: ' if variable else ''}{key}: {message}")
        source = f" from {where}" if where and in_file else ""
        raise SettingsError(f"the configuration{source} is invalid: {'; '.join(lines)}") from None


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any, given_by: str = "") -> None:
    for part in path[:-1]:
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            raise SettingsError(
                f"{given_by}{'.'.join(path)}: {part} is set as a value, so it cannot have keys; remove one of the two"
            )
    data[path[-1]] = value
