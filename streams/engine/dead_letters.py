"""Dead letters as outputs of a checkpoint."""

from __future__ import annotations

from streams.deadletters import DeadLetter, Headers
from streams.engine.outlet import Output


def letter_output(topic: str, place: int, letter: DeadLetter, original: Headers) -> Output:
    """The output that writes a dead letter to a partition of a topic."""
    return Output(topic, place, *letter.record(original))
