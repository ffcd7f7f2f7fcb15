"""The fields of sample documents, flattened: the value at each path in each document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from streams.grammar.paths import WHOLE

MAX_FIELDS = 500
"""Largest number of paths: documents that use ids as keys have a path for each id."""
MAX_DEPTH = 8
"""Largest number of keys of a path, as in a map."""
MAX_TEXT_CHARS = 4096

KeyPath = tuple[str, ...]
"""The keys that lead to a value, from the outermost on."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True)
class Field:
    """One path. ``values`` has one entry for each document: a scalar, a list of texts, or None if it is absent."""

    path: KeyPath
    values: list[Any]
    nested: int = 0
    """number of documents with an object at this path"""
    place: str = "path"
    """location key in a map: path, outer, key or header"""

    @cached_property
    def given(self) -> list[Any]:
        """The values that are present."""
        return [value for value in self.values if value is not None]

    @cached_property
    def texts(self) -> list[str]:
        """The present scalars, as keys of a table of ``words``."""
        return [table_key(value) for value in self.given if not isinstance(value, list)]

    @cached_property
    def distinct(self) -> int:
        """Number of different values."""
        return len(set(self.texts))

    @property
    def share(self) -> float:
        """Share of the documents that have it, 0 to 1."""
        return len(self.given) / len(self.values)

    @cached_property
    def numbers(self) -> list[float]:
        """The present values that are numbers, or texts of numbers."""
        found = []
        for value in self.given:
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                continue
            try:
                number = float(value)
            except (ValueError, OverflowError):
                continue
            if abs(number) < 1e300:  # neither infinite nor NaN
                found.append(number)
        return found

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of its last key, in lower case."""
        return words_of(self.path[-1])

    @cached_property
    def around(self) -> tuple[str, ...]:
        """The words of the keys above it."""
        return tuple(each for key in self.path[:-1] for each in words_of(key))

    @property
    def name(self) -> str:
        """The path as text."""
        return ".".join(self.path)

    def source(self, **how: Any) -> dict[str, Any]:
        """This field as a source of a map."""
        if self.place == "key":
            return {"key": True, **how}
        if self.place == "header":
            return {"header": self.path[0], **how}
        plain = self.name.split(".")
        exact = "" in plain or len(plain) > MAX_DEPTH or (self.place == "path" and self.ambiguous) or self.name == WHOLE
        return {self.place: list(self.path) if exact else self.name, **how}

    ambiguous: bool = False
    """whether another path has the same text, so that the keys must be listed"""


def words_of(key: str) -> tuple[str, ...]:
    """The words of a key, in lower case.

    >>> words_of("viewerAccountID"), words_of("$current_url"), words_of("userid")
    (('viewer', 'account', 'id'), ('current', 'url'), ('userid',))
    """
    return tuple(each.lower() for each in _WORDS.findall(key))


def table_key(value: Any) -> str:
    """A scalar as a key of a map's table of ``words``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    return str(value)


def flatten(documents: Sequence[dict[str, Any]], *, tabular: bool = False) -> dict[KeyPath, Field]:
    """The fields of documents, in order of appearance. In a table, the name of a column is one key."""
    columns: dict[KeyPath, list[Any]] = {}
    nested: dict[KeyPath, int] = {}
    for place, document in enumerate(documents):
        for path, value in _leaves(document, (), tabular=tabular):
            if path not in columns:
                if len(columns) >= MAX_FIELDS:
                    continue
                columns[path] = [None] * len(documents)
            if isinstance(value, dict):
                nested[path] = nested.get(path, 0) + 1
            else:
                columns[path][place] = value
    names: dict[str, int] = {}
    for path in columns:
        names[".".join(path)] = names.get(".".join(path), 0) + 1
    return {
        path: Field(path, values, nested.get(path, 0), ambiguous=not tabular and names[".".join(path)] > 1)
        for path, values in columns.items()
    }


def _leaves(document: dict[str, Any], above: KeyPath, *, tabular: bool) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in document.items():
        path = (*above, key)
        if not _usable(key) or len(path) > MAX_DEPTH or (not tabular and key.count(".") >= MAX_DEPTH):
            continue
        if isinstance(value, dict):
            yield path, value
            yield from _leaves(value, path, tabular=tabular)
        elif isinstance(value, list):
            if value and all(isinstance(item, str) for item in value):
                yield path, value
        elif value is not None and value != "" and not (isinstance(value, str) and len(value) > MAX_TEXT_CHARS):
            yield path, value


def _usable(key: str) -> bool:
    """Whether a map can name a key."""
    return key != "" and key.isprintable()


def lists_of(
    documents: Sequence[dict[str, Any]],
) -> Iterator[tuple[KeyPath, list[dict[str, Any]], list[dict[str, Any]]]]:
    """(path, elements, document of each element) of every list of objects that at least half of the documents have."""
    for path in _list_paths(documents):
        elements: list[dict[str, Any]] = []
        outers: list[dict[str, Any]] = []
        for document in documents:
            found: Any = document
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, list):
                objects = [item for item in found if isinstance(item, dict)]
                elements += objects
                outers += [document] * len(objects)
        yield path, elements, outers


def _list_paths(documents: Sequence[dict[str, Any]]) -> Iterable[KeyPath]:
    counts: dict[KeyPath, int] = {}

    def count_lists(document: dict[str, Any], above: KeyPath) -> None:
        for key, value in document.items():
            path = (*above, key)
            if not _usable(key) or "." in key or len(path) > MAX_DEPTH:
                continue
            if isinstance(value, dict):
                count_lists(value, path)
            elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
                counts[path] = counts.get(path, 0) + 1

    for document in documents:
        count_lists(document, ())
    return [path for path, count in counts.items() if count * 2 >= len(documents)]
