"""Paths into JSON documents, and the types that decode nothing but what the paths lead to.

A dot in a path goes one level down. Where that leads nowhere, a key of the document that has the dot in its name is
taken. A path that is a list of keys is taken key by key, as it stands. In a list, a number is a place, from 0, or from
the end with -1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

MAX_KEYS = 8
"""Keys of a path: each more doubles the ways in which its dots can be read."""


class Path(NamedTuple):
    """A path, compiled. ``exact``: its keys are taken as they stand."""

    keys: tuple[str, ...]
    exact: bool

    def __str__(self) -> str:
        """As messages show it."""
        return "$." + ".".join(self.keys)


def parse_path(path: str | Sequence[str]) -> Path:
    """Compile a path. Raises ValueError."""
    keys = tuple(path.split(".")) if isinstance(path, str) else tuple(path)
    if not keys or "" in keys:
        raise ValueError(f"{path!r} is no path: give the names of the keys, with dots between them")
    if len(keys) > MAX_KEYS:
        raise ValueError(f"{path!r} is too long: a path has at most {MAX_KEYS} keys")
    return Path(keys, not isinstance(path, str))


def lookup(document: Any, path: Path) -> Any:
    """What a path leads to in a decoded document; None if it leads nowhere.

    >>> lookup({"a.b": {"c": 1}, "a": {"b": {"d": 2}}}, parse_path("a.b.c"))
    1
    >>> lookup({"hops": ["x", "y"]}, parse_path("hops.-1"))
    'y'
    """
    return _find(document, path.keys, path.exact)


def _find(document: Any, keys: tuple[str, ...], exact: bool) -> Any:
    if not keys:
        return document
    if isinstance(document, dict):
        for length in range(1, 2 if exact else len(keys) + 1):
            found = _find(document.get(".".join(keys[:length])), keys[length:], exact)
            if found is not None:
                return found
    elif isinstance(document, list):
        place = int(keys[0]) if _is_place(keys[0]) else len(document)
        if -len(document) <= place < len(document):
            return _find(document[place], keys[1:], exact)
    return None


def _is_place(key: str) -> bool:
    return key.removeprefix("-").isdecimal() and key.isascii() and len(key) < 10  # no list is longer


Chain = tuple[tuple[str, ...], tuple[str, ...]]
"""Attributes to follow, and the keys that are left for what is found there."""


class _Level:
    """Keys of one level of a document, by name, while its type is being made."""

    def __init__(self) -> None:
        self.levels: dict[str, _Level] = {}
        self.whole = False
        """something asks for what stands here, whatever it is"""

    def add(self, keys: Sequence[str]) -> None:
        level = self
        for key in keys:
            level = level.levels.setdefault(key, _Level())
        level.whole = True


class Shape:
    """A struct type with what some paths lead to, and the way from it to each of them.

    Decoding a document into it costs a fraction of decoding the whole document: the rest is passed over.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        root = _Level()
        self._ways = {path: _ways(path) for path in paths}
        for ways in self._ways.values():
            for names, _ in ways:
                root.add(names)
        self._attributes: dict[tuple[str, ...], str] = {}
        self.type: type[msgspec.Struct] = self._struct(root, ())
        self._chains: dict[Path, list[Chain]] = {
            path: [(tuple(self._attributes[names[: n + 1]] for n in range(len(names))), rest) for names, rest in ways]
            for path, ways in self._ways.items()
        }
        self._whole = [path for path, chains in self._chains.items() if not chains[0][1]]
        """paths that lead on by attributes alone"""
        attributes = [".".join(self._chains[path][0][0]) for path in self._whole]
        self._all = attrgetter(*attributes) if attributes else None
        self._dotted = {
            path: sorted({name.encode() for names, _ in ways for name in names if "." in name})
            for path, ways in self._ways.items()
        }

    def _struct(self, level: _Level, above: tuple[str, ...]) -> type[msgspec.Struct]:
        fields: list[tuple[str, Any, Any]] = []
        rename: dict[str, str] = {}
        for number, (name, below) in enumerate(level.levels.items()):
            attribute = f"f{number}"
            self._attributes[*above, name] = attribute
            rename[attribute] = name
            if below.levels:
                inner = self._struct(below, (*above, name))
                # Whatever else stands there is read too, so that it can be named in a refusal.
                fields.append(
                    (attribute, inner | str | int | float | bool | None | list[Any], None if below.whole else inner())
                )
            else:
                fields.append((attribute, Any, None))
        return msgspec.defstruct("Shape", fields, rename=rename, frozen=True, gc=False)

    def columns(self, documents: Sequence[Any]) -> dict[Path, list[Any]]:
        """What the paths lead to that can be followed in all documents at once, and lead somewhere in each."""
        if self._all is None or len(self._whole) == 1:  # of one name an attrgetter answers no tuple
            return {}
        try:
            rows = list(map(self._all, documents))
        except AttributeError:
            return {}
        found = zip(self._whole, map(list, zip(*rows, strict=True)), strict=True)
        return {path: column for path, column in found if len(self._chains[path]) == 1 or None not in column}

    def column(self, documents: Sequence[Any], path: Path, text: bytes | None) -> list[Any]:
        """What a path leads to in each document, None where it leads nowhere.

        ``text`` is that of the documents, if they were decoded together.
        """
        chains = self._chains[path]
        found = _along(documents, *chains[0], path)
        if len(chains) > 1 and None in found and (text is None or self._may_be_dotted(path, text)):
            for chain in chains[1:]:
                values = _along(documents, *chain, path)
                found = [other if value is None else value for value, other in zip(found, values, strict=True)]
        return found

    def _may_be_dotted(self, path: Path, text: bytes) -> bool:
        return b"\\" in text or any(name in text for name in self._dotted[path])


def _along(documents: Sequence[Any], attributes: tuple[str, ...], rest: tuple[str, ...], path: Path) -> list[Any]:
    values = _follow(documents, attributes)
    return [_find(value, rest, path.exact) for value in values] if rest else values


def _follow(documents: Sequence[Any], attributes: tuple[str, ...]) -> list[Any]:
    try:
        return list(map(_getter(attributes), documents))
    except AttributeError:  # somewhere there is null, or no object
        return [_walk(document, attributes) for document in documents]


def _getter(attributes: tuple[str, ...]) -> Callable[[Any], Any]:
    return attrgetter(".".join(attributes))


def _walk(value: Any, attributes: tuple[str, ...]) -> Any:
    for attribute in attributes:
        value = getattr(value, attribute, None)
    return value


def _ways(path: Path) -> Sequence[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The names of keys by which a path may lead on, shortest first; the rest of the keys goes by ``_find``.

    A key that could be a place in a list ends the names: what stands there is decoded as a whole.
    """
    keys = path.keys
    places = [number for number, key in enumerate(keys) if _is_place(key)]
    cut = max(1, places[0]) if places else len(keys)
    head, rest = keys[:cut], keys[cut:]
    if path.exact:
        return [(head, rest)]
    if rest:  # a dotted name may reach beyond the place, so all of the first key's value is looked through
        return [((".".join(keys[:length]),), keys[length:]) for length in range(1, len(keys) + 1)]
    cuts = [
        chosen for size in range(len(head)) for chosen in combinations(range(1, len(head)), size)
    ]  # where a level ends
    names = [tuple(".".join(head[a:b]) for a, b in zip((0, *c), (*c, len(head)), strict=True)) for c in cuts]
    names.sort(key=lambda way: [name.count(".") for name in way])
    return [(way, ()) for way in names]
