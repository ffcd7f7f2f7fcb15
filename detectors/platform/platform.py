"""What one task knows of one metric beyond its single targets: mix, known actors, seasons, detectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from detectors.catalog.registry import REGISTRY
from detectors.events.key import Key
from detectors.events.watch_buckets import WATCH_BINS
from detectors.features import names as f
from detectors.platform.false_discoveries import Discoveries
from detectors.reference.known_actors import KNOWN_FILL, KnownActors
from detectors.reference.mixes import MIX_MIN, WEIGHT_CAP, Mix, platform_mixes
from detectors.reference.rates import Rates
from detectors.reference.seasons import Seasons
from detectors.scoring.detector import Detector
from detectors.scoring.river_models import Choice
from detectors.windows.crowd import ACCOUNT, COLUMNS, DIMENSIONS, REFERRER, Crowd
from detectors.windows.scales import DAY, DAY_MS, HOUR, HOUR_MS, MINUTES, TICK, Scale

SHORT = "short"
"""Rung of ticks and minutes; the other rungs have the names of their scales."""
RUNGS: dict[str, str] = {TICK: SHORT, MINUTES: SHORT, HOUR: HOUR, DAY: DAY}
"""Scales that share their detectors' history: within minutes crowds look alike, within a day they return."""

EVENTS_BEFORE_JUDGING = 1_000.0
"""Events of a metric that teach a task what its platform's crowd is before it accuses anybody."""

SHARES_FADING = 0.9995
"""Kept of what is known of usual accounts at each window: about the last two thousand windows."""

STEP_ACTORS = 4_096
"""Actors that are remembered before a pause: some milliseconds (measured)."""

TEACHERS = 250
"""Windows of a scale and moment that teach what is usual of crowds, where there are twice as many or more: a sample,
whatever is in it. Taught by all, mixes and detectors would remember the last minutes, and of these the last keys."""

HISTORIC_FILL = KNOWN_FILL // 2
"""Actors in a generation of known ones up to which it takes in those of historic events: a snapshot of millions must
not make the platform forget those who act now, who would all look new then."""

LEFT_AT_ONCE = tuple(length * WATCH_BINS + fraction for length in range(2) for fraction in range(3))
"""Buckets of views of a tenth at most of what lasts five minutes at most: half a minute."""
FIVE_MINUTES_AT_MOST = range(2 * WATCH_BINS)
LEFT_AT_ONCE_MIN = 0.01
"""Share of these among the views of such lengths, from which on a view is told from its beginning."""
VIEWS_LEFT = 0.5
"""Part of the usual views under which some are missing."""

HOURLY_CAP = 50
"""Events of one target that count for the platform's rhythm of an hour."""


class Teaching(NamedTuple):
    """What a closed window teaches the platform."""

    mix: bool = True
    """what its people are like"""
    crowd: bool = True
    """how far crowds stray from that"""


EVERYTHING = Teaching()

SHARES = (f.FRESH, f.DORMANT, f.NO_REFERRER)
"""Features of people whose usual share is known of the whole platform."""


