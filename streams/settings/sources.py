"""Settings of a map's sources: where a value is in a record, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from detectors.events.event import METRICS
from streams.grammar.fields import DURATIONS, FLAGS, TIMES
from streams.grammar.paths import WHOLE, parse_path
from streams.grammar.times import check_layout
from streams.settings.section import Section

READING_KEYS = ("time", "unit", "words", "none", "pattern", "hop", "separator")
"""Keys for how a value is read."""
LOCATION_KEYS = ("path", "outer", "key", "header", "timestamp", "value", "first", "join")
"""Keys for where a value is; a source has exactly one of them."""

PathSpec = str | tuple[str, ...]


class Source(Section):
    """Where a value comes from, and how it is read: one of LOCATION_KEYS, and the READING_KEYS that fit its field."""

    path: PathSpec | None = None
    """path in the record's value; with ``each``, in one element of the list"""
    outer: PathSpec | None = None
    """with ``each``: path in the record's value, outside the list"""
    key: PathSpec | Literal[True] | None = None
    """the record's key: ``true`` is its whole text, a path leads into its JSON document"""
    header: str | None = Field(default=None, min_length=1)
    """name of a record header; the last one with this name is read"""
    timestamp: Literal[True] | None = None
    """the record's Kafka timestamp"""
    value: str | int | bool | None = None
    first: tuple[Source, ...] | None = None
    """alternatives; the first that has a value is used"""
    join: tuple[Source, ...] | None = None
    """texts that are joined into one"""
    time: str | None = None
    """layout of a time: s, ms, us, ns, iso, or a strptime format"""
    unit: Literal["s", "ms"] | None = None
    """unit of a duration"""
    words: dict[str, str | bool] | None = None
    """the producer's words to truecount's; any other word is refused"""
    none: tuple[str, ...] | None = None
    """texts that mean "not given" """
    pattern: str | None = None
    """a regular expression with one group, which is the value"""
    hop: int | None = None
    """index into a list of addresses: from 0, or from the end with -1"""
    separator: str | None = None
    """text between joined texts; a space by default"""
    exists: bool | None = None
    """of undo and history: true means yes if there is a value, false means yes if there is none"""

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, raw: Any) -> Any:
        return {"path": raw} if isinstance(raw, str) else raw

    @field_validator("path", "outer", "key")
    @classmethod
    def _check_paths(cls, path: Any) -> Any:
        if path is not None and path is not True:
            parse_path(path)
        return path

    @field_validator("outer", "key")
    @classmethod
    def _check_parts(cls, path: Any) -> Any:
        if path == WHOLE:
            raise ValueError(f"{path!r} is the element of a list, and only path can lead to it")
        return path

    @model_validator(mode="after")
    def _one_location(self) -> Source:
        given = [name for name in LOCATION_KEYS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(LOCATION_KEYS)}; there {_are(given)}")
        for name, least in (("first", 2), ("join", 2)):
            pieces = getattr(self, name)
            if pieces is not None and len(pieces) < least:
                raise ValueError(f"{name} needs at least {least} sources")
        if self.separator is not None and self.join is None:
            raise ValueError("separator needs join: add join, or remove separator")
        return self

    @model_validator(mode="after")
    def _fitting_keys(self) -> Source:
        if self.time is not None:
            check_layout(self.time)
        if self.pattern is not None:
            _check_pattern(self.pattern)
        if self.words is not None and not self.words:
            raise ValueError("words is empty: list the producer's words and the meaning of each")
        if self.first is not None:
            own = [name for name in READING_KEYS if getattr(self, name) is not None]
            if own:
                raise ValueError(f"{own[0]} cannot apply to first as a whole: give it inside each alternative")
            if any(source.first is not None for source in self.first):
                raise ValueError("first cannot be inside first: write one list")
        if self.value is not None and (self.pattern or self.none or self.words):
            raise ValueError("a constant cannot have pattern, none or words: remove them")
        if self.exists is not None and self.words is not None:
            raise ValueError("exists and words cannot be used together: remove one of them")
        if any(piece.exists is not None for piece in (*(self.first or ()), *(self.join or ()))):
            raise ValueError("exists cannot be inside first or join: give it beside them")
        if self.timestamp and (self.time or self.pattern or self.words or self.none):
            raise ValueError("the record's timestamp is in milliseconds already: remove time, pattern, words and none")
        return self

    def within(self) -> Iterator[Source]:
        """This source and all sources inside it."""
        yield self
        for piece in (*(self.first or ()), *(self.join or ())):
            yield from piece.within()


