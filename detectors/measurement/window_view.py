"""One window under judgement: what it contains, what surrounds it, and its features."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.actors.rulings import Rulings
from detectors.events.key import Key, is_view
from detectors.features import names as f
from detectors.features.names import Features
from detectors.platform.platform import RUNGS, Platform
from detectors.records import Outcome
from detectors.reference.mixes import Mix
from detectors.reference.rates import Rates
from detectors.state.target_state import TargetState
from detectors.thresholds import SURGE_LEAST
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTES_MS, TICK_SECONDS, Scale, start_of

HABIT_WINDOWS = 10
"""Number of first windows that are always measured for the target's habits, however many targets there are."""

FIRST_SEEN_MS = TICK_SECONDS * 1000
"""Assumed age of a surge when it is first judged: one tick of the default length, whatever length is configured."""

OFTEN = 2.0
"""Views per person from which on most views are not a person's last."""


@dataclass(slots=True)
class WindowView:
    """One window of one key, closed or open. ``ratio`` is its span divided by its level's window span."""

    key: Key
    target_state: TargetState
    scale: Scale
    start: int
    crowd: Crowd
    platform: Platform
    """model of the windows of the key's metric"""
    reference: Platform
    """model of the platform's people: that of views, once it has enough history"""
    outcome: Outcome
    ratio: float = 1.0
    early_at_ms: int = -1
    """event time of a judging before the window's end, -1 if the window is closed"""
    parts: int = 0
    """windows of the next shorter scale in it, 0 if evenness is not measured"""
    views_days: int = 0
    """closed days in the history of the target's views"""
    windows_since_first_view: int = 0
    """for likes and follows: windows of this scale since the target's first view, 0 if it was never viewed"""
    other_counts: tuple[int, int, int] | None = None
    """views, likes and follows of the target around the window, None if not computed"""
    viewer_events: float = 0.0
    """for likes and follows: events by people who viewed the target around the window"""
    longest_view_ms: int = 0
    """for closed likes and follows: longest view of the target's length class, 0 if not known"""
    all_views_emitted: bool = False
    """for closed likes: whether every view that started in that time has been emitted"""
    rates: Rates | None = None
    rulings: Rulings | None = None
    """recorded rulings on actors, None if they are not used"""
    sellers: set[int] = field(default_factory=set)
    """its sampled people that are a seller's accounts, if these are several and it is a closed hour or day"""
    x: Features = field(default_factory=dict)
    people: float = 0.0
    """different actors, 0.0 until they are counted"""
    surge: float = 0.0
    """-log10 p of its count, 0.0 until it is scored"""
    asked: tuple[str, ...] | None = None
    """the detectors that may have findings, None if that is not known"""
    shadowed: bool = True
    """whether detectors in shadow are asked too; of very many windows only a sample, and those with a verdict"""
    convicted: bool = False
    """whether its verdict gives each of its actors a ruling"""
    _mixes: dict[str, Mix] | None = None

    @property
    def end(self) -> int:
        """End of the window in epoch ms."""
        return self.start + self.scale.span_ms

    @property
    def early(self) -> bool:
        """Whether the window is still open."""
        return self.early_at_ms >= 0

    @property
    def span_ms(self) -> int:
        """Length of time that this judging covers, in ms: one part of an open window, all of a closed one."""
        return self.scale.span_ms // max(1, self.parts) if self.early else self.scale.span_ms

    @property
    def until(self) -> int:
        """End of the time in which the window's events have been seen, in epoch ms."""
        return self.early_at_ms if self.early else self.end

    def note_surge(self, surge: float) -> None:
        """Record a surge in the target's state. Adjacent windows that surge extend the same surge."""
        if surge < SURGE_LEAST or self.scale.span_ms > HOUR_MS:
            return
        since, until = self.target_state.surging
        continues = start_of(self.start, MINUTES_MS, self.scale.offset_ms) <= until
        self.target_state.surging = since if continues else self.until - FIRST_SEEN_MS, max(until, self.until)

    def age_ms(self) -> int | None:
        """Age of the surge that this window belongs to, None without a surge."""
        since, until = self.target_state.surging
        return self.until - since if until > self.start else None

    def mixes(self) -> dict[str, Mix]:
        """The platform's mixes to compare this window with.

        If views are emitted when playback ends, a young surge contains only people who left early. Then watch times
        are compared with the views that could have ended by now. People who view OFTEN need no such correction: all
        their views but the last have ended.
        """
        if self._mixes is None:
            self._mixes, age_ms = self.reference.mixes, self.age_ms()
            if (
                is_view(self.key)
                and age_ms is not None
                and not self.platform.rates.emitted_at_start()
                and self.crowd.named < OFTEN * (self.people or self.crowd.distinct_actors())
            ):
                ended = self.reference.ended_views(age_ms, self.until - self.start)
                self._mixes = {**self._mixes, f.WATCH: ended}
        return self._mixes

    def is_closed_day(self) -> bool:
        """Whether this is a closed window of a day."""
        return self.scale.span_ms >= DAY_MS and not self.early

    def fail(self, part: str, error: Exception) -> None:
        """Record a failed part; the window's verdict remains valid. See ``Outcome.fail``."""
        self.outcome.fail(part, self.key, self.start, 0, error)


def habits_unknown(state: TargetState, scale: Scale) -> bool:
    """Whether a target has fewer than HABIT_WINDOWS windows of habits at a scale."""
    habits = state.habits.get(RUNGS[scale.name])
    return habits is None or habits.get(f.REPEATS, (0.0, 0))[1] < HABIT_WINDOWS
