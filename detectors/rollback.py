"""What a look at a window may change before it has succeeded, kept so that it can be put back.

A window is judged wholly or not at all: an exception half way must leave no event moved without its correction, and no
case without its flag. What a look teaches is not here; it comes last, and fails by itself.
"""

from __future__ import annotations

import msgspec

from detectors.platform.false_discoveries import Discoveries
from detectors.records import Outcome
from detectors.state.case import Case, Explained, Step
from detectors.state.days import Slow
from detectors.state.target_state import TargetState
from detectors.windows.crowd import Crowd

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(
    tuple[list[Step], Slow | None, Case | None, Explained | None],
    strict=False,
).decode


class Savepoint:
    """One key's state, and what has been said, as they stood. Some two microseconds; a look takes hundreds."""

    __slots__ = ("_bound", "_incident", "_ledger", "_outcome", "_reward", "_said", "_surge", "_watched", "_windows")

    def __init__(
        self, watched: TargetState, outcome: Outcome, crowd: Crowd | None = None, bound: Discoveries | None = None
    ) -> None:
        """``crowd`` is the window that is looked at, if it is none of the open ones."""
        ledger = watched.ledger
        self._watched, self._outcome, self._bound = watched, outcome, bound
        self._ledger = ledger.valid, ledger.quarantined, dict(ledger.invalid)
        unusual = watched.trail or watched.slow or watched.case or watched.explained
        self._incident = _encode((watched.trail, watched.slow, watched.case, watched.explained)) if unusual else None
        self._surge = watched.cusum, watched.cusum_at, watched.asked, watched.asked_at, watched.surging
        windows = [*watched.open.values()] if crowd is None else [*watched.open.values(), crowd]
        self._windows = [(w, w.looked, w.quarantined, w.cased, w.told) for w in windows]
        self._said = (
            *(len(outcome.flags), len(outcome.corrections)),
            *(dict(outcome.judged), dict(outcome.witnesses), list(outcome.withheld)),
        )
        self._reward = 0.0 if bound is None else bound.reward

    def restore(self) -> None:
        """Let everything be as it was."""
        watched, outcome, ledger = self._watched, self._outcome, self._watched.ledger
        ledger.valid, ledger.quarantined, ledger.invalid = self._ledger
        watched.trail, watched.slow, watched.case, watched.explained = (
            ([], None, None, None) if self._incident is None else _decode(self._incident)
        )
        watched.cusum, watched.cusum_at, watched.asked, watched.asked_at, watched.surging = self._surge
        for window, looked, quarantined, cased, told in self._windows:
            window.looked, window.quarantined, window.cased, window.told = looked, quarantined, cased, told
        flags, corrections, outcome.judged, outcome.witnesses, outcome.withheld = self._said
        del outcome.flags[flags:], outcome.corrections[corrections:]
        if self._bound is not None:
            self._bound.reward = self._reward
