"""One row of a recorded file: the document for the codec, its bytes in the file, and its line."""

from __future__ import annotations

import msgspec

from streams.deadletters import MAX_CUT_BYTES, Why

MAX_ROW_BYTES = 16 * 1024 * 1024
"""A longer row is refused: a quotation mark or a bracket that is never closed must not fill the memory."""

KEPT_BYTES = MAX_CUT_BYTES
"""What a refused row keeps of itself at most: a dead letter must fit into a record of Kafka (1 MB by default)."""


class Row(msgspec.Struct, array_like=True, gc=False):
    """A row as a record of an input.

    ``value`` is a JSON document, or None if the row cannot be one; then ``reason`` and ``message`` say why. Bytes that
    are no UTF-8 stand in the document as they stand in the file: the codec decides by field.
    ``original`` is the row in the file without its last line end, cut to KEPT_BYTES where the row is too large.
    ``line`` is the number of its first line, from 1, header included; of Parquet the number of the row.
    """

    value: bytes | None
    original: bytes
    line: int
    lines: int = 1
    """how many lines of the file it takes"""
    reason: Why | None = None
    message: str = ""


def refused(original: bytes, line: int, reason: Why, message: str, *, lines: int = 1, size_bytes: int = 0) -> Row:
    """A row that is no document. ``size_bytes`` is its size where ``original`` is already cut."""
    size = max(size_bytes, len(original))
    if size > KEPT_BYTES:
        message = f"{message}; the first {KEPT_BYTES:,} of {size:,} bytes are kept"
    return Row(None, original[:KEPT_BYTES], line, lines, reason, message)
