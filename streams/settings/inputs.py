"""Settings of what is read: input topics, recorded files, and the map from their fields to the native event.

The vocabulary is closed: everything that a map can do is a key of one of these sections. ``docs/events.md`` lists it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from detectors.events.event import FIELDS, METRICS
from streams.codecs.registry import codec_named
from streams.grammar.fields import DURATIONS, FLAGS, TIMES
from streams.grammar.paths import parse_path
from streams.grammar.times import check_layout
from streams.settings.section import Section

PLAIN = ("time", "unit", "words", "none", "pattern", "hop", "separator")
"""Keys that say how a value is read, not where it is."""
PLACES = ("path", "outer", "key", "header", "timestamp", "value", "first", "join")

PLACEHOLDERS = (
    "0", "-1", "-", "null", "NULL", "none", "None", "nil", "undefined", "unknown", "anonymous", "Anonymous", "guest",
    "00000000-0000-0000-0000-000000000000",
)  # fmt: skip  # one list
"""Actors that mean "nobody" where there is a map that does not say otherwise."""

PathSpec = str | tuple[str, ...]


class Source(Section):
    """Where a value comes from, and how it is read. One key of PLACES, and those of PLAIN that fit its field."""

    path: PathSpec | None = None
    """in the record's value; with ``each`` in one element of the list"""
    outer: PathSpec | None = None
    """with ``each``: in the record's value, around the list"""
    key: PathSpec | Literal[True] | None = None
    """of the record: ``true`` is its whole text, a path leads into its JSON document"""
    header: str | None = Field(default=None, min_length=1)
    """of the record: the last one with this name"""
    timestamp: Literal[True] | None = None
    """of the record, as Kafka has it"""
    value: str | int | bool | None = None
    first: tuple[Source, ...] | None = None
    """alternatives: the first that has a value"""
    join: tuple[Source, ...] | None = None
    """several texts as one"""
    time: str | None = None
    """of a time: s, ms, us, ns, iso, or a strptime format"""
    unit: Literal["s", "ms"] | None = None
    """of a duration"""
    words: dict[str, str | bool] | None = None
    """their words to ours; any other word is refused"""
    none: tuple[str, ...] | None = None
    """texts that mean "not given" """
    pattern: str | None = None
    """a regular expression; the value is its one group"""
    hop: int | None = None
    """of a list of addresses: which one, from 0, or from the end with -1"""
    separator: str | None = None
    """between joined texts; a space if it is left out"""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: Any) -> Any:
        return {"path": raw} if isinstance(raw, str) else raw

    @field_validator("path", "outer", "key")
    @classmethod
    def _readable(cls, path: Any) -> Any:
        if path is not None and path is not True:
            parse_path(path)
        return path

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        places = [name for name in PLACES if getattr(self, name) is not None]
        if len(places) != 1:
            raise ValueError(f"give exactly one of {', '.join(PLACES)}; there {_are(places)}")
        for name, least in (("first", 2), ("join", 2)):
            pieces = getattr(self, name)
            if pieces is not None and len(pieces) < least:
                raise ValueError(f"{name} needs at least {least} sources")
        if self.separator is not None and self.join is None:
            raise ValueError("separator belongs to join")
        return self

    @model_validator(mode="after")
    def _fitting_keys(self) -> Source:
        if self.time is not None:
            check_layout(self.time)
        if self.pattern is not None:
            _check_pattern(self.pattern)
        if self.words is not None and not self.words:
            raise ValueError("words is empty: list their words and what each means")
        if self.first is not None:
            own = [name for name in PLAIN if getattr(self, name) is not None]
            if own:
                raise ValueError(f"{own[0]} belongs inside the alternatives of first, each of which has its own")
            if any(source.first is not None for source in self.first):
                raise ValueError("first cannot stand inside first: make it one list")
        if self.value is not None and (self.pattern or self.none or self.words):
            raise ValueError("a constant needs no pattern, none or words")
        if self.timestamp and (self.time or self.pattern or self.words or self.none):
            raise ValueError("the record's timestamp is milliseconds already: it takes no other key")
        return self

    def within(self) -> Iterator[Source]:
        """Itself and all sources inside."""
        yield self
        for piece in (*(self.first or ()), *(self.join or ())):
            yield from piece.within()


