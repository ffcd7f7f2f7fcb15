"""Exceptions in detection: which are contained, and their texts."""

from __future__ import annotations

from detectors.windows.scales import DAY, HOUR, MINUTES, TICK

ACCOUNT_PARTS = ("acts", "followers", "settlement", "rulings", "learning")
"""Where an exception can be contained in the role ``actors``. In this order: events or control records do not enter the
accounts; new followers are not counted or not reported; a question is answered as unknown; an account gets no ruling,
or a ruling is not published; nothing is learned of what is usual."""

PARTS: tuple[str, ...] = (
    *(TICK, "early", MINUTES, HOUR, DAY),
    *("case", "learning", "shadow", "rules", "lockstep", "platform", "step", "output"),
    *("acts", "followers", "settlement", "rulings"),
)
"""Where an exception can be contained; the label of a metric. In this order: judging a window of a scale, or an open
one; the end of a case; learning from a window; a detector in shadow; rules that compare a tick's events, and rule
bursts; learning of bands; learning of the platform; a whole record of the log; encoding a flag or correction; and those
of ACCOUNT_PARTS."""

FRAMES_MAX = 12
"""Innermost frames of a traceback that its text contains."""
MESSAGE_CHARS = 500


class MachineError(Exception):
    """The disk or the state on it cannot be used. The computation is not at fault, so this is never contained."""


UNCONTAINED: tuple[type[Exception], ...] = (MachineError, OSError, MemoryError)
"""Failures of the machine. The task restarts after one, because the same log may succeed then."""


def text_of(error: BaseException) -> str:
    """Text of an exception: its frames, the innermost last, and its message.

    The text of its cause comes first. There are no source lines, because they would have to be read from files.
    """
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} in {code.co_qualname}")
        trace = trace.tb_next
    try:
        message = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # a foreign exception whose __str__ fails
        message = type(error).__name__
    before = [] if error.__cause__ is None else [text_of(error.__cause__)]
    return "\n".join([*before, *places[-FRAMES_MAX:], message[:MESSAGE_CHARS]])
