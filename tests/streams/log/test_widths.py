"""A column of a frame may have any width: what is counted and judged is the same."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.audit import AuditSettings
from detectors.events.block import FEW_EVENTS
from detectors.events.key import Key
from detectors.records import Outcome
from streams.log.frames import FRAME_VERSION, GIVEN, MARKS, NEEDED, Frame, encode
from streams.log.versions import FrameOfTexts, decode
from streams.offline.pipeline import Offline
from streams.settings.rules import Rules
from streams.settings.settings import Settings
from streams.targets.step import PartitionAudit
from streams.targets.tags import rule_settings
from tests.states import states_of

WIDTHS = {1: "<i1", 2: "<i2", 4: "<i4", 8: "<i8"}
LIMITS = sorted({edge for bits in (7, 15, 31, 53) for edge in ((1 << bits) - 2, (1 << bits) - 1, 1 << bits)})
SMALL = {
    "metric": [0, 1, 2],
    "undo": [0, 1],
    "history": [0, 1],
    "rule": [0, 1, 2, 3, 4],
    "ts": [0, 1, 126, 127, 128, 32767, 32768, 70_000],
}
"""Columns whose values mean something: others may be any number."""
COLUMNS = [name for name in (*NEEDED, *GIVEN, *MARKS) if name != "offset"]
ROSTER = {"views": 1}
END_MS = 200_000


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[int]]:
    """Columns of as many events, each up to a limit of its own; a column may be missing."""
    size = draw(st.integers(1, FEW_EVENTS + 6))
    table = {}
    for name in COLUMNS:
        if name not in NEEDED and draw(st.booleans()):
            continue
        most = draw(st.sampled_from(LIMITS))
        values = SMALL.get(name) or [*([] if name == "actor" else [-1]), 0, 1, *(v for v in LIMITS if v <= most)]
        table[name] = draw(st.lists(st.sampled_from(values), min_size=size, max_size=size))
    return table


def _frame(table: dict[str, list[int]], begin: int, end: int, *, widest: bool = False) -> bytes:
    frame = Frame(FRAME_VERSION, "views/0", begin, end, -1, False, ROSTER, ts_from=0)
    frame.target = [f"t{place % 3}" for place in range(begin, end)]
    frame.owner = [None if place % 2 else "owner" for place in range(begin, end)]
    frame.offset = np.arange(end - begin, dtype="<i8" if widest else "<i1").tobytes()
    for name, column in table.items():
        part = np.array(column[begin:end], np.int64)
        narrowest = next(width for width in WIDTHS if part.max() < 1 << (8 * width - 1))
        setattr(frame, name, part.astype(WIDTHS[8 if widest else narrowest]).tobytes())
    return encode(frame)


def _audited(frames: list[bytes], events: int) -> tuple[Outcome, dict[Key, Any]]:
    audit, outcome = PartitionAudit(AuditSettings(rules=rule_settings(Rules()))), Outcome()
    time = Frame(FRAME_VERSION, "views/0", events, events, END_MS, False, ROSTER)
    for offset, value in enumerate([*frames, encode(time)]):
        audit.apply(value, offset, outcome)
    for watched in states_of(audit.audit).values():
        for crowd in watched.open.values():
            crowd.settle()
            crowd.log_from = crowd.log_to = 0  # where in the log they stood is not the same
        if watched.removals is not None:
            watched.removals.log_from = 0
    assert audit.broken == 0
    return outcome, dict(states_of(audit.audit))


def _counted(watches: dict[Key, Any]) -> dict[Key, tuple[int, int, dict[str, int]]]:
    return {key: (w.ledger.valid, w.ledger.quarantined, w.ledger.invalid) for key, w in watches.items()}


@given(tables())
def test_the_width_of_a_column_changes_nothing(table: dict[str, list[int]]) -> None:
    size = len(table["metric"])
    whole = _audited([_frame(table, 0, size)], size)
    assert whole == _audited([_frame(table, 0, size, widest=True)], size)
    apart = _audited([_frame(table, place, place + 1) for place in range(size)], size)
    if any(table.get("history", ())):  # those of a frame are entered together, so only the counts must be the same
        assert _counted(whole[1]) == _counted(apart[1])
    else:
        assert whole == apart
    if not any(table.get("undo", ())):
        assert sum(watched.ledger.raw for watched in whole[1].values()) == size


@pytest.mark.parametrize("watch_ms", [15_000, 100, 32_767, 40_000])
def test_views_of_short_clips_are_counted(watch_ms: int) -> None:
    views = [
        orjson.dumps(
            {"ts": 1_790_000_000_000 + 5000 * n, "actor": f"u{n}", "target": "clip", "metric": "view", "id": f"e{n}",
             "watch_ms": watch_ms, "duration_ms": 15_000}
        )
        for n in range(12)
    ]  # fmt: skip
    lines: dict[str, list[Any]] = {}
    summary = Offline(Settings(), lambda name, line: lines.setdefault(name, []).append(orjson.loads(line))).run(views)
    assert (summary.raw, summary.valid, summary.dead_letters) == (12, 12, 0)
    assert lines["audited-counts"][-1]["valid"] == 12


@pytest.mark.parametrize("column", ["created", "watch_ms", "duration_ms"])
def test_a_frame_of_texts_with_a_number_beyond_eight_bytes_is_no_frame(column: str) -> None:
    frame = FrameOfTexts(1, "views/0", 0, 1, 5, False, ROSTER, [0], ["t"], [0], [5], ["a"])
    setattr(frame, column, [1 << 63])
    with pytest.raises(ValueError, match="not a frame"):
        decode(msgspec.msgpack.encode(frame))
