"""The memory that the state of a key takes as objects, estimated from what it has.

The size of its record would be a bad measure: a packed row takes as much in memory as in the record, a dict of few
numbers ten times as much.
"""

from __future__ import annotations

from collections.abc import Sequence

from detectors.state.target_state import TargetState

KEY_BYTES = 1_500
"""A key without a window: its text, a struct, their places in dicts and sets. All sizes here were measured on CPython
3.11, as a linear fit over eight thousand targets, and with what the allocator adds."""
WINDOW_BYTES, BUCKET_BYTES = 600, 80
"""An open window, and a bucket of its watch times. Packed rows and the packed sample take their length, which is 10 kB
for a popular target."""
LEVEL_BYTES, HABIT_BYTES = 300, 250
CASE_BYTES = 8_000
"""A case that is open or waits for its settlement."""


def mean_bytes(states: Sequence[TargetState]) -> float:
    """Mean of ``object_bytes`` over one state or more."""
    return sum(map(object_bytes, states)) / len(states)


def object_bytes(state: TargetState) -> int:
    """Estimated bytes of a key's state in memory. Takes a microsecond."""
    size = KEY_BYTES + LEVEL_BYTES * len(state.levels)
    for window in state.open.values():
        size += WINDOW_BYTES + len(window.rows) + len(window.sample) + BUCKET_BYTES * len(window.watch)
    for habits in state.habits.values():
        size += HABIT_BYTES * len(habits)
    return size + CASE_BYTES * ((state.case is not None) + len(state.settlements))
