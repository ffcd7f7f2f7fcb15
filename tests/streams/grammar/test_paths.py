"""A path leads to the same value whether a document is decoded whole or into a struct made from the paths."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.grammar.paths import Path, Shape, lookup, parse_path

names = st.sampled_from(["a", "b", "c", "a.b", "b.c", "a.b.c", "0", "é", "a=x"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.sampled_from(["", "x", "é"])
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(names, values, max_size=4)
keys = st.sampled_from(["a", "b", "c", "0", "-1", "é", "a=x"])
paths = st.builds(
    lambda parts, exact: parse_path(parts if exact else ".".join(parts)),
    st.lists(keys, min_size=1, max_size=4),
    st.booleans(),
)


def _plain(value: Any) -> Any:
    """Any object, whatever it was decoded into, as one word: a map can do nothing with one."""
    return "object" if isinstance(value, dict | msgspec.Struct) else value


@given(st.lists(documents, min_size=1, max_size=4), st.lists(paths, min_size=1, max_size=4, unique=True), st.booleans())
def test_a_struct_made_from_paths_finds_what_a_look_into_the_document_finds(
    written: list[dict[str, Any]], wanted: list[Path], together: bool
) -> None:
    shape = Shape(wanted)
    lines = [msgspec.json.encode(document) for document in written]
    decoder = msgspec.json.Decoder(shape.type)
    text = b"\n".join(lines) if together else None
    decoded = decoder.decode_lines(text) if text is not None else [decoder.decode(line) for line in lines]
    whole = [msgspec.json.decode(line) for line in lines]
    at_once = shape.columns(decoded)
    for path in wanted:
        expected = [_plain(lookup(document, path)) for document in whole]
        assert [_plain(value) for value in shape.column(decoded, path, text)] == expected
        if path in at_once:
            assert [_plain(value) for value in at_once[path]] == expected


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        ("a.b", {"a": {"b": 1}, "a.b": 2}, 1),
        ("a.b", {"a": {"c": 1}, "a.b": 2}, 2),
        ("a.b", {"a": None, "a.b": 2}, 2),
        (["a.b"], {"a": {"b": 1}, "a.b": 2}, 2),
        ("properties.$current_url", {"properties": {"$current_url": "/"}}, "/"),
        ("properties.$current_url", {"properties.$current_url": "/"}, "/"),
        ("hops.0", {"hops": ["x", "y"]}, "x"),
        ("hops.-1.ip", {"hops": [{"ip": "x"}, {"ip": "y"}]}, "y"),
        ("hops.7", {"hops": ["x"]}, None),
        ("hops.0", {"hops": {"0": "z"}}, "z"),
        ("a.b", {"a": "text"}, None),
        ("a.key=url.s", {"a": [7, {"key": "id", "s": 1}, {"key": "url", "s": 2}, {"key": "url", "s": 3}]}, 2),
        ("a.key=url.s", {"a": {"key=url": {"s": 4}}}, 4),
        ("a.key=url", {"a": [{"key": 7}, {}]}, None),
        (["a", "key=u.r.l", "s"], {"a": [{"key": "u.r.l", "s": 5}]}, 5),
        ("$", {"$": 6}, {"$": 6}),
        (["$"], {"$": 6}, 6),
    ],
)
def test_dots_go_down_first_and_may_be_part_of_a_name(path: Any, document: dict[str, Any], expected: Any) -> None:
    assert lookup(document, parse_path(path)) == expected


@pytest.mark.parametrize("path", ["", ".", "a..b", "a.", "a.b.c.d.e.f.g.h.i", []])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match="path"):
        parse_path(path)