def _are(given: list[str]) -> str:
    return f"are {', '.join(given)}" if given else "is none"


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} is not a valid regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"pattern {pattern!r} must have exactly one group (…), which is the value; it has {groups}")


class Condition(Source):
    """A test of a record: a source, and what its text must be. All tests of one condition must pass."""

    is_: tuple[str, ...] | None = Field(default=None, alias="is")
    is_not: tuple[str, ...] | None = None
    matches: str | None = None
    """a regular expression that the text must contain"""
    at_least: float | None = None
    at_most: float | None = None

    @field_validator("is_", "is_not", mode="before")
    @classmethod
    def _listed(cls, raw: Any) -> Any:
        listed = raw if isinstance(raw, list | tuple) else [raw]
        return None if raw is None else tuple(_as_text(item) for item in listed)

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
                raise ValueError(f"matches {self.matches!r} is not a valid regular expression: {error}") from None
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} is above at_most {self.at_most}, so no value can match")
        if self.value is not None:
            raise ValueError("a condition cannot test a constant: name a path, a key or a header")
        for source in self.within():
            _refuse(source, "a condition", "time", "unit", "words", "hop")
        return self


def _as_text(item: Any) -> Any:
    return str(item).lower() if isinstance(item, bool) else str(item) if isinstance(item, int) else item


def check_source(name: str, source: Source) -> None:
    """Raise ValueError if a source has a key that does not fit the event field ``name``."""
    if name not in TIMES:
        _refuse(source, name, "time")
        if source.timestamp:
            raise ValueError(f"{name} is not a time, so it cannot be the record's timestamp")
    if name not in DURATIONS:
        _refuse(source, name, "unit")
    if name != "ip":
        _refuse(source, name, "hop")
    if name in (*TIMES, *DURATIONS):
        _refuse(source, name, "words")
        if isinstance(source.value, bool):
            raise ValueError(f"{name} = {source.value}: must be a number or a text")
    if name not in FLAGS:
        _refuse(source, name, "exists")
    if source.words is not None:
        _check_words(name, source.words)
    if name == "metric" and source.value is not None and source.value not in METRICS:
        raise ValueError(f"metric = {source.value!r}: must be one of {', '.join(METRICS)}")
    if source.exists is not None and source.value is not None:
        raise ValueError(f"{name}: a constant always exists; remove exists")
    if name in FLAGS and source.value is not None and not isinstance(source.value, bool):
        raise ValueError(f"{name} = {source.value!r}: must be true or false")


def _check_words(name: str, words: dict[str, str | bool]) -> None:
    for term, meaning in words.items():
        if name == "metric" and meaning not in METRICS:
            raise ValueError(f"metric: {term} = {meaning!r} must be one of {', '.join(METRICS)}")
        if name in FLAGS and not isinstance(meaning, bool):
            raise ValueError(f"{name}: {term} = {meaning!r} must be true or false")
        if name not in (*FLAGS, "metric") and not isinstance(meaning, str):
            raise ValueError(f"{name}: {term} = {meaning!r} must be a text")


def _refuse(source: Source, name: str, *keys: str) -> None:
    for key in keys:
        if getattr(source, key) is not None:
            raise ValueError(f"{name}: {key} cannot be used here; it is for {_KEY_USES[key]}")


_KEY_USES = {
    "time": "times (ts, actor_created_at)",
    "unit": "durations (watch_ms, duration_ms)",
    "words": "texts, undo and history",
    "hop": "ip",
    "exists": "undo, history and conditions",
}
