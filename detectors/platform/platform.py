"""The platform's baseline of one metric in one task: mixes, known actors, seasons, detectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast
from zlib import crc32

import msgspec
import numpy as np

from detectors.catalog.registry import REGISTRY
from detectors.events.key import Key
from detectors.events.watch_buckets import WATCH_BINS
from detectors.features import names as f
from detectors.features.people import People
from detectors.platform.false_discoveries import Discoveries
from detectors.reference.ended_views import EndedViews
from detectors.reference.known_actors import KNOWN_FILL, KnownActors
from detectors.reference.mixes import MIX_MIN, WEIGHT_CAP, Mix, WatchMix, platform_mixes, weights_of
from detectors.reference.rates import Rates
from detectors.reference.seasons import Seasons
from detectors.scoring.detector import Detector
from detectors.scoring.river_models import ConfiguredModel
from detectors.windows.sample import ACCOUNT, DIMENSIONS, REFERRER
from detectors.windows.scales import DAY, DAY_MS, HOUR, HOUR_MS, MINUTES, TICK, Scale

SHORT = "short"
"""Rung of ticks and minutes. The other rungs have the names of their scales."""
RUNGS: dict[str, str] = {TICK: SHORT, MINUTES: SHORT, HOUR: HOUR, DAY: DAY}
"""Scale → rung. Scales of one rung share detectors: crowds of ticks and minutes are alike, over a day actors return."""

EVENTS_BEFORE_JUDGING = 1_000.0
"""Events of a metric that a task learns from before it judges."""

SHARES_FADING = 0.9995
"""Factor of the old shares at each window: memory of about two thousand windows."""

STEP_ACTORS = 4_096
"""Actors added to the known ones between two pauses: some milliseconds (measured)."""

TEACHERS = 250
"""Size of the random sample of windows that crowds are learned from, if at least twice as many windows of a scale close
together. Learning from all, mixes and detectors would remember only the last minutes, and of these the last keys."""

HISTORIC_FILL = KNOWN_FILL // 2
"""Actors of historic events are added only while a generation has fewer known actors than this. A snapshot of millions
must not evict the current actors, who would all seem new then."""

LEFT_AT_ONCE = tuple(length * WATCH_BINS + fraction for length in range(2) for fraction in range(3))
"""Buckets of views of at most a tenth of a video of at most five minutes: up to half a minute."""
FIVE_MINUTES_AT_MOST = range(2 * WATCH_BINS)
LEFT_AT_ONCE_MIN = 0.01
"""Share of these among the views of such videos from which on views are emitted from the first second."""
VIEWS_LEFT = 0.5
"""Share of the usual views below which some are missing."""

HOURLY_CAP = 50
"""Most events of one target that count for the platform's hourly total."""


class Teaching(NamedTuple):
    """What the platform learns from a closed window."""

    mix: bool = True
    """the mixes of its people"""
    crowd: bool = True
    """how far its crowd deviates from them"""


EVERYTHING = Teaching()
_TEACHING = tuple(tuple(Teaching(mix, crowd) for crowd in (False, True)) for mix in (False, True))

ENDED_VIEWS_MAX = 1000
"""Most mixes of ended views that are kept, of some kB each."""

SHARES = (f.FRESH, f.DORMANT, f.NO_REFERRER, f.UNVIEWED, f.SELLERS)
"""Features of people whose share is learned over the whole platform."""


