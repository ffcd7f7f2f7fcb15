"""Exceptions in detection: which of them are contained, and what is kept of one."""

from __future__ import annotations

from detectors.windows.scales import DAY, HOUR, MINUTES, TICK

PARTS: tuple[str, ...] = (
    *(TICK, "early", MINUTES, HOUR, DAY),
    *("case", "learning", "shadow", "rules", "lockstep", "platform", "step", "output"),
)
"""Where an exception can be contained: a look at a window of a scale, or before its end; the end of a case; what a
window teaches; a detector without a vote; rules that compare a tick's events; what all windows that closed teach
together; a whole record of the log; a flag or correction that cannot be encoded. A metric has it as a label."""

FRAMES_MAX = 12
"""Innermost frames of a traceback that are kept."""
MESSAGE_CHARS = 500


class MachineError(Exception):
    """The disk, or state that stands there, cannot be used: no fault of what was computed, so it is not contained."""


UNCONTAINED: tuple[type[Exception], ...] = (MachineError, OSError, MemoryError)
"""Failures of the machine, after which a task starts again: the same log may well be audited then."""


def text_of(error: BaseException) -> str:
    """An exception with the places that it came through, the innermost last.

    What it was raised from comes before it. Without lines of source, which would have to be read from files.
    """
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} in {code.co_qualname}")
        trace = trace.tb_next
    try:
        message = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # an exception of somebody else's whose text cannot be made
        message = type(error).__name__
    before = [] if error.__cause__ is None else [text_of(error.__cause__)]
    return "\n".join([*before, *places[-FRAMES_MAX:], message[:MESSAGE_CHARS]])
