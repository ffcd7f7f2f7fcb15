"""Restores what the judging of a window has changed, if it fails.

A window is judged completely or not at all: after an exception no event may be moved without its correction, and no
case may lack its flag. Learning is not covered: it comes last, and its failures are contained by themselves.
"""

from __future__ import annotations

import msgspec

from detectors.platform.false_discoveries import Discoveries
from detectors.records import Outcome
from detectors.state.case import Case, Explained, Step
from detectors.state.days import Slow
from detectors.state.relations import Covered
from detectors.state.removals import RuleBurst
from detectors.state.settlement import Settlement
from detectors.state.target_state import TargetState
from detectors.windows.crowd import Crowd

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(
    tuple[
        list[Step],
        list[int],
        Slow | None,
        Case | None,
        Explained | None,
        RuleBurst | None,
        list[Settlement],
        list[Covered],
    ],
    strict=False,
).decode


class Savepoint:
    """A copy of one key's state and of the outcome. It takes some 2 µs; a judging takes hundreds."""

    __slots__ = ("_bound", "_emitted", "_incident", "_ledger", "_outcome", "_reward", "_state", "_surge", "_windows")

    def __init__(
        self, state: TargetState, outcome: Outcome, crowd: Crowd | None = None, bound: Discoveries | None = None
    ) -> None:
        """``crowd`` is the window that is judged, if it is not one of the open ones."""
        ledger = state.ledger
        self._state, self._outcome, self._bound = state, outcome, bound
        self._ledger = ledger.valid, ledger.quarantined, dict(ledger.invalid)
        covered = [] if state.relations is None else state.relations.covered
        incident = (
            *(state.trail, state.case_onsets, state.slow, state.case, state.explained, state.rule_burst),
            *(state.settlements, covered),
        )
        self._incident = _encode(incident) if any(incident) else None
        self._surge = state.cusum, state.cusum_at, state.judged_lately, state.judged_lately_at, state.surging
        windows = [*state.open.values()] if crowd is None else [*state.open.values(), crowd]
        self._windows = [(w, w.quarantined, w.cased, w.expected_cased) for w in windows]
        self._emitted = (
            *(len(outcome.flags), len(outcome.corrections), len(outcome.requests)),
            *(dict(outcome.judged), dict(outcome.witnesses), list(outcome.withheld)),
        )
        self._reward = 0.0 if bound is None else bound.reward

    def restore(self) -> None:
        """Restore the copied state and outcome."""
        state, outcome, ledger = self._state, self._outcome, self._state.ledger
        ledger.valid, ledger.quarantined, ledger.invalid = self._ledger
        incident = ([], [], None, None, None, None, [], []) if self._incident is None else _decode(self._incident)
        state.trail, state.case_onsets, state.slow, state.case = incident[:4]
        state.explained, state.rule_burst, state.settlements, covered = incident[4:]
        if state.relations is not None:
            state.relations.covered = covered
        state.cusum, state.cusum_at, state.judged_lately, state.judged_lately_at, state.surging = self._surge
        for window, quarantined, cased, expected_cased in self._windows:
            window.quarantined, window.cased, window.expected_cased = quarantined, cased, expected_cased
        flags, corrections, requests, outcome.judged, outcome.witnesses, outcome.withheld = self._emitted
        del outcome.flags[flags:], outcome.corrections[corrections:], outcome.requests[requests:]
        if self._bound is not None:
            self._bound.reward = self._reward
