"""Input and result of a suggestion: a sample of records, and a draft of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.maps.choice import Choice


@dataclass
class Sample:
    """Records to suggest a map from."""

    documents: Sequence[Any]
    """objects, or lists of them"""
    name: str
    """name of the file or the topic"""
    latest_ms: float
    """no time is later than this"""
    tabular: bool = False
    """whether the documents are rows of a table: then the name of a column is one key"""
    timed: bool = False
    """whether the records have a timestamp of Kafka"""
    keys: Sequence[bytes | None] = ()
    headers: Sequence[Sequence[tuple[str, bytes | None]]] = ()


@dataclass
class Draft:
    """A suggested map with notes for its reader. ``choices`` are in the order of the map."""

    choices: dict[str, Choice] = field(default_factory=dict)
    metric: str | None = None
    metric_guessed: bool = False
    """whether nothing in the records shows the metric"""
    each: str | list[str] | None = None
    keep: list[dict[str, Any]] = field(default_factory=list)
    skip: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """fields that an event needs, and that were not found"""
    notes: list[str] = field(default_factory=list)
    rows: bool = False
    """whether the records are changes of rows"""
    repeated: str | None = None
    """why likes and follows are no relations, if they are none (``relations = false``)"""

    def mapping(self) -> dict[str, Any]:
        """The keys of the map, for ``inputs.Mapping``."""
        found: dict[str, Any] = {} if self.metric is None else {"metric": self.metric}
        if self.each is not None:
            found["each"] = self.each
        if self.keep:
            found["keep"] = self.keep
        if self.skip:
            found["skip"] = self.skip
        if self.repeated is not None:
            found["relations"] = False
        return {**found, "map": {name: choice.source for name, choice in self.choices.items()}}
