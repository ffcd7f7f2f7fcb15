"""Persisted: the traits that convicted a crowd."""

from __future__ import annotations

import msgspec

MARKS_MAX = 256
"""Most buckets of one kind in a case: a crowd's sample has no more people."""


class Marks(msgspec.Struct, array_like=True):
    """Traits of a convicted crowd: buckets of networks, of cohorts and of watch times, and reason codes."""

    networks: list[int] = []
    cohorts: list[int] = []
    watches: list[int] = []
    codes: list[str] = []

    def joined(self, other: Marks) -> Marks:
        """The union of both, at most MARKS_MAX of a kind."""
        return Marks(
            _first(self.networks, other.networks),
            _first(self.cohorts, other.cohorts),
            _first(self.watches, other.watches),
            sorted({*self.codes, *other.codes}),
        )


def _first(some: list[int], others: list[int]) -> list[int]:
    return sorted({*some, *others})[:MARKS_MAX]
