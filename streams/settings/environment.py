"""Environment variables as settings: the key of each variable, and the nearest known name of a misspelt one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from streams.settings.section import SettingsError

ENV_PREFIX = "TRUECOUNT_"
ENV_NESTING = "__"
NO_SETTINGS = ("TRUECOUNT_CONFIG", "TRUECOUNT_REPORTS")
"""Variables of truecount that are no settings: the configuration's file, and the directory of error reports."""

SERVICE_LINK = re.compile(r"TRUECOUNT(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")
"""Variables that Kubernetes sets in each pod for a Service whose name begins with truecount."""

Path = tuple[str, ...]


def given(environ: Mapping[str, str]) -> Iterator[tuple[str, Path, Any]]:
    """Yield (variable, key, value) of each variable that is meant as a setting. Raises SettingsError."""
    for name, text in sorted(environ.items()):
        if name.startswith(ENV_PREFIX) and name not in NO_SETTINGS:
            yield name, tuple(name.removeprefix(ENV_PREFIX).lower().split(ENV_NESTING)), _value(name, text)


def variable_of(loc: Iterable[Any], variables: Mapping[Path, str], problem: str) -> str | None:
    """The variable that set what is wrong at ``loc``; None if no variable did."""
    place = tuple(str(part).lower() for part in loc)
    for key, name in variables.items():
        if place[: len(key)] == key:
            return name
        # A variable below a plain value: the problem is at the value. A rule of a whole section is a value_error.
        if key[: len(place)] == place and problem != "value_error":
            return name
    return None


def hint(model: type[BaseModel], loc: Iterable[Any], variable: str | None) -> str:
    """What to do about an unknown key at ``loc``, which ``variable`` set if it is given: mostly, the nearest name."""
    if variable is not None and SERVICE_LINK.fullmatch(variable):
        return "Kubernetes sets it for a Service of that name; set enableServiceLinks: false in the pod"
    known = [".".join(key) for key in _keys(model)]
    if variable is None:
        nearest = get_close_matches(".".join(str(part) for part in loc if not isinstance(part, int)), known, 1)
    else:
        names = [key.replace(".", ENV_NESTING).upper() for key in known]
        names += [name.removeprefix(ENV_PREFIX) for name in NO_SETTINGS]
        nearest = [f"{ENV_PREFIX}{name}" for name in get_close_matches(variable.removeprefix(ENV_PREFIX), names, 1)]
    return f"the nearest is {nearest[0]}" if nearest else "check its spelling or remove it"


def _value(name: str, text: str) -> Any:
    """A variable's value: text, or a TOML list or table."""
    if text[:1] not in {"[", "{"}:
        return text
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"environment variable {name} is not a TOML value: {error}") from None


def _keys(model: type[BaseModel], above: Path = (), outer: tuple[type[BaseModel], ...] = ()) -> Iterator[Path]:
    """All keys of a model and of the models in it, but for models within themselves. A name of the user's is ``*``."""
    for name, field in model.model_fields.items():
        key = (*above, field.alias or name)
        yield key
        for inner, named in _models(field.annotation):
            if inner not in (*outer, model):
                yield from _keys(inner, (*key, "*") if named else key, (*outer, model))


def _models(annotation: Any, named: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    """The models in an annotation, and whether they are values of a dict."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, named
    for part in get_args(annotation):
        yield from _models(part, named or get_origin(annotation) is dict)
