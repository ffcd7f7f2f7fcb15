"""A function of the operator's own makes events of a record, and stops nothing when it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streams.deadletters import Why
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import MAX_EVENTS, Decoded, Records
from streams.ingest.mapping.transform import Record
from streams.settings.inputs import Input

TS = 1_714_564_800_000
answer: Callable[[Record], Any]


def transform(record: Record) -> Any:
    """Named by the configurations below."""
    return answer(record)


def _decode(function: Callable[[Record], Any], *values: bytes | None) -> Decoded:
    global answer  # noqa: PLW0603  # a configuration can name only what stands in a module
    answer = function
    config = Input.model_validate({"topic": "t", "metric": "view", "transform": f"{__name__}:transform"})
    records = Records.values(list(values), 0)
    records.key = [b"k"] * len(values)
    records.headers = [[("h", b"1")]] * len(values)
    records.timestamp_ms = [TS] * len(values)
    return EventDecoder(config).decode(records, np.full(len(values), 1 << 60))


def _event(record: Record) -> dict[str, Any]:
    actor, target = (record.value or b"").decode().split()
    return {"ts": record.timestamp_ms, "actor": actor, "target": target, "watch_ms": -1}


def test_it_is_given_the_whole_record_and_its_events_are_checked_as_native_ones() -> None:
    decoded = _decode(_event, b"a1 v1", b"a2 v2")
    assert decoded.good is not None
    assert decoded.good.fields["actor"] == ["a1", "a2"]
    assert decoded.unread == {("watch_ms", "bad_value"): 2}
    seen: list[Record] = []
    _decode(seen.append, None)
    assert seen == [Record(None, b"k", [("h", b"1")], TS)]


def test_what_it_raises_is_a_dead_letter_and_its_neighbours_survive() -> None:
    decoded = _decode(_event, b"a1 v1", b"broken", b"a2 v2")
    assert decoded.good is not None
    assert decoded.good.index.tolist() == [0, 2]
    assert [(r.index, r.reason) for r in decoded.refused] == [(1, Why.TRANSFORM_FAILED)]
    assert "raised ValueError" in decoded.refused[0].message


@pytest.mark.parametrize("wrong", [7, "text", [7], [{"ts": 1}, "x"]])
def test_an_answer_that_is_no_event_is_a_dead_letter(wrong: Any) -> None:
    decoded = _decode(lambda _: wrong, b"x")
    assert decoded.good is None
    assert [r.reason for r in decoded.refused] == [Why.TRANSFORM_FAILED]


def test_it_may_answer_several_events_or_none() -> None:
    one = {"ts": TS, "actor": "a", "target": "v"}
    answers = {b"2": [one, one | {"target": "w"}], b"0": None, b"e": []}
    decoded = _decode(lambda record: answers[record.value or b""], b"2", b"0", b"e")
    assert decoded.good is not None
    assert decoded.good.index.tolist() == [0, 0]
    assert decoded.skipped == {"filtered": 2}


def test_events_without_end_are_refused() -> None:
    one = {"ts": TS, "actor": "a", "target": "v"}
    decoded = _decode(lambda _: [one] * (MAX_EVENTS + 1), b"x")
    assert [r.reason for r in decoded.refused] == [Why.TOO_MANY_EVENTS]