class Platform:
    """The platform as seen by one task through one metric."""

    def __init__(self, models: tuple[Choice, ...] = ()) -> None:
        """``models`` are detectors of an operator's choice, beside those of the catalogue."""
        self.mixes: dict[str, Mix] = platform_mixes()
        self.known = KnownActors()
        self.seasons = Seasons()
        self.typical: dict[str, float] = {}
        self.events = 0.0
        self.shares: dict[str, list[float]] = {name: [0.0, 0.0] for name in SHARES}
        """feature → accounts (people) that have it, those asked"""
        self.rates = Rates()
        self.discoveries = Discoveries()
        self.closings: dict[str, tuple[int, int]] = {}
        """scale → windows that closed together when the last ones did, and those of them that had a crowd"""
        self.changed = False
        self._season_hour = -1
        self._season = 1.0
        self.detectors: dict[str, dict[str, Detector]] = {
            rung: {name: make() for name, make in REGISTRY.items()} | {model.name: model.detector() for model in models}
            for rung in sorted(set(RUNGS.values()))
        }

    def detectors_of(self, scale: Scale) -> dict[str, Detector]:
        """The detectors that judge windows of this scale."""
        return self.detectors[RUNGS[scale.name]]

    def detector(self, name: str, scale: Scale) -> Detector:
        """A detector for this scale; the next longer one's while this has no experience.

        Likes and follows are rare: their minutes seldom have a crowd to learn from, their hours do.
        """
        rungs = (SHORT, HOUR, DAY)
        for rung in rungs[rungs.index(RUNGS[scale.name]) :]:
            detector = self.detectors[rung][name]
            if detector.experienced():
                return detector
        return self.detectors[RUNGS[scale.name]][name]

    def knows_accounts(self) -> bool:
        """Whether this platform's events say how old an account is, and so who has none."""
        return self.mixes["account"].total >= MIX_MIN

    def emits_every_view(self, scale: Scale, start_ms: int, count: float) -> bool:
        """Of the views' platform, whether it tells of a view as soon as somebody opens a target, and did so in windows
        of minutes or an hour of this (capped) count.

        Some count a view after thirty seconds only, so that who likes at once and leaves has no view. Where the part of
        views that short is not known, or views have stopped coming, nothing can be said of who did not view.
        """
        watch_counts = self.mixes["watch"].counts
        short, all_of_them = (sum(watch_counts.get(b, 0.0) for b in of) for of in (LEFT_AT_ONCE, FIVE_MINUTES_AT_MOST))
        from_the_start = all_of_them >= MIX_MIN and short >= LEFT_AT_ONCE_MIN * all_of_them
        usual = self.seasons.expected(start_ms) * scale.span_ms / HOUR_MS
        return from_the_start and count >= VIEWS_LEFT * usual

    def experienced(self) -> bool:
        """Whether enough of the platform has been seen to judge anybody."""
        return self.events >= EVENTS_BEFORE_JUDGING

    def season(self, scale: Scale, start_ms: int) -> float:
        """Expected activity in a window relative to the average. Days have none: their weekday is in the spread."""
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
        """Share of the platform's accounts (people) that have a feature, None while too few were asked."""
        having, asked = self.shares[name]
        return having / asked if asked >= MIX_MIN else None

    def learn_share(self, name: str, having: float, asked: float) -> None:
        """Learn from one window of one target how many of its accounts have a feature; its weight is capped."""
        weight = min(1.0, WEIGHT_CAP / asked)
        kept = self.shares[name]
        kept[0] = SHARES_FADING * kept[0] + weight * having
        kept[1] = SHARES_FADING * kept[1] + weight * asked

    def meet(self, actors: Sequence[int]) -> None:
        """Remember the actors of windows that were looked at, whether anything was learned of these or not."""
        self.known.add_all(actors)
        self.changed = self.changed or bool(actors)

    def meet_historic(self, actors: Sequence[int]) -> None:
        """Remember of these actors of historic events as many as there is room for (``HISTORIC_FILL``)."""
        room = HISTORIC_FILL - self.known.filled
        if room > 0:
            self.meet(actors[:room])

    def meet_in_steps(self, actors: Sequence[int]) -> Iterator[None]:
        """As ``meet``, pausing after every few thousand."""
        for at in range(0, len(actors), STEP_ACTORS):
            self.meet(actors[at : at + STEP_ACTORS])
            yield

    def take_changed(self) -> bool:
        """Whether anything was learned since the last call."""
        changed, self.changed = self.changed, False
        return changed

    def learn_mixes(self, crowd: Crowd) -> None:
        """Learn the composition of an unflagged window of minutes."""
        if not crowd.named:
            return
        self.events += min(crowd.named, WEIGHT_CAP)
        if crowd.asked:
            self.learn_share(f.DORMANT, crowd.newcomers, crowd.asked)
        if crowd.people or crowd.named > WEIGHT_CAP:
            for name in DIMENSIONS:
                counts = crowd.histogram(name)
                if counts:
                    self.mixes[name].learn(counts)
            if crowd.watch:
                self.mixes["watch"].learn(crowd.watch)
            ages = [marks[ACCOUNT] for marks in crowd.people.values() if marks[ACCOUNT] >= 0]
            referrers: Sequence[int] = [marks[REFERRER] for marks in crowd.people.values()]
        else:
            columns = crowd.columns()[1:]
            for name, buckets in zip(COLUMNS, columns, strict=True):
                if max(buckets) >= 0:  # most platforms send some of the columns only
                    self.mixes[name].learn_each(buckets)
            ages = [bucket for bucket in columns[ACCOUNT] if bucket >= 0]
            referrers = columns[REFERRER]
        self.learn_share(f.NO_REFERRER, referrers.count(-1), len(referrers))
        if ages:
            self.learn_share(f.FRESH, sum(bucket & 1 for bucket in ages), len(ages))

    def learn_typical(self, scale: Scale, count: int) -> None:
        """Learn what a target that has events at all gets in a window (slow, robust mean)."""
        old = self.typical.get(scale.name, float(count))
        self.typical[scale.name] = old + (min(count, 10.0 * old + 10.0) - old) * 0.002

    def teaching(self, scale: Scale, key: Key, start_ms: int) -> Teaching:
        """What this key's window teaches, by as many as closed together the last time."""
        windows, crowds = self.closings.get(scale.name, (0, 0))
        if windows < 2 * TEACHERS:
            return EVERYTHING
        lot = crc32(b"%b%d" % (key.encode(), start_ms))
        return Teaching(lot % (windows // TEACHERS) == 0, lot % max(1, crowds // TEACHERS) == 0)

    def closed(self, scale: Scale, windows: int, crowds: int) -> None:
        """Note how many windows have closed together, and how many of them had a crowd."""
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
            "discoveries": msgspec.to_builtins(self.discoveries),
            "detectors": {
                rung: {name: detector.dump() for name, detector in detectors.items()}
                for rung, detectors in self.detectors.items()
            },
        }

    def load(self, state: Any) -> None:
        """Take dumped state; a detector that is new since then starts empty."""
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
        self.rates.acts_and_on_viewed = {int(metric): kept for metric, kept in state.get("beside", {}).items()}
        self.rates.acts_and_viewers = {
            scale: {int(metric): kept for metric, kept in by_metric.items()}
            for scale, by_metric in state.get("viewers", {}).items()
        }
        self.discoveries = msgspec.convert(state.get("discoveries", []), Discoveries)
        for rung, detectors in state["detectors"].items():
            for name, dumped in detectors.items():
                if name in self.detectors.get(rung, {}):
                    self.detectors[rung][name].load(dumped)