def _are(places: list[str]) -> str:
    return f"are {', '.join(places)}" if places else "is none"


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} is no regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"pattern {pattern!r} must have one group (…), which is the value; it has {groups}")


class Condition(Source):
    """A test of a record: a source, and what must hold of its text. All tests of one condition must hold."""

    is_: tuple[str, ...] | None = Field(default=None, alias="is")
    is_not: tuple[str, ...] | None = None
    matches: str | None = None
    """a regular expression that is found in it"""
    at_least: float | None = None
    at_most: float | None = None
    exists: bool | None = None

    @field_validator("is_", "is_not", mode="before")
    @classmethod
    def _listed(cls, raw: Any) -> Any:
        listed = raw if isinstance(raw, list | tuple) else [raw]
        return None if raw is None else tuple(_word(item) for item in listed)

    @model_validator(mode="after")
    def _tests(self) -> Condition:
        tests = ("is_", "is_not", "matches", "at_least", "at_most", "exists")
        if all(getattr(self, name) is None for name in tests):
            raise ValueError("a condition needs one of is, is_not, matches, at_least, at_most, exists")
        if self.is_ == () or self.is_not == ():
            raise ValueError("is and is_not need at least one word")
        if self.matches is not None:
            try:
                re.compile(self.matches)
            except re.error as error:
                raise ValueError(f"matches {self.matches!r} is no regular expression: {error}") from None
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} is above at_most {self.at_most}: nothing can be both")
        if self.value is not None:
            raise ValueError("a condition on a constant is always or never true: name a path, a key or a header")
        for source in self.within():
            _refuse(source, "a condition", "time", "unit", "words", "hop")
        return self


def _word(item: Any) -> Any:
    return str(item).lower() if isinstance(item, bool) else str(item) if isinstance(item, int) else item


FieldMap = dict[str, Source]


