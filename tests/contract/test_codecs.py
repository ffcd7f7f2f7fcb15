"""What every codec must do. A new one in the registry is held to all of it, beside two that only tests have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.event import Event
from streams.codecs.codec import MAX_RECORD_BYTES, Documents
from streams.codecs.framing import Framing
from streams.codecs.registry import CODECS
from streams.deadletters import Why
from streams.grammar.paths import Shape, parse_path
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Decoded, Records
from streams.settings.inputs import Input
from tests.contract.codec_samples import FORMATS, Format
from tests.streams.pipeline import events_of

every_format = pytest.mark.parametrize("sample", FORMATS.values(), ids=FORMATS.keys())

PLAIN = {dict, list, str, int, float, bool, type(None)}
TS = 1_700_000_000_000
LATEST = 2_000_000_000_000
SEVERAL = Shape(map(parse_path, ("a.b", "a.c.1", "d.e", "f")))
ONE = Shape([parse_path("a.b")])

texts = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = (
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False) | texts
).filter(lambda value: value not in (float("inf"), float("-inf")))  # JSON has neither
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
documents = st.dictionaries(texts, values, max_size=3)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, sample in FORMATS.items():
        monkeypatch.setitem(CODECS, name, sample.make)


def read(sample: Format, given: Sequence[bytes | None], kind: Any = Any) -> Documents:
    """What a codec makes of values; every one of them becomes one thing."""
    found = sample.make().reader(kind).read(given)
    places = list(range(len(given))) if found.places is None else found.places
    assert len(places) == len(found.rows)
    assert places == sorted(places)
    refused = [refusal.index for refusal in found.refused]
    tombstones = [place for place, value in enumerate(given) if value is None]
    assert sorted([*places, *refused, *tombstones]) == list(range(len(given)))
    assert found.tombstones == len(tombstones)
    assert all(refusal.message for refusal in found.refused)
    return found


def reasons(found: Documents) -> list[Why]:
    """Why values were refused, in their order."""
    return [refusal.reason for refusal in sorted(found.refused, key=lambda refusal: refusal.index)]


def parts(document: Any) -> Iterator[Any]:
    """A document and everything in it."""
    yield document
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    for each in inner:
        yield from parts(each)


def test_every_codec_of_the_registry_has_samples() -> None:
    assert set(CODECS) == set(FORMATS)
    assert {name: make().name for name, make in CODECS.items()} == {name: name for name in FORMATS}


# ------------------------------------------------------------------ documents


@every_format
@given(document=documents)
def test_a_document_comes_back_as_it_was_written(sample: Format, document: Any) -> None:
    (row,) = read(sample, [sample.encode(document)]).rows
    assert repr(row) == repr(document)  # a float is no integer, and a boolean neither


@every_format
@given(many=st.lists(documents, min_size=1, max_size=2))
def test_a_struct_is_what_msgspec_converts_the_document_to(sample: Format, many: list[Any]) -> None:
    for document in many:
        document.update({"a": {"b": 1, "c": [1, 2]}, "d.e": 3})
    found = read(sample, [sample.encode(document) for document in many], SEVERAL.type)
    assert found.rows == [msgspec.convert(document, SEVERAL.type) for document in many]


@every_format
def test_a_path_leads_to_its_value_and_a_missing_one_nowhere(sample: Format) -> None:
    paths = {name: parse_path(name) for name in ("a.b", "d.e", "gone", "a.gone.b", "list.-1")}
    shape = Shape(paths.values())
    document = {"a": {"b": "x"}, "d.e": 3, "list": [1, {"y": None}]}
    found = read(sample, [sample.encode(document), sample.encode({"a": 7}), sample.encode({})], shape.type)
    columns = {name: shape.column(found.rows, path, found.text) for name, path in paths.items()}
    assert columns == {
        "a.b": ["x", None, None],
        "d.e": [3, None, None],
        "gone": [None] * 3,
        "a.gone.b": [None] * 3,
        "list.-1": [{"y": None}, None, None],
    }


@every_format
def test_a_record_may_be_a_list_of_elements(sample: Format) -> None:
    elements = [{"a": 1}, 7, None, {"a": {"b": []}}]
    found = read(sample, [sample.encode(elements), sample.encode([])], list[Any])
    assert found.rows == [elements, []]


@every_format
@pytest.mark.parametrize("document", [[1], 7, "text", 1.5, True, None], ids=str)
def test_what_is_not_of_the_type_is_a_wrong_type(sample: Format, document: Any) -> None:
    good = sample.encode({"a": 1})
    found = read(sample, [good, sample.encode(document), good], Shape([parse_path("a")]).type)
    assert reasons(found) == [Why.WRONG_TYPE]
    assert found.places == [0, 2]


@every_format
def test_a_value_of_another_type_than_expected_is_kept(sample: Format) -> None:
    shape = Shape(map(parse_path, ("a.b", "a")))
    for value in (7, "text", [1], None, True, 1.5):
        found = read(sample, [sample.encode({"a": value})], shape.type)
        assert shape.column(found.rows, parse_path("a"), found.text) == [value]
        assert shape.column(found.rows, parse_path("a.b"), found.text) == [None]


@every_format
@pytest.mark.parametrize("number", [0, -1, (1 << 53) + 1, (1 << 63) - 1, -(1 << 63)])
def test_an_integer_keeps_its_exact_value(sample: Format, number: int) -> None:
    (row,) = read(sample, [sample.encode({"a": number})]).rows
    assert row == {"a": number}
    assert type(row["a"]) is int


@every_format
def test_the_largest_integer_of_the_format_is_exact(sample: Format) -> None:
    text = str(sample.largest).encode()
    value = b'{"a":%b}' % text if sample.make().name == "json" else sample.encode({"a": sample.largest})
    assert read(sample, [value]).rows == [{"a": sample.largest}]


@every_format
def test_of_a_key_that_comes_twice_the_last_one_counts(sample: Format) -> None:
    value = sample.key_twice("a", 1, {"b": 2})
    assert read(sample, [value]).rows == [{"a": {"b": 2}}]
    shape = Shape([parse_path("a.b")])
    found = read(sample, [value], shape.type)
    assert shape.column(found.rows, parse_path("a.b"), found.text) == [2]


# ------------------------------------------------------------------ what is no document


@every_format
def test_bytes_that_are_not_of_the_format_are_refused_and_their_neighbours_are_not(sample: Format) -> None:
    good = sample.encode({"a": 1})
    for name, value in sample.undecodable.items():
        found = read(sample, [good, value, good])
        of_json = {Why.NOT_JSON, Why.NOT_ONE_DOCUMENT}
        expected = of_json if sample.make().name == "json" else {Why.UNDECODABLE}
        assert set(reasons(found)) <= expected, name
        assert found.places == [0, 2], name
        assert found.rows == [{"a": 1}] * 2


@every_format
def test_null_is_a_tombstone_and_an_empty_value_is_refused(sample: Format) -> None:
    good = sample.encode({})
    found = read(sample, [None, good, sample.empty, b"", None])
    assert reasons(found) == [Why.EMPTY, Why.EMPTY]
    assert (found.tombstones, found.places) == (2, [1])


@every_format
def test_a_value_that_is_too_large_is_refused(sample: Format) -> None:
    found = read(sample, [sample.encode({"a": "x" * MAX_RECORD_BYTES}), sample.encode({"a": "x" * 60_000})])
    assert reasons(found) == [Why.TOO_LARGE]
    assert found.places == [1]


@every_format
def test_what_is_nested_too_deeply_is_refused(sample: Format) -> None:
    assert len(sample.deep) <= MAX_RECORD_BYTES
    good = sample.encode({"a": [[[[[[[[1]]]]]]]]})
    found = read(sample, [good, sample.deep, good])
    assert reasons(found) == [Why.TOO_DEEP]
    assert found.places == [0, 2]


@every_format
def test_text_that_is_not_utf_8_is_refused_or_marked(sample: Format) -> None:
    found = read(sample, [sample.bad_text, sample.encode({})])
    if found.surrogates:
        assert found.rows == [{"a": "\udcff"}, {}]
    else:
        assert reasons(found) == [Why.INVALID_UTF8]
        assert found.rows == [{}]


@every_format
def test_the_declared_framing_is_what_it_reads(sample: Format) -> None:
    codec, value = sample.make(), sample.encode({"a": 1})
    bare = value[5:] if codec.framing is Framing.REQUIRED else value
    framed = b"\0\0\0\0\x07" + bare
    assert (reasons(read(sample, [bare])) == []) is (codec.framing is not Framing.REQUIRED)
    assert (read(sample, [framed]).rows == [{"a": 1}]) is (codec.framing is not Framing.NONE)
    for name, unreadable in sample.unreadable_framing.items():
        assert reasons(read(sample, [unreadable])) == [Why.UNKNOWN_FRAMING], name


# ------------------------------------------------------------------ stretches


def _any_value(sample: Format) -> st.SearchStrategy[bytes | None]:
    bad = [None, b"", sample.bad_text, sample.deep, *sample.undecodable.values(), *sample.unreadable_framing.values()]
    return documents.map(sample.encode) | st.sampled_from(bad) | st.binary(max_size=40)


@every_format
@given(data=st.data())
def test_a_stretch_is_read_as_its_values_are_one_by_one(sample: Format, data: st.DataObject) -> None:
    stretch = data.draw(st.lists(_any_value(sample), max_size=8))
    kind = data.draw(st.sampled_from([Any, list[Any], ONE.type, Event]))
    together = read(sample, stretch, kind)
    alone = [read(sample, [value], kind) for value in stretch]
    assert list(map(repr, together.rows)) == [repr(row) for found in alone for row in found.rows]
    assert reasons(together) == [reason for found in alone for reason in reasons(found)]


@every_format
@given(data=st.data())
def test_reading_all_at_once_gives_the_same_or_nothing(sample: Format, data: st.DataObject) -> None:
    stretch = data.draw(st.lists(_any_value(sample), max_size=8))
    reader = sample.make().reader(Any)
    found = reader.read_all(stretch)
    if found is not None:
        whole = reader.read(stretch)
        assert list(map(repr, found.rows)) == list(map(repr, whole.rows))
        assert (len(found.rows), found.refused, whole.refused) == (len(stretch), [], [])


@every_format
@given(value=st.binary(max_size=60), key=st.binary(max_size=60))
def test_no_bytes_raise_and_all_values_are_plain(sample: Format, value: bytes, key: bytes) -> None:
    for row in [*read(sample, [value]).rows, sample.make().key_document(key)]:
        assert {type(part) for part in parts(row)} <= PLAIN


@every_format
@given(document=documents)
def test_a_key_is_a_document_or_nothing(sample: Format, document: Any) -> None:
    codec = sample.make()
    assert repr(codec.key_document(sample.encode(document))) == repr(document)


@every_format
def test_a_key_that_is_no_document_is_nothing(sample: Format) -> None:
    codec = sample.make()
    for key in (b"", sample.bad_text, sample.deep, *sample.undecodable.values()):
        assert codec.key_document(key) is None


# ------------------------------------------------------------------ through the map


CONFIGS: dict[str, dict[str, Any]] = {
    "native": {"metric": "view"},
    "mapped": {
        "metric": "view",
        "map": {"ts": {"path": "at", "time": "s"}, "actor": "who.id", "target": "what", "watch_ms": "w", "undo": "u"},
        "keep": [{"path": "kind", "is": ["play", "true", "1"]}],
    },
    "elements": {
        "metric": "like",
        "each": "items",
        "map": {"ts": {"outer": "at"}, "actor": {"outer": "who.id"}, "target": "what", "id": {"outer": "batch"}},
    },
    "all elements": {"metric": "like", "each": "$", "map": {"ts": "at", "actor": "who.id", "target": "what"}},
    "keys and headers": {
        "metric": "follow",
        "map": {
            "ts": {"timestamp": True},
            "actor": {"key": "id"},
            "target": {"header": "to"},
            "owner": {"first": ["who.id", {"key": ["a", "b"]}]},
        },
    },
}
VIEWER: dict[str, Any] = {"at": TS, "who": {"id": "a1"}, "what": "v1"}
SAMPLES: list[Any] = [
    {"ts": TS, "actor": "a1", "target": "v1"},
    {"ts": TS, "actor": None, "target": "v1", "metric": "like", "id": 17},
    {"ts": TS, "target": "v1"},
    {"ts": "today", "actor": "a1", "target": "v1"},
    {"ts": TS, "actor": "a1", "target": "v1", "watch_ms": -1, "ip": "203.0.113.7:80", "country": "é" * 65},
    {"ts": TS, "actor": "é" * 200, "target": "v1"},
    {"at": TS / 1000, "who": {"id": "a1"}, "what": "v1", "kind": "play", "w": 17.0, "u": False},
    {"at": TS // 1000, "who.id": "a1", "what": 7, "kind": True, "u": "maybe"},
    {"at": TS, "who": 7, "what": None, "kind": 1},
    {"at": TS, "who": {"id": "a2"}, "batch": 9, "items": [{"what": "v1"}, {"what": "v2"}, {}]},
    {"at": TS, "who": {"id": "a2"}, "batch": "b", "items": []},
    {"at": TS, "who": {"id": "a2"}, "items": {"what": "v1"}},
    [VIEWER, VIEWER | {"what": "v2"}, 7],
    [],
    7,
]


def _decoded(name: str, sample: Format, config: dict[str, Any]) -> Decoded:
    size = len(SAMPLES)
    keys = [None, b"", *([sample.encode({"id": f"k{n}", "a": {"b": n}}) for n in range(size - 2)])]
    records = Records(np.arange(size), keys, [sample.encode(document) for document in SAMPLES], np.full(size, LATEST))
    records.headers = [[("to", b"v%d" % n)] if n % 3 else [] for n in range(size)]
    records.timestamp_ms = [TS + n for n in range(size)]
    source = Input.model_validate({"topic": "events", "format": name, **config})
    return EventDecoder(source, 0).decode(records, np.full(size, LATEST))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "json"])
def test_the_same_documents_are_the_same_events_whatever_the_format(name: str, config: dict[str, Any]) -> None:
    found, expected = _decoded(name, FORMATS[name], config), _decoded("json", FORMATS["json"], config)
    assert events_of(expected.good)
    assert events_of(found.good) == events_of(expected.good)
    assert found.refused == expected.refused
    assert (found.skipped, found.unread) == (expected.skipped, expected.unread)


@every_format
def test_good_native_events_are_events_in_every_format(sample: Format) -> None:
    events: list[dict[str, Any]] = [
        {"ts": TS + n, "actor": f"a{n}", "target": "v1", "ip": "203.0.113.7"} for n in range(3)
    ]
    source = Input(topic="views", metric="view", format=sample.make().name)
    records = Records.values([sample.encode(event) for event in events], LATEST)
    decoded = EventDecoder(source, 0).decode(records, np.full(3, LATEST))
    assert [event for _, _, event in events_of(decoded.good)] == [Event(**event) for event in events]
