"""One row of a recorded file: the document for the codec, its bytes in the file, and its line."""

from __future__ import annotations

import msgspec

from streams.deadletters import MAX_CUT_BYTES, Why

MAX_ROW_BYTES = 16 * 1024 * 1024
"""A longer row is refused: a quotation mark or bracket that is never closed must not fill the memory."""

EXCERPT_BYTES = MAX_CUT_BYTES
"""Largest excerpt of a refused row: a dead letter must fit into a record of Kafka (1 MB by default)."""


class Row(msgspec.Struct, array_like=True, gc=False):
    """A row as a record of an input.

    ``value`` is a JSON document, or None if the row cannot be one; then ``reason`` and ``message`` explain why. Bytes
    that are not UTF-8 are unchanged in the document: the codec decides field by field.
    ``original`` is the row in the file without its last line end, cut to EXCERPT_BYTES if the row is too large.
    ``line`` is the number of its first line, from 1 and with the header; in Parquet, the number of the row.
    """

    value: bytes | None
    original: bytes
    line: int
    lines: int = 1
    """number of lines of the file that it covers"""
    reason: Why | None = None
    message: str = ""


def refused(original: bytes, line: int, reason: Why, message: str, *, lines: int = 1, size_bytes: int = 0) -> Row:
    """A row that is not a document. ``size_bytes`` is its size if ``original`` is already cut."""
    size = max(size_bytes, len(original))
    if size > EXCERPT_BYTES:
        message = f"{message}; the dead letter has the first {EXCERPT_BYTES:,} of {size:,} bytes"
    return Row(None, original[:EXCERPT_BYTES], line, lines, reason, message)
