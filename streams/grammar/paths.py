"""Paths into documents, and struct types that decode only the values at some paths.

A dot in a path goes one level down. If there is no value there, a key that has the dot in its name is tried. A path
that is a list of keys is followed key by key, without splitting at dots. In a list, a number is a place: 0 is the
first, -1 the last; and ``name=text`` is the first object whose value at ``name`` is that text. ``$`` is the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

MAX_KEYS = 8
"""Most keys of a path: each key more doubles the ways to read its dots."""


WHOLE = "$"
"""The path of the whole document."""


class Path(NamedTuple):
    """A compiled path. ``exact``: dots in its keys do not split them."""

    keys: tuple[str, ...]
    exact: bool

    def __str__(self) -> str:
        """The path as messages show it."""
        return ".".join(("$", *self.keys))


def parse_path(path: str | Sequence[str]) -> Path:
    """Compile a path. Raises ValueError."""
    if path == WHOLE:
        return Path((), exact=True)
    keys = tuple(path.split(".")) if isinstance(path, str) else tuple(path)
    if not keys or "" in keys:
        raise ValueError(f"{path!r} is no path: give the names of the keys, with dots between them")
    if len(keys) > MAX_KEYS:
        raise ValueError(f"{path!r} is too long: a path has at most {MAX_KEYS} keys")
    return Path(keys, not isinstance(path, str))


def lookup(document: Any, path: Path) -> Any:
    """The value at a path in a decoded document; None if there is none.

    >>> lookup({"a.b": {"c": 1}, "a": {"b": {"d": 2}}}, parse_path("a.b.c"))
    1
    >>> lookup({"hops": ["x", "y"]}, parse_path("hops.-1"))
    'y'
    >>> lookup({"params": [{"key": "id", "value": 7}, {"key": "url", "value": 8}]}, parse_path("params.key=url.value"))
    8
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
        return _find(_element(document, keys[0]), keys[1:], exact)
    return None


def _element(elements: list[Any], key: str) -> Any:
    """The element of a list at a place, or the first object that has a value; None if there is none."""
    if _is_place(key):
        place = int(key)
        return elements[place] if -len(elements) <= place < len(elements) else None
    name, mark, text = key.partition("=")
    if not mark:
        return None
    return next((item for item in elements if isinstance(item, dict) and item.get(name) == text), None)


def _is_of_list(key: str) -> bool:
    """Whether a key may select an element of a list."""
    return "=" in key or _is_place(key)


def _is_place(key: str) -> bool:
    return key.removeprefix("-").isdecimal() and key.isascii() and len(key) < 10  # no list is longer


Chain = tuple[tuple[str, ...], tuple[str, ...]]
"""Attributes of structs to follow, and the keys to look up in the value that is found there."""


class _Level:
    """The keys of one level of a document, from which a struct type is made."""

    def __init__(self) -> None:
        self.levels: dict[str, _Level] = {}
        self.whole = False
        """whether a path ends here, so that the value is needed whatever it is"""

    def add(self, keys: Sequence[str]) -> None:
        level = self
        for key in keys:
            level = level.levels.setdefault(key, _Level())
        level.whole = True


class Shape:
    """A struct type that has the values at some paths, and the access to each of them.

    To decode a document into it costs a fraction of decoding the whole document: all other fields are skipped.
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
        """paths whose first chain consists of attributes alone"""
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
                # A value of another type is read too, so that a refusal can name it.
                fields.append(
                    (attribute, inner | str | int | float | bool | None | list[Any], None if below.whole else inner())
                )
            else:
                fields.append((attribute, Any, None))
        return msgspec.defstruct("Shape", fields, rename=rename, frozen=True, gc=False)

    def columns(self, documents: Sequence[Any]) -> dict[Path, list[Any]]:
        """The columns that can be read from all documents at once: attributes alone, and no other way to try."""
        if self._all is None or len(self._whole) == 1:  # with one name an attrgetter gives no tuple
            return {}
        try:
            rows = list(map(self._all, documents))
        except AttributeError:
            return {}
        found = zip(self._whole, map(list, zip(*rows, strict=True)), strict=True)
        return {path: column for path, column in found if len(self._chains[path]) == 1 or None not in column}

    def column(self, documents: Sequence[Any], path: Path, text: bytes | None) -> list[Any]:
        """The value at a path in each document; None if there is none.

        ``text`` is the text of the documents if it is known: bytes that contain every key with a dot in its name.
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
    except AttributeError:  # some document has null there, or no object
        return [_walk(document, attributes) for document in documents]


def _getter(attributes: tuple[str, ...]) -> Callable[[Any], Any]:
    return attrgetter(".".join(attributes))


def _walk(value: Any, attributes: tuple[str, ...]) -> Any:
    for attribute in attributes:
        value = getattr(value, attribute, None)
    return value


def _ways(path: Path) -> Sequence[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The ways to read a path: names of keys to follow as attributes, and the keys left for ``_find``.

    Ways with fewer dots in their names come first. A key that may select an element of a list ends the names: the value
    there is decoded as a whole.
    """
    keys = path.keys
    places = [number for number, key in enumerate(keys) if _is_of_list(key)]
    cut = max(1, places[0]) if places else len(keys)
    head, rest = keys[:cut], keys[cut:]
    if path.exact:
        return [(head, rest)]
    if rest:  # a name with dots may reach beyond the place, so the first key's whole value is searched
        return [((".".join(keys[:length]),), keys[length:]) for length in range(1, len(keys) + 1)]
    cuts = [
        chosen for size in range(len(head)) for chosen in combinations(range(1, len(head)), size)
    ]  # where a level ends
    names = [tuple(".".join(head[a:b]) for a, b in zip((0, *c), (*c, len(head)), strict=True)) for c in cuts]
    names.sort(key=lambda way: [name.count(".") for name in way])
    return [(way, ()) for way in names]
