"""Takes the control records of the role ``actors`` at their positions in the log."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.actors.rulings import Rulings
from detectors.cases.settlements import Settlements
from detectors.controls import Answered, Followed, Replayed, Ruled, ToTargets
from detectors.events.event import METRIC_INDEX
from detectors.events.key import NO_KEY, VIEW, Key, key_of
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.rollback import Savepoint
from detectors.scoring.sentences import TEXTS
from detectors.state.followers import Followers
from detectors.state.target_states import TargetStates
from detectors.windows.scales import Scale

FOLLOW = METRIC_INDEX["follow"]
REPEATED = TEXTS[f.REPEATS][0]
"""Reason code of repeats."""


@dataclass(frozen=True, slots=True)
class ControlEntry:
    """See the module. All fields belong to one audit."""

    target_states: TargetStates
    settlements: Settlements
    rulings: Rulings
    platforms: list[Platform]
    scales: tuple[Scale, ...]

    def take(self, record: ToTargets, now_ms: int, outcome: Outcome) -> None:
        """Take a record. If that fails, the record has no effect."""
        try:
            if isinstance(record, Ruled):
                self.rulings.conduct.note(record)
            elif isinstance(record, Replayed):
                self._replayed(record)
            elif isinstance(record, Followed):
                self._followed(record)
            else:
                self._answered(record, outcome)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # a record that cannot be taken costs evidence, and no count
            key = Key(record.key) if isinstance(record, Answered) else NO_KEY
            outcome.fail("case", key, max(0, now_ms), 0, error)

    def _answered(self, record: Answered, outcome: Outcome) -> None:
        key = Key(record.key)
        state = self.target_states.peek(key)
        if state is None or not state.settlements:
            return
        state = self.target_states.change(key)
        savepoint = Savepoint(state, outcome)
        try:
            self.settlements.answer(record, state, outcome)
        except Exception:
            savepoint.restore()
            raise

    def _replayed(self, record: Replayed) -> None:
        """Note accounts whose views of the target are invalid from now on.

        A case of the target that was opened by repeats is continued by credible evidence only: those who repeated are
        in no window any more, and some of the people who remain always come twice.
        """
        self.rulings.replays.note(record)
        key = key_of(VIEW, record.target)
        known = self.target_states.peek(key)
        if known is None or known.case is None or REPEATED not in known.case.marks.codes:
            return
        case = self.target_states.change(key).case
        if case is not None:
            case.marks.codes.remove(REPEATED)

    def _followed(self, record: Followed) -> None:
        """Add new followers to the target's, and teach the platform how many of its followers had not viewed."""
        key = key_of(FOLLOW, record.target)
        if (
            record.followers <= 0
            or not 0 <= record.unviewed <= record.followers
            or self.target_states.peek(key) is None
        ):
            return
        state = self.target_states.change(key)
        if state.followers is None:
            state.followers = Followers()
        state.followers.add(record.start, record.followers, record.unviewed, self.scales[0].offset_ms)
        if state.case is None and not state.settlements:
            self.platforms[FOLLOW].learn_share(f.UNVIEWED, record.unviewed, record.followers)
            self.platforms[FOLLOW].changed = True
