"""Settings of input topics, of recorded files, and of the map from their fields to the native event.

The vocabulary of maps is closed: everything that a map can do is a key of a section here or in ``sources``.
``docs/events.md`` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from detectors.events.event import FIELDS
from streams.codecs.registry import codec_named
from streams.grammar.fields import DURATIONS, FLAGS, TIMES
from streams.grammar.paths import WHOLE, parse_path
from streams.grammar.times import UNITS
from streams.settings.section import Section
from streams.settings.sources import Condition, PathSpec, Source, check_source

_NOBODY = ("null", "none", "nil", "nan", "n/a", "undefined", "unknown", "anonymous", "guest")
PLACEHOLDERS = (
    *("0", "-1", "-", "\\N", "(not set)", "NaN", "00000000-0000-0000-0000-000000000000", "0" * 32),
    *(spelled for word in _NOBODY for spelled in (word, word.capitalize(), word.upper())),
)
"""Default placeholders of a map: actor ids that mean that the actor is not known."""

FieldMap = dict[str, Source]


def _read_map(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    for name in raw:
        if name not in FIELDS:
            raise ValueError(f"unknown field {name!r}; an event has {', '.join(FIELDS)}")
    return raw


class Mapping(Section):
    """How records become native events. Without a map, the records must be native events."""

    metric: Literal["view", "like", "follow"] | None = None
    map: FieldMap | None = None
    each: PathSpec | None = None
    """path of a list in the value: one event for each of its elements; "$" is the value itself"""
    keep: tuple[Condition, ...] = ()
    """a record is an event only if it meets all of these; the others are skipped"""
    skip: tuple[Condition, ...] = ()
    """a record that meets one of these is skipped"""
    placeholders: tuple[str, ...] | None = None
    """actor ids that mean that the actor is not known: the event counts, but is evidence about no person. Default:
    PLACEHOLDERS if there is a map, none for native events, which use ``null``"""
    relations: bool = True
    """whether a like or a follow is a state that an actor can have once; false if honest actors repeat it (shares,
    ratings, reviews)"""
    transform: str | None = None
    """``package.module:function``, a function that makes native events of a record"""
    earliest: int | None = Field(default=None, ge=0)
    """earliest event time accepted, in epoch ms; default: ``time.earliest``"""

    @field_validator("map", mode="before")
    @classmethod
    def _map(cls, raw: Any) -> Any:
        return _read_map(raw)

    @field_validator("each")
    @classmethod
    def _each(cls, each: PathSpec | None) -> PathSpec | None:
        if each is not None:
            parse_path(each)
        return each

    @field_validator("transform")
    @classmethod
    def _transform(cls, name: str | None) -> str | None:
        if name is not None:
            function(name)
        return name

    def actor_placeholders(self) -> tuple[str, ...]:
        """Actor ids that mean that the actor is not known."""
        if self.placeholders is not None:
            return self.placeholders
        return () if self.map is None else PLACEHOLDERS

    def codec_name(self) -> str:
        """Name of the codec that reads the records. Rows of a recorded file are passed as JSON."""
        return "json"

    def is_native(self) -> bool:
        """Whether all its records are native events."""
        return self.map is None and self.transform is None and not (self.keep or self.skip)

    @model_validator(mode="after")
    def _complete(self) -> Mapping:
        if self.transform is not None:
            others = [name for name in ("map", "each", "keep", "skip") if getattr(self, name)]
            if others:
                raise ValueError(f"transform and {others[0]} cannot be used together: remove one of them")
        if self.each is not None and self.map is None:
            raise ValueError("each needs a map for the fields of an element: add one")
        if self.map is not None:
            check_map(self.map, has_metric=self.metric is not None)
        for source in [*(self.map or {}).values(), *self.keep, *self.skip]:
            if self.each is None and any(piece.outer is not None for piece in source.within()):
                raise ValueError("outer needs each: without each, use path")
            if self.each is None and any(piece.path == WHOLE for piece in source.within()):
                raise ValueError(f'path = "{WHOLE}" needs each: it is an element of the list')
        return self


def function(name: str) -> Callable[..., Any]:
    """Import the function named ``package.module:function``. Raises ValueError."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(f'transform = "{name}": must be "package.module:function"')
    try:
        found = getattr(import_module(module), attribute, None)
    except Exception as error:  # noqa: BLE001  # an operator's module may raise anything on import
        raise ValueError(f"transform: module {module} cannot be imported: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise ValueError(f"transform: {module} has no function {attribute}")
    called: Callable[..., Any] = found
    return called


def check_map(fields: FieldMap, *, has_metric: bool) -> None:
    """Raise ValueError if a map cannot make an event."""
    needed = ["ts", "actor", "target"] + ([] if has_metric else ["metric"])
    missing = [name for name in needed if name not in fields]
    if missing:
        raise ValueError(f"the map lacks {', '.join(missing)}: add where each of them is")
    for name, source in fields.items():
        for piece in source.within():
            check_source(name, piece)
        written = name in TIMES and source.time is not None and source.time not in UNITS
        if source.join is not None and not written and name in (*TIMES, *DURATIONS, *FLAGS, "metric"):
            hint = "; give the layout of the text with time" if name in TIMES else "; use path or first"
            raise ValueError(f"{name}: join makes a text, and {name} is not a text{hint}")


class Input(Mapping):
    """One input topic."""

    topic: str = Field(min_length=1)
    format: str = "json"
    """name of the codec that reads the records; streams/codecs/registry.py lists them"""

    @field_validator("format")
    @classmethod
    def _format(cls, name: str) -> str:
        codec_named(name)
        return name

    def codec_name(self) -> str:
        """See Mapping."""
        return self.format


class ReplayFile(Section):
    """Format of a recorded file."""

    format: Literal["csv", "tsv", "ndjson", "json", "parquet"] | None = None
    """default: recognised by the file's content and name"""
    columns: tuple[str, ...] | None = None
    """names of the columns of a CSV or TSV file without a header"""

    @field_validator("columns")
    @classmethod
    def _different(cls, columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if columns is not None and (not columns or len(set(columns)) < len(columns) or "" in columns):
            raise ValueError("columns: give each column of the file a name of its own")
        return columns


class ReplayMap(Mapping):
    """A map for ``truecount replay``: the file's format, and where each event field comes from."""

    file: ReplayFile = ReplayFile()
