"""Rows of CSV, TSV, NDJSON and JSON: what was written is read, in pieces of any size, with its bytes and its line."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.codecs.codec import MAX_RECORD_BYTES
from streams.deadletters import Why
from streams.offline.recorded import row as limits
from streams.offline.recorded.documents import DocumentStream
from streams.offline.recorded.lines import ndjson_rows
from streams.offline.recorded.quoting import line_fields, record_at
from streams.offline.recorded.row import EXCERPT_BYTES, MAX_ROW_BYTES, Row
from streams.offline.recorded.table import Table
from streams.settings.section import SettingsError

HEADER = ("x", "y.z", 'he said "%s"')

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(st.one_of(characters, st.sampled_from('ab",\n\t\\\0 é')), max_size=8)
# A line end of its own at the end of a field cannot be told from that of the row, unless it is quoted.
csv_rows = st.lists(st.tuples(texts, texts, texts), max_size=6)
tsv_texts = st.text(characters.filter(lambda char: char not in "\t\r\n"), max_size=8)
pieces = st.integers(1, 40)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def fields_of(rows: list[Row]) -> list[tuple[str, ...]]:
    return [tuple(orjson.loads(row.value or b"null").values()) for row in rows]


def rows_are_told_apart(rows: list[tuple[str, ...]]) -> bool:
    """Whether no text has a line that looks like a row: such a record is refused."""
    return not any("\n" in text and "," in text for row in rows for text in row)


@settings(max_examples=300)
@given(rows=csv_rows, every=st.booleans(), line=st.sampled_from(["\n", "\r\n"]), size=pieces)
def test_csv_that_pythons_writer_wrote_is_read(rows: list[tuple[str, ...]], every: bool, line: str, size: int) -> None:
    rows = [tuple(text.replace("\r", "?") for text in row) for row in rows]
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL, lineterminator=line)
    writer.writerows([HEADER, *rows])
    data = out.getvalue().encode()
    table = Table(cut(data, size), "csv", "x.csv")
    found = list(table.rows())
    assert tuple(table.columns) == HEADER
    if rows_are_told_apart(rows):
        assert fields_of(found) == rows
    body = data.split(line.encode(), 1)[1]
    assert b"".join(row.original + line.encode() for row in found) == body, "nothing is lost, whatever it is"
    numbers = [2 + sum(row.lines for row in found[:place]) for place in range(len(found))]
    assert [row.line for row in found] == numbers


@given(rows=st.lists(st.tuples(tsv_texts, tsv_texts, tsv_texts), max_size=6), size=pieces)
def test_tsv_means_every_character(rows: list[tuple[str, ...]], size: int) -> None:
    lines = ["\t".join(row) for row in [("a", "b", "c"), *rows]]
    found = list(Table(cut("\n".join(lines).encode(), size), "tsv", "x").rows())
    assert fields_of(found) == rows
    assert [row.original.decode() for row in found] == lines[1:]


def test_the_short_way_of_a_line_gives_what_the_long_way_gives() -> None:
    taken = 0
    for length in range(1, 9):
        for letters in itertools.product(b'a,"', repeat=length):
            line = bytes(letters)
            fields = line_fields(line, b",")
            if fields is not None:
                taken += 1
                found = record_at(line, 0, b",", b"\n", complete=True)
                assert (found.fields, found.end, found.problem) == (fields, len(line), ""), line
    assert taken > 1000


@given(
    data=st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"b", b'""', b"\xe9"]), max_size=25).map(b"".join),
    size=pieces,
)
def test_the_pieces_in_which_a_file_comes_change_nothing_and_nothing_is_lost(data: bytes, size: int) -> None:
    text = b"x,y,z\n" + data
    whole = list(Table([text], "csv", "x").rows())
    assert list(Table(cut(text, size), "csv", "x").rows()) == whole
    told = b"".join(row.original for row in whole)
    plain = bytes(byte for byte in data if byte not in b"\r\n")
    assert bytes(byte for byte in told if byte not in b"\r\n") == plain


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, documents, max_size=3)


@given(records=st.lists(objects, max_size=5), indent=st.sampled_from([None, 1]), array=st.booleans(), size=pieces)
@example(records=[{"": -(2**63) - 1}], indent=None, array=False, size=1)
def test_json_records_are_read_one_by_one(
    records: list[dict[str, object]], indent: int | None, array: bool, size: int
) -> None:
    text = (
        json.dumps(records, indent=indent)
        if array
        else "\n".join(json.dumps(record, indent=indent, ensure_ascii=False) for record in records)
    )
    found = list(DocumentStream(cut(text.encode(), size)).rows())
    # The standard library reads whole numbers of any size; orjson makes floats of those beyond 64 bits.
    assert [json.loads(row.value or b"null") for row in found] == records
    assert all(row.original == row.value for row in found)
    for row in found:
        assert text.encode().split(b"\n")[row.line - 1].strip(b" ,[").startswith(row.original.split(b"\n")[0][:1])


@given(data=st.lists(st.sampled_from([*'{}[]",:1 \n\\a']), max_size=30).map("".join), size=pieces)
def test_no_text_stops_the_reader_of_json(data: str, size: int) -> None:
    whole = list(DocumentStream([data.encode()]).rows())
    assert list(DocumentStream(cut(data.encode(), size)).rows()) == whole


def test_an_array_that_is_cut_off_says_so() -> None:
    for text in (b'[{"a":1},{"b":', b'[{"a":1},', b'[{"a":1}'):
        *good, bad = DocumentStream([text]).rows()
        assert [row.value for row in good] == [b'{"a":1}']
        assert bad.reason is Why.NOT_JSON
        assert "cut off" in bad.message


def test_a_line_of_ndjson_is_unchanged_and_blank_ones_are_passed_over() -> None:
    data = b'{"a": 1}\r\n\r\n  \n{"b":\t2}\nrubbish'
    for size in (1, 3, 100):
        found = list(ndjson_rows(cut(data, size), b"\n"))
        assert [(row.value, row.line) for row in found] == [(b'{"a": 1}', 1), (b'{"b":\t2}', 4), (b"rubbish", 5)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_one(end: str) -> None:
    data = end.join(["x,y", "1,2", '"3,""3",4', "", "5,6"]).encode()
    found = list(Table([data], "csv", "x").rows())
    assert fields_of(found) == [("1", "2"), ('3,"3', "4"), ("5", "6")]
    assert [row.line for row in found] == [2, 3, 5]


def test_a_line_end_of_another_kind_within_a_cell_is_text() -> None:
    found = list(Table([b'x,y\r1,"a\nb"\r2,c\r'], "csv", "x").rows())
    assert fields_of(found) == [("1", "a\nb"), ("2", "c")]
    found = list(Table([b'x,"y\nz"\r1,2\r3,4\r'], "csv", "x").rows())
    assert fields_of(found) == [("1", "2"), ("3", "4")]
    found = list(Table([b'x,y\n1,"a\rb\rc\rd"\n3,4\n'], "csv", "x").rows())
    assert fields_of(found) == [("1", "a\rb\rc\rd"), ("3", "4")]


def test_a_field_of_any_length_is_read_and_costs_no_event() -> None:
    long = "é" * 300_000
    row = next(Table([f'x,y\n1,"{long}"\n'.encode()], "csv", "x").rows())
    assert row.value is not None
    assert len(row.value) <= MAX_RECORD_BYTES
    document = orjson.loads(row.value)
    assert document["x"] == "1"
    assert document["y"].startswith("é" * 2000)
    assert row.original.decode() == f'1,"{long}"', "the original is whole"


def test_a_row_that_never_ends_needs_no_memory_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 1000
    for module in ("table", "lines", "documents"):
        monkeypatch.setattr(f"streams.offline.recorded.{module}.MAX_ROW_BYTES", limit)
        monkeypatch.setattr(f"streams.offline.recorded.{module}.EXCERPT_BYTES", 100)
    monkeypatch.setattr(limits, "EXCERPT_BYTES", 100)
    monkeypatch.setattr("streams.offline.recorded.table.HEAD_BYTES", 10)

    def pieces_of(*parts: bytes) -> Iterator[bytes]:
        for part in parts:
            yield from cut(part, 60)

    lines = b"2,y,z\n" * 1000
    (first, open_) = Table(pieces_of(b"a,b,c\n1,x,y\n", b'2,"x,y\n', lines), "csv", "x").rows()
    assert first.line == 2
    assert (open_.line, open_.lines, open_.reason) == (3, 1001, Why.BAD_ROW)
    assert "never closed; the 1,001 lines" in open_.message
    assert len(open_.original) == 100
    assert "the first 100 of" in open_.message

    (long, last) = Table(pieces_of(b"a,b\n", b'1,"', b'x\n""' * 500, b'"\n', b"3,4\n"), "csv", "x").rows()
    assert (long.line, long.lines, long.reason) == (2, 501, Why.TOO_LARGE)
    assert fields_of([last]) == [("3", "4")]
    assert last.line == 503

    (long, last) = Table(pieces_of(b"a\tb\n", b"1\t" + b"x" * 5000 + b"\n", b"3\t4\n"), "tsv", "x").rows()
    assert (long.reason, long.line, last.line) == (Why.TOO_LARGE, 2, 3)
    (long, last) = ndjson_rows(pieces_of(b'{"a":"' + b"x" * 5000 + b'"}\n', b"{}\n"), b"\n")
    assert (long.reason, long.line, last.line) == (Why.TOO_LARGE, 1, 2)
    (long, last) = DocumentStream(pieces_of(b'[{"a":[' + b"1,\n" * 2000 + b"1]},\n{}]")).rows()
    assert (long.reason, long.line, last.line) == (Why.TOO_LARGE, 1, 2002)
    assert len(long.original) == 100
    (long,) = DocumentStream(pieces_of(b'[{"a":"' + b"x" * 5000)).rows()
    assert long.reason is Why.NOT_JSON


def test_the_bounds_are_in_order() -> None:
    assert EXCERPT_BYTES < MAX_ROW_BYTES
    assert MAX_RECORD_BYTES < MAX_ROW_BYTES


@pytest.mark.parametrize("header", [b"a,b,a\n1,2,3\n", b'a,b,"a"\n', b"a\xe9,a\xe9\n"])
def test_columns_of_one_name_are_refused(header: bytes) -> None:
    with pytest.raises(SettingsError, match="several columns named 'a"):
        Table([header], "csv", "x")


SWALLOWED = [
    b't,user,agent\n1,u1,"open\n2,u2,x\n3,u3,y"\n4,u4,z\n',
    b't,user,agent\n1,u1,"5\n2,u2,6"\n4,u4,z\n',
    b'agent,t,user\n"5,1,u1\nx,2,u2\ny,3,u3\n6",2,u2\nz,4,u4\n',
]
TEXTS = [
    b'text,t,user\n"a\nb",1,u1\nz,4,u4\n',
    b't,user,text\n1,u1,"a, b\nc, d"\n4,u4,z\n',
    b't,user,text\n1,u1,"first, second, third\nno, it is, not\nlast, of, all"\n4,u4,z\n',
]


@pytest.mark.parametrize("text", SWALLOWED)
def test_rows_that_a_quotation_mark_too_many_takes_in_are_refused_with_it(text: bytes) -> None:
    taken, last = Table([text], "csv", "x").rows()
    assert taken.reason is Why.BAD_ROW
    assert taken.lines == text.count(b"\n") - 2
    assert last.value is not None


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_of_several_lines_is_one(text: bytes) -> None:
    assert [row.reason for row in Table([text], "csv", "x").rows()] == [None, None]


def test_columns_without_a_name_are_left_out() -> None:
    found = list(Table([b",a,\n0,1,\n1,2,\n"], "csv", "x").rows())
    assert [row.value for row in found] == [b'{"a":"1"}', b'{"a":"2"}']


@pytest.mark.parametrize(
    "row",
    [b'1,"a"b,3', b'1,"a" ""b",3', b"1,2", b"1,2,3,4", b'1,"open', b'"1"",2,3'],
)
def test_a_row_that_is_not_of_the_format_is_refused_with_its_bytes(row: bytes) -> None:
    found = list(Table([b"a,b,c\nx,y,z\n" + row], "csv", "x").rows())
    assert [(each.line, each.reason) for each in found] == [(2, None), (3, Why.BAD_ROW)]
    assert found[1].original == row
    assert found[1].value is None


def test_a_quotation_mark_within_a_field_is_text() -> None:
    found = list(Table([b'a,b\n12" single,"""x"" y"\n'], "csv", "x").rows())
    assert fields_of(found) == [('12" single', '"x" y')]


def test_bytes_that_are_no_utf8_stand_in_the_document() -> None:
    (row,) = Table([b"a,b\nJos\xe9,\xff\n"], "csv", "x").rows()
    assert row.value == b'{"a":"Jos\xe9","b":"\xff"}'
