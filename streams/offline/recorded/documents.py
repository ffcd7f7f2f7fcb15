"""Reads JSON documents over any number of lines: one array of records, or records one after the other."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable

from streams.deadletters import Why
from streams.offline.recorded.row import EXCERPT_BYTES, MAX_ROW_BYTES, Row, refused

QUOTE = b'"'
# A string is one token, so brackets inside it do not count.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}"]', re.DOTALL)
_BETWEEN = re.compile(rb"[\s,]*")
_SCALAR = re.compile(rb"""(?:"(?:[^"\\]|\\.)*+"|[^\s,\]{}\["])+|.""", re.DOTALL)


class DocumentStream:
    """A JSON file, read once. Text that is not a document becomes a refused row, and reading continues after it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._at = 0
        self._line = 1
        self._complete = False

    def rows(self) -> Generator[Row, None, None]:
        """The records of the array or of the file, each with its bytes in the file."""
        in_array = self._peek() == b"["
        if in_array:
            self._at += 1
        while (first := self._peek()) != b"":
            if first in (b"{", b"["):
                row = self._document()
                in_array &= row.value is not None or self._peek() != b""
                yield row
            elif first == b"]" and in_array:
                self._at += 1
                in_array = False
            else:
                yield self._scalar()
        if in_array:
            yield refused(b"", self._line, Why.NOT_JSON, "the array is not closed: the file is cut off")

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            self._complete = True
            return False
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0
        return True

    def _peek(self) -> bytes:
        """The next byte that is neither white space nor a comma; empty at the end of the file."""
        while True:
            match = _BETWEEN.match(self._buffer, self._at)
            end = self._at if match is None else match.end()
            self._line += self._buffer.count(b"\n", self._at, end)
            self._at = end
            if end < len(self._buffer):
                return self._buffer[end : end + 1]
            if not self._more():
                return b""

    def _document(self) -> Row:
        """The object or array at the reading position, to the bracket that closes it."""
        line, depth, consumed, scan = self._line, 0, 0, self._at
        excerpt = b""
        while True:
            match = _TOKEN.search(self._buffer, scan)
            token = b"" if match is None else match[0]
            if match is None or token == QUOTE:
                # A string that is not closed yet is scanned again with more data.
                scan = len(self._buffer) if match is None else match.start()
                if scan - self._at > MAX_ROW_BYTES or (token == QUOTE and len(self._buffer) - scan > MAX_ROW_BYTES):
                    excerpt = excerpt or self._buffer[self._at : self._at + EXCERPT_BYTES]
                    consumed += scan - self._at
                    self._line += self._buffer.count(b"\n", self._at, scan)
                    self._at = scan
                    if token == QUOTE and len(self._buffer) - scan > MAX_ROW_BYTES:
                        scan += 1  # a text larger than a row: its brackets count, and the row is refused anyway
                        continue
                before = self._at
                if not self._more():
                    return self._cut_off(excerpt, line, consumed)
                scan -= before
                continue
            scan = match.end()
            depth += (token in b"{[") - (token in b"}]")
            if depth == 0:
                break
        original = self._buffer[self._at : scan]
        self._line += original.count(b"\n")
        self._at = scan
        lines, size = self._line - line + 1, consumed + len(original)
        if size > MAX_ROW_BYTES:
            message = f"the record has {size:,} bytes; {MAX_ROW_BYTES:,} are allowed"
            return refused(excerpt or original, line, Why.TOO_LARGE, message, lines=lines, size_bytes=size)
        return Row(original, original, line, lines)

    def _cut_off(self, excerpt: bytes, line: int, consumed: int) -> Row:
        rest = self._buffer[self._at :]
        self._at = len(self._buffer)
        self._line += rest.count(b"\n")
        message = "the record has no end: the file is cut off, or a bracket or a quotation mark is missing"
        lines = self._line - line + (not rest.endswith(b"\n"))
        return refused(
            excerpt or rest,
            line,
            Why.NOT_JSON,
            message,
            lines=max(1, lines),
            size_bytes=consumed + len(rest) if excerpt else 0,
        )

    def _scalar(self) -> Row:
        """A value that is not an object or array. The codec refuses it with its own message."""
        while True:
            match = _SCALAR.match(self._buffer, self._at)
            assert match is not None, "a byte is there, and every byte matches"
            end = match.end()
            # A text that is not closed yet is matched again with more data.
            whole = end < len(self._buffer) and QUOTE not in (match[0], self._buffer[end : end + 1])
            if whole or len(self._buffer) - self._at > EXCERPT_BYTES or not self._more():
                break
        original, self._at = match[0], end
        line = self._line
        self._line += original.count(b"\n")
        if len(original) > EXCERPT_BYTES:
            return refused(original, line, Why.NOT_JSON, "there is text where a record must be")
        return Row(original, original, line, original.count(b"\n") + 1)
