"""Rulings as Kafka records."""

from __future__ import annotations

import msgspec

from detectors.accounts.outcome import RulingRecord

ruling_value = msgspec.json.Encoder().encode
"""JSON value of the topic actors, from a ``RulingRecord``."""


def ruling_key(ruling: RulingRecord) -> bytes:
    """Key of the topic actors: compaction leaves the newest ruling of each actor."""
    return ruling.actor.encode()