class Platform:
    """The platform's baseline of one metric in one task."""

    def __init__(self, models: tuple[ConfiguredModel, ...] = ()) -> None:
        """``models`` are detectors that the operator adds to those of the catalogue."""
        self.mixes: dict[str, Mix] = platform_mixes()
        self.known = KnownActors()
        self.seasons = Seasons()
        self.typical: dict[str, float] = {}
        self.events = 0.0
        self.shares: dict[str, list[float]] = {name: [0.0, 0.0] for name in SHARES}
        """feature → [accounts (people) that have it, all that were checked]"""
        self.rates = Rates()
        self.discoveries = Discoveries()
        self.closings: dict[str, tuple[int, int]] = {}
        """scale → windows that closed together the last time, and those of them that had a crowd"""
        self.changed = False
        self._season_hour = -1
        self._season = 1.0
        self._ended_views: dict[tuple[int, int], EndedViews] = {}
        """by age and span of a crowd, until watch times are learned"""
        self.detectors: dict[str, dict[str, Detector]] = {
            rung: {name: make() for name, make in REGISTRY.items()} | {model.name: model.detector() for model in models}
            for rung in sorted(set(RUNGS.values()))
        }

    def ended_views(self, age_ms: int, span_ms: int) -> EndedViews:
        """The mix of watch times, as known of the last ``span_ms`` of a crowd that began ``age_ms`` ago."""
        found = self._ended_views.get((age_ms, span_ms))
        if found is None:
            if len(self._ended_views) >= ENDED_VIEWS_MAX:
                self._ended_views.clear()
            whole = cast("WatchMix", self.mixes["watch"])
            found = self._ended_views[age_ms, span_ms] = EndedViews.of(whole, age_ms, span_ms)
        return found

    def detectors_of(self, scale: Scale) -> dict[str, Detector]:
        """The detectors of the windows of a scale."""
        return self.detectors[RUNGS[scale.name]]

    def detector(self, name: str, scale: Scale) -> Detector:
        """A scale's detector, or that of a longer scale while the scale's own has no experience.

        Likes and follows are rare: their minutes seldom have a crowd to learn from, their hours do.
        """
        rungs = (SHORT, HOUR, DAY)
        for rung in rungs[rungs.index(RUNGS[scale.name]) :]:
            detector = self.detectors[rung][name]
            if detector.experienced():
                return detector
        return self.detectors[RUNGS[scale.name]][name]

    def knows_accounts(self) -> bool:
        """Whether this platform's events have account ages, so that visitors can be recognized."""
        return self.mixes["account"].total >= MIX_MIN

    def emits_every_view(self, scale: Scale, start_ms: int, count: float) -> bool:
        """Whether the platform emits a view as soon as a target is opened, and views are complete in this window.

        Call it on the platform of views, for windows of minutes or an hour, with their (capped) ``count``. Some
        platforms emit a view only after thirty seconds, so an actor who likes at once and leaves has none. If the share
        of short views is not known, or views are missing, the answer is False: a missing view proves nothing.
        """
        watch_counts = self.mixes["watch"].counts
        short, all_of_them = (sum(watch_counts.get(b, 0.0) for b in of) for of in (LEFT_AT_ONCE, FIVE_MINUTES_AT_MOST))
        from_the_start = all_of_them >= MIX_MIN and short >= LEFT_AT_ONCE_MIN * all_of_them
        usual = self.seasons.expected(start_ms) * scale.span_ms / HOUR_MS
        return from_the_start and count >= VIEWS_LEFT * usual

    def experienced(self) -> bool:
        """Whether enough events have been learned to judge windows."""
        return self.events >= EVENTS_BEFORE_JUDGING

    def season(self, scale: Scale, start_ms: int) -> float:
        """Expected activity in a window relative to the average. 1.0 for days: the weekday is part of their spread."""
        if scale.span_ms >= DAY_MS:
            return 1.0
        hour = start_ms // HOUR_MS
        if hour != self._season_hour:
            self._season_hour, self._season = hour, self.seasons.factor(start_ms)
        return self._season

    def learn_hour(self, start_ms: int, count: float) -> None:
        """Learn the platform's (capped) count of an hour."""
        self.seasons.learn(start_ms, count)
        self.changed = True
        self._season_hour = -1

    def usual(self, name: str) -> float | None:
        """Share of the platform's accounts (people) that have a feature, None while too few were checked."""
        having, checked = self.shares[name]
        return having / checked if checked >= MIX_MIN else None

    def learn_share(self, name: str, having: float, checked: float) -> None:
        """Learn how many accounts of one window have a feature. The window's weight is capped."""
        weight = min(1.0, WEIGHT_CAP / checked)
        share = self.shares[name]
        share[0] = SHARES_FADING * share[0] + weight * having
        share[1] = SHARES_FADING * share[1] + weight * checked

    def learn_actors(self, actors: Sequence[int]) -> None:
        """Add the actors of judged windows to the known ones, even if nothing else was learned from the windows."""
        self.known.add_all(actors)
        self.changed = self.changed or bool(actors)

    def learn_historic_actors(self, actors: Sequence[int]) -> None:
        """Add actors of historic events to the known ones, up to ``HISTORIC_FILL``."""
        free = HISTORIC_FILL - self.known.filled
        if free > 0:
            self.learn_actors(actors[:free])

    def learn_actors_in_steps(self, actors: Sequence[int]) -> Iterator[None]:
        """As ``meet``, pausing after every few thousand."""
        for at in range(0, len(actors), STEP_ACTORS):
            self.learn_actors(actors[at : at + STEP_ACTORS])
            yield

    def take_changed(self) -> bool:
        """Whether anything was learned since the last call."""
        changed, self.changed = self.changed, False
        return changed

    def learn_people(self, people: People, named: list[int], accounts: list[tuple[int, int]]) -> None:
        """Learn the people of unflagged windows of minutes.

        By window, ``named`` is the number of events with an actor, and ``accounts`` that of accounts and of those among
        them that were not seen before.
        """
        self.events += sum(min(number, WEIGHT_CAP) for number in named)
        weights = weights_of(people.window)
        given = people.traits[:, : len(DIMENSIONS)].T >= 0
        for name, there, number in zip(DIMENSIONS, given, given.sum(axis=1).tolist(), strict=True):
            if number == len(weights):
                self.mixes[name].learn(people.column(name), weights)
            elif number:
                self.mixes[name].learn(people.column(name)[there], weights_of(people.window[there]))
        if len(people.watch_bucket):
            self._ended_views.clear()
            self.mixes["watch"].learn(people.watch_bucket, weights_of(people.watch_window, people.watch_events))
        sampled = people.number().tolist()
        fresh_accounts = given[ACCOUNT] & (people.column("account") & 1 == 1)
        without, aged, fresh = (
            np.bincount(people.window, there, people.windows).tolist()
            for there in (~given[REFERRER], given[ACCOUNT], fresh_accounts)
        )
        for place, (checked, unknown) in enumerate(accounts):
            if checked:
                self.learn_share(f.DORMANT, unknown, checked)
            if sampled[place]:
                self.learn_share(f.NO_REFERRER, without[place], sampled[place])
            if aged[place]:
                self.learn_share(f.FRESH, fresh[place], aged[place])

    def learn_typical(self, scale: Scale, counts: Iterable[int]) -> None:
        """Learn the counts of typical targets with events in a window, one after the other (slow, robust mean)."""
        usual = self.typical.get(scale.name)
        for count in counts:
            if usual is None:
                usual = float(count)
            most = 10.0 * usual + 10.0
            usual += ((min(most, count)) - usual) * 0.002
        if usual is not None:
            self.typical[scale.name] = usual

    def teaching(self, scale: Scale, keys: Sequence[Key], start_ms: int) -> list[Teaching]:
        """What to learn from the windows of these keys: a sample, if many windows closed together the last time."""
        windows, crowds = self.closings.get(scale.name, (0, 0))
        if windows < 2 * TEACHERS:
            return [EVERYTHING] * len(keys)
        mix_every, crowd_every = windows // TEACHERS, max(1, crowds // TEACHERS)
        salt = b"%d" % start_ms
        lots = [crc32(key.encode() + salt) for key in keys]
        return [_TEACHING[lot % mix_every == 0][lot % crowd_every == 0] for lot in lots]

    def closed(self, scale: Scale, windows: int, crowds: int) -> None:
        """Record how many windows have closed together, and how many of them had a crowd."""
        if (windows, crowds) != self.closings.get(scale.name):
            self.closings[scale.name] = windows, crowds
            self.changed = True

    def dump(self) -> Any:
        """State as msgspec-encodable builtins."""
        return {
            "mixes": {name: mix.dump() for name, mix in self.mixes.items()},
            "known": [bytes(self.known.newer), bytes(self.known.older), self.known.filled],
            "seasons": msgspec.to_builtins(self.seasons),
            "typical": self.typical,
            "events": self.events,
            "shares": self.shares,
            "closings": self.closings,
            "rates": self.rates.people_and_acts,
            "beside": self.rates.acts_and_on_viewed,
            "viewers": self.rates.acts_and_viewers,
            "variation": self.rates.variation,
            "discoveries": msgspec.to_builtins(self.discoveries),
            "detectors": {
                rung: {name: detector.dump() for name, detector in detectors.items()}
                for rung, detectors in self.detectors.items()
            },
        }

    def load(self, state: Any) -> None:
        """Load dumped state. A detector that is new since then starts empty."""
        self._ended_views.clear()
        for name, dumped in state["mixes"].items():
            self.mixes[name].load(dumped)
        newer, older, self.known.filled = state["known"]
        self.known.newer, self.known.older = bytearray(newer), bytearray(older)
        self.seasons = msgspec.convert(state["seasons"], Seasons)
        self.typical = dict(state["typical"])
        self.events = state.get("events", 0.0)
        self.shares.update(state.get("shares", {}))
        self.closings = {name: (windows, crowds) for name, (windows, crowds) in state.get("closings", {}).items()}
        self.rates.people_and_acts = dict(state.get("rates", {}))
        self.rates.acts_and_on_viewed = {int(metric): acts for metric, acts in state.get("beside", {}).items()}
        self.rates.acts_and_viewers = {
            scale: {int(metric): acts for metric, acts in by_metric.items()}
            for scale, by_metric in state.get("viewers", {}).items()
        }
        self.rates.variation = list(state.get("variation", (0.0, 0.0)))
        self.discoveries = msgspec.convert(state.get("discoveries", []), Discoveries)
        for rung, detectors in state["detectors"].items():
            for name, dumped in detectors.items():
                if name in self.detectors.get(rung, {}):
                    self.detectors[rung][name].load(dumped)
