"""A dead letter as an output."""

from __future__ import annotations

from streams.deadletters import DeadLetter, Headers
from streams.engine.outlet import Output


def letter_output(topic: str, place: int, letter: DeadLetter, original: Headers) -> Output:
    """A dead letter as a record."""
    return Output(topic, place, *letter.record(original))