def _read_map(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    for name in raw:
        if name not in FIELDS:
            raise ValueError(f"unknown field {name!r}; an event has {', '.join(FIELDS)}")
    return raw


class Mapping(Section):
    """How records become native events. Without a map they are native events already."""

    metric: Literal["view", "like", "follow"] | None = None
    map: FieldMap | None = None
    each: PathSpec | None = None
    """a list in the value: one event for each of its elements; "$" is the value itself"""
    keep: tuple[Condition, ...] = ()
    """only records for which all of these hold are events; the others are skipped"""
    skip: tuple[Condition, ...] = ()
    """records for which one of these holds are skipped"""
    placeholders: tuple[str, ...] | None = None
    """actors that mean "nobody": such an event counts, and is evidence about no person. Where it is not set, those of
    PLACEHOLDERS if there is a map; a native event says ``null``"""
    transform: str | None = None
    """``package.module:function``, which makes native events of a record"""
    earliest: int | None = Field(default=None, ge=0)
    """floor of its event times in epoch ms, where it is another than ``time.earliest``"""

    @field_validator("map", mode="before")
    @classmethod
    def _map(cls, raw: Any) -> Any:
        return _read_map(raw)

    @field_validator("each")
    @classmethod
    def _each(cls, each: PathSpec | None) -> PathSpec | None:
        if each is not None and each != "$":
            parse_path(each)
        return each

    @field_validator("transform")
    @classmethod
    def _transform(cls, name: str | None) -> str | None:
        if name is not None:
            function(name)
        return name

    def nobody(self) -> tuple[str, ...]:
        """The actors that mean "nobody"."""
        if self.placeholders is not None:
            return self.placeholders
        return () if self.map is None else PLACEHOLDERS

    def codec_name(self) -> str:
        """Name of the codec that reads its records. The rows of a recorded file are given as JSON."""
        return "json"

    def is_native(self) -> bool:
        """Whether its records are native events, all of them."""
        return self.map is None and self.transform is None and not (self.keep or self.skip)

    @model_validator(mode="after")
    def _complete(self) -> Mapping:
        if self.transform is not None:
            others = [name for name in ("map", "each", "keep", "skip") if getattr(self, name)]
            if others:
                raise ValueError(f"transform takes the place of {others[0]}: keep one of the two")
        if self.each is not None and self.map is None:
            raise ValueError("each needs a map, which says what stands in an element")
        if self.map is not None:
            check_map(self.map, has_metric=self.metric is not None)
        for source in [*(self.map or {}).values(), *self.keep, *self.skip]:
            if self.each is None and any(piece.outer is not None for piece in source.within()):
                raise ValueError("outer is for inputs with each: without it, path reaches everything")
        return self


def function(name: str) -> Callable[..., Any]:
    """The function that ``package.module:function`` names. Raises ValueError with a sentence."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(f'transform = "{name}": must be "package.module:function"')
    try:
        found = getattr(import_module(module), attribute, None)
    except Exception as error:  # noqa: BLE001  # it is somebody else's module: whatever it raises, it cannot be used
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
        raise ValueError(f"the map lacks {', '.join(missing)}")
    for name, source in fields.items():
        for piece in source.within():
            _check_source(name, piece)
        if source.join is not None and name in (*TIMES, *DURATIONS, *FLAGS, "metric"):
            raise ValueError(f"{name}: join makes a text, and this is none")


def _check_source(name: str, source: Source) -> None:
    if name not in TIMES:
        _refuse(source, name, "time")
        if source.timestamp:
            raise ValueError(f"{name} is no time, so it cannot be the record's timestamp")
    if name not in DURATIONS:
        _refuse(source, name, "unit")
    if name != "ip":
        _refuse(source, name, "hop")
    if name in (*TIMES, *DURATIONS):
        _refuse(source, name, "words")
        if isinstance(source.value, bool):
            raise ValueError(f"{name} = {source.value}: must be a number or a text")
    if source.words is not None:
        _check_words(name, source.words)
    if name == "metric" and source.value is not None and source.value not in METRICS:
        raise ValueError(f"metric = {source.value!r}: must be one of {', '.join(METRICS)}")
    if name in FLAGS and source.value is not None and not isinstance(source.value, bool):
        raise ValueError(f"{name} = {source.value!r}: must be true or false")


def _check_words(name: str, words: dict[str, str | bool]) -> None:
    for word, meaning in words.items():
        if name == "metric" and meaning not in METRICS:
            raise ValueError(f"metric: {word} = {meaning!r} must be one of {', '.join(METRICS)}")
        if name in FLAGS and not isinstance(meaning, bool):
            raise ValueError(f"{name}: {word} = {meaning!r} must be true or false")
        if name not in (*FLAGS, "metric") and not isinstance(meaning, str):
            raise ValueError(f"{name}: {word} = {meaning!r} must be a text")


def _refuse(source: Source, name: str, *keys: str) -> None:
    for key in keys:
        if getattr(source, key) is not None:
            raise ValueError(f"{name}: {key} means nothing here; it is for {_MEANT[key]}")


_MEANT = {
    "time": "times (ts, actor_created_at)",
    "unit": "durations (watch_ms, duration_ms)",
    "words": "texts and for undo and history",
    "hop": "ip",
}


class Input(Mapping):
    """One input topic."""

    topic: str = Field(min_length=1)
    format: str = "json"
    """the codec that reads its records; streams/codecs/registry.py lists them"""

    @field_validator("format")
    @classmethod
    def _format(cls, name: str) -> str:
        codec_named(name)
        return name

    def codec_name(self) -> str:
        """See Mapping."""
        return self.format


class ReplayFile(Section):
    """How a recorded file is laid out."""

    format: Literal["csv", "tsv", "ndjson", "json", "parquet"] | None = None
    """without, it is recognised by the file's content and name"""


class ReplayMap(Mapping):
    """A map for ``truecount replay``: the file's layout and where each field comes from."""

    file: ReplayFile = ReplayFile()
