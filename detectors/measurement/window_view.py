"""A closed window as it is put before the judge: its expectation, its features, and what it may teach."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

from detectors.actors.rulings import Rulings
from detectors.events.key import Key, is_view, metric_of
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.features.crowd import crowd_features, evenness
from detectors.features.interaction import lonely, silent, with_accounts
from detectors.features.names import Features
from detectors.features.referrers import unusual_referrers
from detectors.measurement.expectation import EXPECTED_MIN, usual_of
from detectors.platform.platform import EVERYTHING, RUNGS, Platform, Teaching
from detectors.records import Outcome
from detectors.reference.ended_views import EndedViews
from detectors.reference.mixes import Mix, WatchMix
from detectors.reference.rates import VIEWED_BEFORE, Rates
from detectors.scoring.sentences import habit, usual
from detectors.state.level import Level
from detectors.state.target_state import TargetState
from detectors.thresholds import SURGE_LEAST
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS, HOUR, HOUR_MS, MINUTES, MINUTES_MS, TICK, TICK_SECONDS, Scale

HABIT_FADING = 0.1
"""Weight of a window in the target's own habits (about its last ten windows)."""
HABIT_WINDOWS = 10
"""Windows until which every one is asked for the target's habits, however many targets there are."""
HABIT_WINDOWS_MIN = 3
"""Windows after which a target's own habit stands in for the platform's mean."""

FIRST_SEEN_MS = TICK_SECONDS * 1000
"""How old a surge is taken to be at the first look at it: a tick of the usual span, whatever span is configured."""

OFTEN = 2.0
"""Views a person from which on most are not the last ones."""

VIEWED_MS = 3 * HOUR_MS
"""For so long a target must have been viewed, before likes of people who did not view it are unheard of."""


