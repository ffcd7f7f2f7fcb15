"""Reads CSV and TSV as JSON documents: each row is an object of its columns, as texts.

TSV has no quoting. CSV has the quoting of RFC 4180: a field in quotation marks can contain delimiters, line ends and
doubled quotation marks. Its delimiter is recognised by its header. Any other row is refused and never guessed at,
because one extra quotation mark would make one field of all rows after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Sequence
from typing import Literal

from streams.codecs.codec import MAX_RECORD_BYTES
from streams.deadletters import Why
from streams.offline.recorded.lines import LF, line_end
from streams.offline.recorded.quoting import QUOTE, Quoted, closing_quote, delimiter_of, line_fields, record_at
from streams.offline.recorded.row import EXCERPT_BYTES, MAX_ROW_BYTES, Row, refused
from streams.offline.recorded.source import HEAD_BYTES, READ
from streams.settings.section import SettingsError

_QUOTED = re.compile(rb'"[^"]*"')
_SPECIAL = bytes(range(0x20)) + b'\\"'
_ESCAPES = {byte: json.dumps(chr(byte))[1:-1].encode() for byte in _SPECIAL}

_SEP_LINE = re.compile(rb'"?sep=([,;|\t])"?(?:\r\n?|\n)', re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")

CUT_BYTES = 4096
"""In a row over MAX_RECORD_BYTES, each field is cut to this size. No field of an event is longer, so a long text in an
unused column does not cost the row."""

ROW_COLUMNS_MIN = 3
"""Smallest number of columns of a header with which lines of a text can be recognised as rows. With fewer, the test is
not reliable: a comma in a line of text is frequent."""
_DIGITS, _LETTERS = re.compile(rb"[0-9]+"), re.compile(rb"[A-Za-z]+")


class Table:
    """A CSV or TSV file, read once from its beginning. ``columns`` are known before the first row."""

    def __init__(
        self,
        chunks: Iterable[bytes],
        kind: Literal["csv", "tsv"],
        name: str,
        columns: Sequence[str] | None = None,
    ) -> None:
        """Read the header, or take the names of the columns of a file without one. An empty file has no columns.

        Raises SettingsError if the header is no text, or if two columns have the same name.
        """
        self._chunks = iter(chunks)
        self._quoted = kind == "csv"
        self._buffer = b""
        self._at = 0
        self._line = 1
        self._complete = False
        while len(self._buffer) < HEAD_BYTES and self._more():
            pass
        head = self._buffer[:HEAD_BYTES]
        self._end = line_end(_QUOTED.sub(b"", head) if self._quoted else head)
        self._delimiter = self._recognised(head) if self._quoted else b"\t"
        self._special = bytes(set(_SPECIAL) - {self._delimiter[0], self._end[0]})
        self._escapable = bytes(set(self._special) - {QUOTE[0]})
        self.columns = self._header(name) if columns is None else list(columns)
        self._unnamed = [at for at, column in enumerate(self.columns) if not column]
        self._template = b"{%b}" % b",".join(
            json.dumps(column, ensure_ascii=False).encode("utf-8", "replace").replace(b"%", b"%%") + b':"%b"'
            for column in self.columns
            if column
        )

    def rows(self) -> Generator[Row, None, None]:
        """All rows in the file's order; blank lines are skipped."""
        while True:
            quote = self._buffer.find(QUOTE, self._at) if self._quoted else -1
            cut = self._buffer.rfind(self._end, self._at, quote if quote >= 0 else len(self._buffer))
            if cut >= 0:
                block, self._at = self._buffer[self._at : cut], cut + 1
                yield from self._plain(block)
            elif quote >= 0:
                if (row := self._quoted_line()) is not None:
                    yield row
                else:
                    yield from self._record()
            elif self._complete:
                if self._at < len(self._buffer):
                    yield from self._plain(self._buffer[self._at :])
                return
            elif self._too_large():
                yield self._skip_record(-1)
            else:
                self._more()

    def _recognised(self, head: bytes) -> bytes:
        """The delimiter of a CSV file. A first line that only names it, as Excel writes it, is skipped."""
        named = _SEP_LINE.match(head)
        if named is None:
            return delimiter_of(_QUOTED.sub(b"", head).lstrip(b"\r\n").split(self._end, 1)[0])
        self._at, self._line = named.end(), 2
        return named[1]

    def _header(self, name: str) -> list[str]:
        fields = [b""]
        while fields == [b""]:
            if self._at == len(self._buffer) and not self._more():
                return []
            found = self._next()
            if found.end < 0:
                raise SettingsError(f"{name} has no header: its first line does not end")
            self._line += self._buffer.count(self._end, self._at, found.end)
            self._at, fields = found.end, found.fields
        if any(_CONTROL.search(field) for field in fields):
            raise SettingsError(f"{name} is no text file: its first line has control characters; {READ}")
        columns = [field.decode("utf-8", "replace") for field in fields]
        twice = sorted({column for column in columns if column and columns.count(column) > 1})
        if twice:
            raise SettingsError(f"{name} has several columns named {twice[0]!r}; give each a different name")
        return columns

    def _more(self) -> bool:
        """Read on; false at the end of the file."""
        chunk = next(self._chunks, None)
        if chunk is None:
            self._complete = True
            return False
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0
        return True

    def _too_large(self) -> bool:
        return len(self._buffer) - self._at > MAX_ROW_BYTES

    def _next(self) -> Quoted:
        """The record at the reading position, reading on as needed; its end is -1 if it is open or too large."""
        while True:
            if self._quoted:
                found = record_at(self._buffer, self._at, self._delimiter, self._end, complete=self._complete)
            else:
                stop = self._buffer.find(self._end, self._at)
                stop = len(self._buffer) if stop < 0 and self._complete else stop
                line = self._buffer[self._at : max(stop, 0)].removesuffix(b"\r")
                found = Quoted(line.split(self._delimiter), min(stop + 1, len(self._buffer)) if stop >= 0 else -1)
            if found.end >= 0 or self._too_large() or self._complete:
                return found
            self._more()

    def _plain(self, block: bytes) -> Generator[Row, None, None]:
        """Rows of lines without quoting."""
        number, size, delimiter, template = self._line - 1, len(self.columns), self._delimiter, self._template
        if self._end == LF and b"\r" in block:
            block = block.replace(b"\r\n", b"\n").removesuffix(b"\r")
        lines = block.split(self._end)
        self._line += len(lines)
        simple = not self._unnamed and len(block.translate(None, self._special)) == len(block)
        for line in lines:
            number += 1
            fields = line.split(delimiter)
            if simple and len(fields) == size and len(line) < MAX_RECORD_BYTES // 2:
                yield Row(template % tuple(fields), line, number)
            elif line:
                yield self._row(fields, line, number)

    def _row(self, fields: list[bytes], original: bytes, line: int, lines: int = 1) -> Row:
        if len(fields) != len(self.columns):
            message = f"the row has {len(fields):,} columns, the header has {len(self.columns):,}"
            return refused(original, line, Why.BAD_ROW, message, lines=lines)
        named = [field for field, column in zip(fields, self.columns, strict=True) if column]
        document = self._template % tuple(map(_escaped, named))
        if len(document) > MAX_RECORD_BYTES:
            document = self._template % tuple(_escaped(_cut(field)) for field in named)
        return Row(document, original, line, lines)

    def _quoted_line(self) -> Row | None:
        """The record at the reading position if it is one line of simple fields; otherwise None."""
        stop = self._buffer.find(self._end, self._at)
        if stop < 0 or stop - self._at > MAX_RECORD_BYTES // 2:
            return None
        line = self._buffer[self._at : stop].removesuffix(b"\r")
        fields = line_fields(line, self._delimiter)
        if fields is None or len(fields) != len(self.columns) or self._unnamed:
            return None
        if len(line.translate(None, self._escapable)) != len(line):
            return None
        self._at = stop + 1
        self._line += 1
        return Row(self._template % tuple(fields), line, self._line - 1)

    def _record(self) -> Generator[Row, None, None]:
        """The record at the reading position, which contains a quotation mark."""
        found = self._next()
        if found.end < 0:
            yield self._skip_record(found.opened_at)
            return
        original = self._buffer[self._at : found.end].removesuffix(self._end).removesuffix(b"\r")
        line, lines = self._line, original.count(self._end) + 1
        self._at = found.end
        self._line += lines
        problem = found.problem
        if not problem and lines > 1 and self._contains_rows(original.split(self._end)):
            problem = "a quoted field contains lines that are rows; remove the extra quotation mark"
        if problem:
            yield refused(original, line, Why.BAD_ROW, problem, lines=lines)
        else:
            yield self._row(found.fields, original, line, lines)

    def _contains_rows(self, lines: list[bytes]) -> bool:
        """Whether all lines of a record after its first seem to be rows."""
        first, *others = lines
        begin = first.split(self._delimiter, 1)[0]
        if begin.startswith(QUOTE):
            # The open field is the first one, so the last line has all other columns in any case.
            others, begin = others[:-1], b""
        commas = len(self.columns) - 1
        return (
            len(others) >= (1 if begin else 2)
            and commas >= ROW_COLUMNS_MIN - 1
            and all(line.count(self._delimiter) == commas for line in others)
            and (not begin or all(_form(line.split(self._delimiter, 1)[0]) == _form(begin) for line in others))
        )

    def _skip_record(self, opened_at: int) -> Row:
        """Read to the end of a record that is too large or never ends, and return its beginning as a refused row.

        ``opened_at`` is the index of the open quotation mark, or -1.
        """
        line, size, ends = self._line, 0, 0
        excerpt = self._buffer[self._at : self._at + EXCERPT_BYTES]
        is_open, scan = opened_at >= 0, max(opened_at + 1, self._at)
        while True:
            if is_open:
                place = closing_quote(self._buffer, scan)
                # A quotation mark at the very end may be the first of two.
                found = place >= 0 and (place + 1 < len(self._buffer) or self._complete)
                reached = place + 1 if found else len(self._buffer) - (place >= 0)
            else:
                place = self._buffer.find(self._end, scan)
                found = place >= 0
                reached = place if found else len(self._buffer)
            size += reached - self._at
            ends += self._buffer.count(self._end, self._at, reached)
            self._at = scan = reached
            if found and is_open:
                is_open = False
            elif found:
                self._at += 1
                break
            elif not self._more():
                if is_open and self._at < len(self._buffer):
                    continue
                break
            else:
                scan = self._at
        self._line += ends + 1
        lines = ends + (size > 0 and not (is_open and self._buffer.endswith(self._end)))
        if is_open:
            message = f"a quotation mark is opened and never closed; the {lines:,} lines to the end are not read"
            excerpt = excerpt.removesuffix(self._end).removesuffix(b"\r")
            return refused(
                excerpt, line, Why.BAD_ROW, message, lines=lines, size_bytes=size if size > EXCERPT_BYTES else 0
            )
        message = f"the row has {size:,} bytes; {MAX_ROW_BYTES:,} are allowed"
        return refused(excerpt, line, Why.TOO_LARGE, message, lines=lines, size_bytes=size)


def _form(text: bytes) -> bytes:
    """The form of a text: times or ids of one column have the same form, prose has not.

    >>> _form(b"1767634490.5"), _form(b"user-17")
    (b'0.0', b'a-0')
    """
    return _LETTERS.sub(b"a", _DIGITS.sub(b"0", text))


def _escaped(field: bytes) -> bytes:
    """The bytes of a JSON string.

    >>> _escaped(b'a"b')
    b'a\\\\"b'
    """
    if len(field.translate(None, _SPECIAL)) == len(field):
        return field
    return b"".join(_ESCAPES.get(byte) or bytes((byte,)) for byte in field)


def _cut(field: bytes) -> bytes:
    """At most CUT_BYTES of a field, not cut inside a character."""
    if len(field) <= CUT_BYTES:
        return field
    end = CUT_BYTES
    while end > CUT_BYTES - 4 and 0x80 <= field[end] < 0xC0:
        end -= 1
    return field[:end]
