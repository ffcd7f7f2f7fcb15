"""Maps names to buckets, for the compared frameworks that process single events. Does not import ``streams``."""

from __future__ import annotations

import xxhash

_known: dict[tuple[str, int], int] = {}


def bucket(name: str | None, size: int) -> int:
    """One of ``size`` buckets, -1 for None. Results are cached, since there are few names."""
    if name is None:
        return -1
    found = _known.get((name, size))
    if found is None:
        found = _known[name, size] = xxhash.xxh3_64_intdigest(name.encode()) % size
    return found
