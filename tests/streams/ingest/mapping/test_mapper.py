"""Somebody else's document becomes a native event, or says at which of its fields it does not."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.events.event import METRIC_INDEX, Event
from streams.deadletters import Why
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Records
from streams.settings.settings import Input
from tests.streams.pipeline import events_of

LATEST = 4_000_000_000_000
DOCUMENT: dict[str, Any] = {
    "event": {"at": "2024-05-01T12:00:00.250Z", "uuid": "e-1"},
    "viewer": {"id": 77, "since": 1690000000},
    "media": {"id": "v42"},
    "kind": "like",
    "removed": False,
}
MAP: dict[str, Any] = {
    "id": "event.uuid",
    "ts": {"path": "event.at", "time": "iso"},
    "actor": "viewer.id",
    "target": "media.id",
    "metric": "kind",
    "undo": "removed",
    "actor_created_at": {"path": "viewer.since", "time": "s"},
    "country": {"value": "unknown"},
    "watch_ms": "watched",
}


def _map(document: Any, fields: dict[str, Any] | None = None, metric: str | None = None) -> Event | tuple[Why, str]:
    config = Input.model_validate({"topic": "plays", "metric": metric, "map": MAP if fields is None else fields})
    value = document if isinstance(document, bytes) else msgspec.json.encode(document)
    decoded = EventDecoder(config, 0).decode(Records.values([value], 0), np.array([LATEST]))
    good = events_of(decoded.good)
    if good:
        return good[0][2]
    return decoded.refused[0].reason, decoded.refused[0].message


def _with(path: str, value: Any) -> dict[str, Any]:
    """The document with another value at a path (None takes it away)."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(DOCUMENT))
    *parents, name = path.split(".")
    inner = document
    for parent in parents:
        inner = inner[parent]
    inner[name] = value
    return document


def test_nested_paths_constants_numbers_and_times_become_the_native_event() -> None:
    assert _map(DOCUMENT) == Event(
        id="e-1",
        ts=1714564800250,
        actor="77",
        target="v42",
        metric="like",
        undo=False,
        actor_created_at=1690000000000,
        country="unknown",
    )


@pytest.mark.parametrize(
    ("layout", "value", "expected"),
    [
        ("s", 1714564800, 1714564800000),
        ("s", 1714564800.25, 1714564800250),
        ("s", "1714564800", 1714564800000),
        ("ms", 1714564800250, 1714564800250),
        ("ms", 0, 0),
        ("iso", "2024-05-01T12:00:00Z", 1714564800000),
        ("iso", "2024-05-01T14:00:00+02:00", 1714564800000),
        ("iso", "2024-05-01 12:00:00", 1714564800000),
        ("%d/%m/%Y %H:%M", "01/05/2024 12:00", 1714564800000),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-05-01T14:00:00+0200", 1714564800000),
    ],
)
def test_times_are_read_in_their_layout(layout: str, value: Any, expected: int) -> None:
    fields = {"ts": {"path": "t", "time": layout}, "actor": "a", "target": "v"}
    event = _map({"t": value, "a": "a", "v": "v"}, fields, "view")
    assert isinstance(event, Event)
    assert event.ts == expected


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("event.at", None, Why.MISSING_FIELD),
        ("viewer.id", None, Why.MISSING_FIELD),
        ("viewer.id", "", Why.MISSING_FIELD),
        ("media", "v42", Why.MISSING_FIELD),
        ("viewer.id", 1.5, Why.WRONG_TYPE),
        ("viewer.id", True, Why.WRONG_TYPE),
        ("media.id", ["v42"], Why.WRONG_TYPE),
        ("media.id", {"x": 1}, Why.WRONG_TYPE),
        ("event.at", "yesterday", Why.BAD_TIME),
        ("event.at", 5, Why.BAD_TIME),
        ("event.at", "1960-01-01T00:00:00Z", Why.BAD_TIME),
    ],
)
def test_what_cannot_be_mapped_names_the_documents_own_field(path: str, value: Any, reason: Why) -> None:
    answer = _map(_with(path, value))
    assert not isinstance(answer, Event)
    assert answer[0] == reason
    where = "media.id" if path == "media" else path
    assert f"`$.{where}`" in answer[1]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (_with("media.id", "v" * 256), Why.BAD_ID),
        (_with("media.id", "é" * 130), Why.BAD_ID),
        (_with("kind", "share"), Why.UNKNOWN_METRIC),
        (b"[]", Why.WRONG_TYPE),
        (b"7", Why.WRONG_TYPE),
        (b"{", Why.NOT_JSON),
        (b"{}{}", Why.NOT_ONE_DOCUMENT),
        (b'{"x":"\xff"', Why.INVALID_UTF8),
        (b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}", Why.TOO_DEEP),
        (b"  ", Why.EMPTY),
    ],
)
def test_what_is_wrong_in_itself_is_refused_as_native_records_are(document: Any, reason: Why) -> None:
    answer = _map(document)
    assert not isinstance(answer, Event)
    assert answer[0] == reason


def test_the_topics_metric_stands_in_where_the_map_has_none() -> None:
    fields = {name: source for name, source in MAP.items() if name != "metric"}
    config = Input.model_validate({"topic": "plays", "metric": "follow", "map": fields})
    good = EventDecoder(config, 0).decode(Records.values([msgspec.json.encode(DOCUMENT)], 0), np.array([LATEST])).good
    assert good is not None
    assert good.metric.tolist() == [METRIC_INDEX["follow"]]


@pytest.mark.parametrize(("word", "undo"), [("true", True), ("1", True), (1, True), ("no", False), (0, False)])
def test_an_undo_may_be_a_word(word: Any, undo: bool) -> None:
    event = _map(_with("removed", word))
    assert isinstance(event, Event)
    assert event.undo is undo


def _kept(documents: list[dict[str, Any]], **filters: Any) -> list[str]:
    """The targets of the documents that a map's filters leave."""
    config = Input.model_validate(
        {"topic": "plays", "metric": "view", "map": {name: MAP[name] for name in ("ts", "actor", "target")}} | filters
    )
    values = [msgspec.json.encode(document) for document in documents]
    decoded = EventDecoder(config, 0).decode(Records.values(values, 0), np.full(len(values), LATEST))
    return [event.target for _, _, event in events_of(decoded.good)]


def _played(target: str, **more: Any) -> dict[str, Any]:
    return {**_with("media.id", target), **more}


def test_a_record_is_kept_only_if_it_meets_both_of_two_conditions() -> None:
    documents = [
        _played("both", code=200, method="GET"),
        _played("first", code=200, method="PUT"),
        _played("second", code=404, method="GET"),
        _played("none", code=404, method="PUT"),
    ]
    keep = [{"path": "code", "at_least": 200, "at_most": 299}, {"path": "method", "is": "GET"}]
    assert _kept(documents, keep=keep) == ["both"]
    assert _kept(documents, keep=keep[:1], skip=keep[1:]) == ["first"]


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({"at_least": 10}, ["ten", "eleven"]),
        ({"at_most": 10}, ["nine", "ten"]),
        ({"at_least": 10, "at_most": 10}, ["ten"]),
    ],
)
def test_a_number_is_compared_with_one_bound_or_with_both(bounds: dict[str, int], kept: list[str]) -> None:
    documents = [_played(name, seconds=seconds) for name, seconds in (("nine", 9), ("ten", 10), ("eleven", 11))]
    assert _kept(documents, keep=[{"path": "seconds", **bounds}]) == kept
