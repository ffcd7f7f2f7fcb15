"""Positions of the log that were counted, but not judged; read from the stored state."""

from __future__ import annotations

from streams.kafka.reader import Reader
from streams.kafka.topics import Topics
from streams.settings.settings import Settings
from streams.state.sealed import META_KEY, meta_of


def unjudged_of(settings: Settings) -> dict[int, list[tuple[int, int]]]:
    """Positions of the log that this installation counted without judging them, as ranges, by partition.

    Raises BrokerError, or StateError for state of a newer version.
    """
    reader = Reader(settings, Topics.of(settings).targets_state)
    try:
        newest = reader.newest(META_KEY)
    finally:
        reader.close()
    return {
        partition: ranges
        for partition, record in sorted(newest.items())
        if record.value is not None and (ranges := meta_of(record.value).unjudged)
    }
