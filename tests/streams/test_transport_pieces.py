"""A fetched chunk is handed on in pieces that keep the loop turning."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from streams.transport import MAX_CHUNK_BYTES, MAX_CHUNK_RECORDS, pieces


@pytest.mark.parametrize(("records", "size"), [(1, 10), (9_000, 220), (500, 60_000), (3, 5_000_000), (100, 0)])
def test_pieces_are_the_chunk_in_order_and_small(records: int, size: int) -> None:
    chunk = [SimpleNamespace(offset=n, value=b"x" * size or None) for n in range(records)]
    cut = list(pieces(chunk))
    assert [record for piece in cut for record in piece] == chunk
    assert all(len(piece) <= MAX_CHUNK_RECORDS for piece in cut)
    assert all(len(piece) == 1 or len(piece) * size <= MAX_CHUNK_BYTES for piece in cut)
