"""The outputs of a checkpoint that is larger than what is in memory of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from streams.deadletters import Headers
from streams.engine.outlet import Output


class CheckpointOutputs:
    """Outputs, then changelog records, to be read once or twice. Some records are read from the disk each time."""

    def __init__(
        self,
        outputs: list[Output],
        on_disk: Callable[[], Iterable[tuple[bytes, bytes]]],
        records: list[tuple[bytes, bytes | None]],
        *,
        place: tuple[str, int],
        headers: Headers | None,
    ) -> None:
        """``place`` is the topic and partition of the changelog. ``records`` follow those ``on_disk``."""
        self._outputs = outputs
        self._on_disk = on_disk
        self._records = records
        self._place = place
        self._headers = headers

    def __iter__(self) -> Iterator[Output]:
        yield from self._outputs
        for key, value in chain(self._on_disk(), self._records):
            yield Output(*self._place, key, value, self._headers)
