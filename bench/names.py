"""Names as buckets, for the peers that take one event at a time. It needs nothing of ``streams``."""

from __future__ import annotations

import xxhash

_known: dict[tuple[str, int], int] = {}


def bucket(name: str | None, size: int) -> int:
    """One of ``size`` buckets, -1 for None; names are remembered, as there are few."""
    if name is None:
        return -1
    found = _known.get((name, size))
    if found is None:
        found = _known[name, size] = xxhash.xxh3_64_intdigest(name.encode()) % size
    return found
