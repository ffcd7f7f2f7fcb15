"""Splits a recorded file into lines, and reads NDJSON: one document a line."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

from streams.deadletters import Why
from streams.offline.recorded.row import EXCERPT_BYTES, MAX_ROW_BYTES, Row, refused

LF, CR = b"\n", b"\r"


def line_end(head: bytes) -> bytes:
    """The line end of a file: LF (for CRLF, too), or a lone CR in files of old programs.

    A text may contain a lone CR, so CR must come first and be more frequent. ``head`` must not contain quoted text.

    >>> line_end(b"a,b\\r1,2\\r"), line_end(b"a,b\\r\\n1,2\\r\\n"), line_end(b"a,b")
    (b'\\r', b'\\n', b'\\n')
    """
    first_cr, first_lf = head.find(CR), head.find(LF)
    if first_cr < 0 or (0 <= first_lf <= first_cr + 1):
        return LF
    pairs = head.count(b"\r\n")
    return CR if head.count(CR) - pairs > head.count(LF) - pairs else LF


def blocks(chunks: Iterable[bytes], end: bytes) -> Iterator[tuple[bytes, int]]:
    """(whole lines without the last end, 0), or (the beginning of a line over MAX_ROW_BYTES, its size in bytes).

    The beginning has at most EXCERPT_BYTES.
    """
    carry = b""
    size = 0
    for chunk in chunks:
        if size:
            cut = chunk.find(end)
            size += len(chunk) if cut < 0 else cut
            if cut < 0:
                continue
            yield carry, size
            carry, size, chunk = b"", 0, chunk[cut + 1 :]  # noqa: PLW2901  # the rest of it
        cut = chunk.rfind(end)
        if cut < 0:
            carry += chunk
        else:
            yield carry + chunk[:cut], 0
            carry = chunk[cut + 1 :]
        if len(carry) > MAX_ROW_BYTES:
            carry, size = carry[:EXCERPT_BYTES], len(carry)
    if carry:
        yield carry, size


def ndjson_rows(chunks: Iterable[bytes], end: bytes) -> Generator[Row, None, None]:
    """Rows of NDJSON: the unchanged lines without blank ones."""
    number = 0
    for block, size in blocks(chunks, end):
        if size:
            number += 1
            message = f"the line has {size:,} bytes; {MAX_ROW_BYTES:,} are allowed"
            yield refused(block, number, Why.TOO_LARGE, message, size_bytes=size)
            continue
        lines = block.split(end)
        if end == LF and b"\r" in block:
            lines = [line.removesuffix(b"\r") for line in lines]
        for number, line in enumerate(lines, number + 1):  # noqa: B020  # continues the count
            if line and not line.isspace():
                yield Row(line, line, number)
