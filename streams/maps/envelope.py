"""Envelopes of change data capture: a row before and after, and the operation on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streams.maps.fields import Field, flatten

MOST = 0.8
"""Share of the documents that must have an envelope."""
PARTS = ("before", "after")
_PARTS = ((), ("before",), ("after",))


@dataclass
class Envelope:
    """The path of an envelope, the fields of its rows, and the other fields."""

    prefix: tuple[str, ...]
    rows: list[Field]
    around: list[Field]

    def wrapped(self, source: dict[str, Any]) -> dict[str, Any]:
        """A source in a row as a source in the record: first in ``after``, then in ``before``."""
        if "path" in source:
            return {"first": [self._inside(source, part) for part in reversed(PARTS)]}
        if "first" in source:
            return {"first": [piece for each in source["first"] for piece in self._pieces(each)]}
        if "join" in source:
            return {**source, "join": [self.wrapped(piece) for piece in source["join"]]}
        return source

    def after(self, source: dict[str, Any]) -> dict[str, Any]:
        """A source in a row as a source in ``after`` only."""
        pieces = source.get("first", [source])
        return self._inside(pieces[0], "after") if "path" in pieces[0] else pieces[0]

    def _pieces(self, source: dict[str, Any]) -> list[dict[str, Any]]:
        return [self._inside(source, part) for part in reversed(PARTS)] if "path" in source else [source]

    def _inside(self, source: dict[str, Any], part: str) -> dict[str, Any]:
        path = source["path"]
        if isinstance(path, list):
            return {**source, "path": [*self.prefix, part, *path]}
        return {**source, "path": ".".join((*self.prefix, part, path))}


def enveloped(documents: Sequence[dict[str, Any]]) -> Envelope | None:
    """The envelope of most documents; None if they have none."""
    for prefix in ((), ("payload",)):
        bodies = [_at(document, prefix) for document in documents]
        rows = [_row(body) for body in bodies]
        if documents and sum(row is not None for row in rows) >= MOST * len(documents):
            around = [
                each
                for each in flatten(documents).values()
                if each.path[: len(prefix)] == prefix and each.path[len(prefix) : len(prefix) + 1] not in _PARTS
            ]
            return Envelope(prefix, list(flatten([row or {} for row in rows]).values()), around)
    return None


def _at(document: dict[str, Any], prefix: tuple[str, ...]) -> dict[str, Any]:
    found: Any = document
    for key in prefix:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _row(body: dict[str, Any]) -> dict[str, Any] | None:
    if "op" not in body:
        return None
    return next((body[part] for part in reversed(PARTS) if isinstance(body.get(part), dict)), None)
