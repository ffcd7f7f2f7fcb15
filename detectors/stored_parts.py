"""The stored parts of an audit (``state.parts``): one adapter for each kind of record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from detectors.actors.conduct import ConductRulings
from detectors.actors.replays import ReplayRulings
from detectors.actors.rulings import Rulings
from detectors.campaigns.pairs import ActorPairs
from detectors.events.key import Key
from detectors.intake.intake import Intake
from detectors.platform.platform import Platform
from detectors.state.parts import (
    CONDUCT,
    DAYS,
    LOCKSTEP,
    PLATFORM,
    RELATIONS,
    REPLAYS,
    RULINGS,
    TARGET_STATES,
    Part,
)
from detectors.state.relation_pages import RelationPages
from detectors.state.target_state import TargetState
from detectors.state.target_states import TargetStates


def stored_parts(
    target_states: TargetStates, platforms: list[Platform], lockstep: ActorPairs, rulings: Rulings, intake: Intake
) -> tuple[Part, ...]:
    """The parts of an audit, in the order of a checkpoint."""
    return (
        TargetStatePart(target_states),
        RelationsPart(target_states.pages),
        PlatformPart(platforms),
        LockstepPart(lockstep),
        RulingsPart(rulings),
        ConductPart(rulings.conduct),
        ReplaysPart(rulings.replays),
        DaysPart(intake),
    )


class TargetStatePart:
    """One record for each target and metric, in the order of the keys."""

    kind = TARGET_STATES

    def __init__(self, target_states: TargetStates) -> None:
        self._target_states = target_states

    def take_changed(self) -> Iterator[tuple[str, TargetState]]:
        """See Part. ``KeyedState`` writes the states that do not fit into memory."""
        target_states = self._target_states
        for key in sorted(target_states.take_changed()):
            yield key, target_states[key]

    def load(self, suffix: str, state: TargetState) -> None:
        """See Part."""
        self._target_states[Key(suffix)] = state


class RelationsPart:
    """One record for each page of relations, in the order of their names."""

    kind = RELATIONS

    def __init__(self, pages: RelationPages) -> None:
        self._pages = pages

    def take_changed(self) -> Iterable[tuple[str, bytes]]:
        """See Part. ``StoredPages`` writes the pages that do not fit into memory."""
        return self._pages.take_changed()

    def load(self, suffix: str, state: bytes) -> None:
        """See Part."""
        self._pages.load(suffix, state)


class PlatformPart:
    """One record for each metric: mixes, known actors, seasons and detectors of its platform."""

    kind = PLATFORM

    def __init__(self, platforms: list[Platform]) -> None:
        self._platforms = platforms

    def take_changed(self) -> Iterator[tuple[str, Any]]:
        """See Part."""
        for metric, platform in enumerate(self._platforms):
            if platform.take_changed():
                yield str(metric), platform.dump()

    def load(self, suffix: str, state: Any) -> None:
        """See Part."""
        self._platforms[int(suffix)].load(state)


class LockstepPart:
    """A head record, and the changed pages of the table of actor pairs."""

    kind = LOCKSTEP

    def __init__(self, lockstep: ActorPairs) -> None:
        self._lockstep = lockstep

    def take_changed(self) -> list[tuple[str, Any]]:
        """See Part."""
        return self._lockstep.take_changed()

    def load(self, suffix: str, state: Any) -> None:
        """See Part."""
        self._lockstep.load(suffix, state)


class RulingsPart:
    """One record with all rulings."""

    kind = RULINGS

    def __init__(self, rulings: Rulings) -> None:
        self._rulings = rulings

    def take_changed(self) -> Iterator[tuple[str, Any]]:
        """See Part."""
        if self._rulings.take_changed():
            yield "", self._rulings.dump()

    def load(self, suffix: str, state: Any) -> None:
        """See Part."""
        self._rulings.load(state)


class ConductPart:
    """One record with all rulings of the role ``actors``."""

    kind = CONDUCT

    def __init__(self, conduct: ConductRulings) -> None:
        self._conduct = conduct

    def take_changed(self) -> Iterator[tuple[str, Any]]:
        """See Part."""
        if self._conduct.take_changed():
            yield "", self._conduct.dump()

    def load(self, suffix: str, state: Any) -> None:
        """See Part."""
        self._conduct.load(state)


class ReplaysPart:
    """One record with all accounts that replay a target by a program."""

    kind = REPLAYS

    def __init__(self, replays: ReplayRulings) -> None:
        self._replays = replays

    def take_changed(self) -> Iterator[tuple[str, Any]]:
        """See Part."""
        if self._replays.take_changed():
            yield "", self._replays.dump()

    def load(self, suffix: str, state: Any) -> None:
        """See Part."""
        self._replays.load(state)


class DaysPart:
    """One record for each metric that has a limit of acts per day."""

    kind = DAYS

    def __init__(self, intake: Intake) -> None:
        self._days = dict(intake.days())

    def take_changed(self) -> Iterator[tuple[str, Any]]:
        """See Part."""
        for metric, days in self._days.items():
            counted = days.take_changed()
            if counted is not None:
                yield str(metric), counted

    def load(self, suffix: str, state: Any) -> None:
        """See Part."""
        days = self._days.get(int(suffix))
        if days is not None:  # otherwise the rule is off now
            days.load(state)