@dataclass(slots=True)
class WindowView:
    """One closed window of one key. ``ratio`` is the part of its level's window that it spans."""

    key: Key
    watched: TargetState
    scale: Scale
    start: int
    crowd: Crowd
    platform: Platform
    """of the key's metric: what its windows are like"""
    reference: Platform
    """who the platform's people are: that of the views, where there are any"""
    outcome: Outcome
    ratio: float = 1.0
    early_at: int = -1
    """event time of a look before the window's end, -1 at its end"""
    teaches: Teaching = EVERYTHING
    parts: int = 0
    """windows of the next shorter scale in it, 0 where evenness is not asked"""
    views_days: int = 0
    """days for which the target's views have been watched"""
    silence: int = 0
    """of likes and follows, the windows of this scale since the target's first view, 0 if it was never viewed"""
    peers: tuple[int, int, int] | None = None
    """views, likes and follows of the target around the window, None if not asked"""
    viewers: float = 0.0
    """of a crowd of likes or follows, the events by people who viewed the target around the window"""
    every_view: bool = False
    """of closed likes, whether whoever opened a target in that time has been told as a view"""
    rates: Rates | None = None
    rulings: Rulings | None = None
    """what is held of actors, None where nobody is asked"""
    x: Features = field(default_factory=dict)
    _mixes: dict[str, Mix] | None = None

    @property
    def end(self) -> int:
        """End of the window in epoch ms."""
        return self.start + self.scale.span_ms

    @property
    def early(self) -> bool:
        """Whether the window is still open."""
        return self.early_at >= 0

    @property
    def ends(self) -> bool:
        """Whether a window of five minutes or longer is over."""
        return self.early_at < 0 and self.scale.name != TICK

    @property
    def span_ms(self) -> int:
        """How long this look stands for: an open window says nothing of what comes after its last part."""
        return self.scale.span_ms // max(1, self.parts) if self.early else self.scale.span_ms

    @property
    def until(self) -> int:
        """Up to when the window's events have been seen, in epoch ms."""
        return self.early_at if self.early else self.end

    def note_surge(self, surge: float) -> None:
        """Note if the window surges: since the first that did, with no window of its scale between."""
        if surge < SURGE_LEAST or self.scale.span_ms > HOUR_MS:
            return
        since, until = self.watched.surging
        goes_on = self.start // MINUTES_MS * MINUTES_MS <= until
        self.watched.surging = since if goes_on else self.until - FIRST_SEEN_MS, max(until, self.until)

    def age_ms(self) -> int | None:
        """For how long the people of this window have been coming, None if they come as usual."""
        since, until = self.watched.surging
        return self.until - since if until > self.start else None

    def mixes(self) -> dict[str, Mix]:
        """What the platform's people are like, as far as they would be known of a crowd as young as this one.

        Of people who come twice and oftener all but the last time is known anyway.
        """
        if self._mixes is None:
            self._mixes, age_ms = self.reference.mixes, self.age_ms()
            again = self.crowd.named >= OFTEN * self.crowd.distinct_actors()
            if is_view(self.key) and age_ms is not None and not again and not self.platform.rates.emitted_at_start():
                whole = cast("WatchMix", self._mixes[f.WATCH])
                self._mixes = {**self._mixes, f.WATCH: EndedViews.of(whole, age_ms, self.until - self.start)}
        return self._mixes

    def ends_a_day(self) -> bool:
        """Whether a whole day of the target's is over."""
        return self.scale.span_ms >= DAY_MS and not self.early

    def habits_young(self) -> bool:
        """Whether the target's own habits are not known yet."""
        habits = self.watched.habits.get(RUNGS[self.scale.name])
        return habits is None or habits.get(f.REPEATS, (0.0, 0))[1] < HABIT_WINDOWS

    def expect(self) -> None:
        """Set count, expectation and dispersion. A tick is expected a part of what five minutes are."""
        name = MINUTES if self.scale.name == TICK else self.scale.name
        mean, dispersion = usual_of(self.watched, name, self.platform, silence=self.silence)
        season = self.platform.season(self.scale, self.start)
        self.x[f.COUNT] = float(self.crowd.n)
        if self.crowd.nobody:
            self.x[f.NAMED] = self.crowd.named / self.crowd.n
        self.x[f.EXPECTED] = max(EXPECTED_MIN, mean * season * self.ratio)
        self.x[f.DISPERSION] = dispersion

    def measure(self) -> None:
        """Set the features of the crowd and the target's habits of them."""
        known = (self.platform.known, self.reference.known)
        self.x.update(crowd_features(self.crowd, self.mixes(), known))
        self.x[f.ONCE] = float(not is_view(self.key))
        if is_view(self.key):
            ways = unusual_referrers(self.crowd, self.reference.mixes[f.REFERRER], self.reference.usual(f.NO_REFERRER))
            if ways is not None:
                self.x[f.UNUSUAL_REFERRERS] = ways
        if self.parts and not self.early:
            even = evenness(self.crowd, self.parts)
            if even is not None:
                self.x[f.EVEN], self.x[f.PARTS] = even, float(self.parts)
        if self.rulings and f.STRANGERS in self.x:
            self.x[f.RULED] = self.rulings.share(self.crowd.actors, self.key)
        self._interaction()
        for name in (f.FRESH, f.DORMANT):
            share = self.reference.usual(name)
            if share is not None:
                self.x[usual(name)] = share
        for name, (mean, windows) in self.watched.habits.get(RUNGS[self.scale.name], {}).items():
            if windows >= HABIT_WINDOWS_MIN:
                self.x[habit(name)] = mean

    def _interaction(self) -> None:
        if self.rates is None or self.peers is None:
            return
        rates = self.rates.per_person(self.scale.name)
        if rates is None:
            return
        views, likes, follows = self.peers
        if not is_view(self.key):
            metric = metric_of(self.key)
            alone = self._usually_alone(metric, self.rates)
            if alone is not None and self.crowd.named:
                self.x[f.LONELY] = lonely(self.crowd.named, views, rates[metric - 1], self.viewers)
                self.x[usual(f.LONELY)] = alone
            first = self.rates.viewed_first(self.scale.name, metric, least=VIEWED_BEFORE)
            if first is not None and self.every_view and self.silence * self.scale.span_ms >= VIEWED_MS:
                self.x[f.VIEWED_FIRST] = first
        elif self.parts:
            people = with_accounts(self.crowd, self.reference.knows_accounts())
            missing = silent(people, likes + follows, sum(rates))
            if missing is not None:
                self.x[f.SILENT], self.x[f.INTERACTIONS] = missing, people * sum(rates)

    def _usually_alone(self, metric: int, rates: Rates) -> float | None:
        """Share of likes or follows that usually come without a view so far, None if nothing can be said yet.

        Where views are told when they end, they are known by the end of the day, and by that of an hour in which people
        have come for half of one at least.
        """
        alone, age_ms = rates.usually_lonely(metric), self.age_ms()
        if self.ends_a_day() or alone is None:
            return alone
        closed_hour = self.scale.span_ms >= HOUR_MS and not self.early
        if not rates.emitted_at_start() and not (closed_hour and (age_ms is None or age_ms >= HOUR_MS // 2)):
            return None
        first = rates.viewed_first(HOUR if closed_hour else MINUTES, metric)
        return None if first is None else max(alone, 1.0 - first)

    def learn(self, *, measured: bool, suspicious: bool) -> None:
        """Let the window teach. One that a case holds, or may come to hold, teaches at most what is left of it.

        An exception ends that, and nothing else: the verdict stands.
        """
        try:
            self._learn(measured=measured, suspicious=suspicious)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not end more than this
            self.platform.changed = True
            self.fail("learning", error)

    def _learn(self, *, measured: bool, suspicious: bool) -> None:
        watched, crowd, platform, scale = self.watched, self.crowd, self.platform, self.scale
        level = watched.levels.get(scale.name)
        if level is None:
            level = watched.levels[scale.name] = Level()
        honest = crowd.n - crowd.quarantined
        if suspicious:
            honest = min(honest, math.ceil(self.x[f.EXPECTED]))
        level.learn(scale, self.start, max(0, honest), platform.season(scale, self.start))
        if crowd.quarantined or suspicious or watched.case is not None:
            return
        platform.changed = True
        platform.learn_typical(scale, crowd.n)
        if measured:
            if self.teaches.crowd:
                for detector in platform.detectors_of(scale).values():
                    try:
                        detector.learn_one(self.x)
                    except UNCONTAINED:
                        raise
                    except Exception as error:  # noqa: BLE001  # one that cannot learn keeps no other from it
                        self.fail("learning", error)
            self._learn_habits()
        if scale.name == MINUTES and self.teaches.mix:
            platform.learn_mixes(crowd)

    def fail(self, part: str, error: Exception) -> None:
        """Note what was left out, the window's verdict standing; see Outcome."""
        self.outcome.fail(part, self.key, self.start, 0, error)

    def _learn_habits(self) -> None:
        habits = self.watched.habits.setdefault(RUNGS[self.scale.name], {})
        for name in f.CROWD_FEATURES:
            if name in self.x:
                own = habits.get(name)
                if own is None:
                    habits[name] = [self.x[name], 1]
                else:
                    own[1] += 1
                    own[0] += (self.x[name] - own[0]) * max(HABIT_FADING, 1.0 / own[1])
