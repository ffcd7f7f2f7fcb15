"""Persisted: how many of a target's new followers had not viewed its owner, in the current hour and day."""

from __future__ import annotations

import msgspec

from detectors.windows.scales import DAY, DAY_MS, HOUR, HOUR_MS, start_of

SPANS = ((HOUR, HOUR_MS), (DAY, DAY_MS))


class Followers(msgspec.Struct, array_like=True, gc=False):
    """Sums of ``controls.Followed``, by scale."""

    sums: dict[str, tuple[int, int, int]] = {}
    """scale → start of the window, followers, those who had not viewed"""

    def add(self, start_ms: int, followers: int, unviewed: int, offset_ms: int) -> None:
        """Add a span that begins at ``start_ms``. What comes after the next window has begun is left out of the last.

        ``offset_ms`` is that of the target's windows, see ``Scale``.

        >>> some = Followers(); some.add(0, 10, 4, 0); some.add(HOUR_MS, 6, 6, 0); some.add(300_000, 1, 1, 0)
        >>> some.of(HOUR, HOUR_MS), some.of(DAY, 0), some.of(HOUR, 0)
        ((6, 6), (17, 11), (0, 0))
        """
        for scale, span in SPANS:
            begin, before, before_unviewed = self.sums.get(scale, (-1, 0, 0))
            at = start_of(start_ms, span, offset_ms)
            if at > begin:
                self.sums[scale] = at, followers, unviewed
            elif at == begin:
                self.sums[scale] = at, before + followers, before_unviewed + unviewed

    def of(self, scale: str, start_ms: int) -> tuple[int, int]:
        """Followers of a window, and those of them who had not viewed."""
        begin, followers, unviewed = self.sums.get(scale, (-1, 0, 0))
        return (followers, unviewed) if begin == start_ms else (0, 0)
