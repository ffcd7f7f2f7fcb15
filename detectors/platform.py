"""What one task knows of one metric beyond its single targets: mix, known actors, seasons, detectors."""

from __future__ import annotations

from typing import Any

import msgspec

from detectors.baseline import Seasons
from detectors.catalog.composition import Composition
from detectors.detector import Detector
from detectors.reference import WEIGHT_CAP, KnownActors, Mix, platform_mixes
from detectors.registry import REGISTRY
from detectors.windows import DAY_MS, DIMENSIONS, HOUR_MS, Crowd, Scale

RUNGS: dict[str, str] = {"tick": "short", "minutes": "short", "hour": "hour", "day": "day"}
"""Scales that share their detectors' history: within minutes crowds look alike, within a day they return."""

HOURLY_CAP = 50
"""Events of one target that count for the platform's rhythm of an hour."""


class Platform:
    """The platform as seen by one task through one metric."""

    def __init__(self) -> None:
        self.mixes: dict[str, Mix] = platform_mixes()
        self.known = KnownActors()
        self.seasons = Seasons()
        self.typical: dict[str, float] = {}
        self.changed = False
        self._season_hour = -1
        self._season = 1.0
        self.detectors: dict[str, dict[str, Detector]] = {
            rung: {name: make() for name, make in REGISTRY.items()} for rung in sorted(set(RUNGS.values()))
        }

    def detectors_of(self, scale: Scale) -> dict[str, Detector]:
        """The detectors that judge windows of this scale."""
        return self.detectors[RUNGS[scale.name]]

    def composition_of(self, scale: Scale) -> Composition:
        """The composition detector for this scale; the next longer one's while this has no experience.

        Likes and follows are rare: their minutes seldom have a crowd to learn from, their hours do.
        """
        rungs = ("short", "hour", "day")
        for rung in rungs[rungs.index(RUNGS[scale.name]) :]:
            detector = self.detectors[rung]["composition"]
            assert isinstance(detector, Composition)
            if detector.experienced():
                return detector
        first = self.detectors[RUNGS[scale.name]]["composition"]
        assert isinstance(first, Composition)
        return first

    def experienced(self, scale: Scale) -> bool:
        """Whether anybody here can judge a crowd of this scale."""
        return self.composition_of(scale).experienced()

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

    def meet(self, actors: list[int]) -> None:
        """Remember the actors of windows that were looked at, whether anything was learned of these or not."""
        for actor in actors:
            self.known.add(actor)
        self.changed = self.changed or bool(actors)

    def take_changed(self) -> bool:
        """Whether anything was learned since the last call."""
        changed, self.changed = self.changed, False
        return changed

    def learn_mixes(self, crowd: Crowd) -> None:
        """Learn the composition of an unflagged window of minutes."""
        if not crowd.actors and crowd.n <= WEIGHT_CAP:
            for name, buckets in zip(DIMENSIONS, crowd.columns()[1:], strict=True):
                if name in self.mixes:
                    self.mixes[name].learn_each(buckets)
            return
        crowd.settle()
        for name, mix in self.mixes.items():
            counts: dict[int, int] = getattr(crowd, name)
            if counts:
                mix.learn(counts)

    def learn_typical(self, scale: Scale, count: int) -> None:
        """Learn what a target that has events at all gets in a window (slow, robust mean)."""
        old = self.typical.get(scale.name, float(count))
        self.typical[scale.name] = old + (min(count, 10.0 * old + 10.0) - old) * 0.002

    def dump(self) -> Any:
        """State as msgspec-encodable builtins."""
        return {
            "mixes": {name: [mix.counts, mix.total] for name, mix in self.mixes.items()},
            "known": [bytes(self.known.newer), bytes(self.known.older), self.known.filled],
            "seasons": msgspec.to_builtins(self.seasons),
            "typical": self.typical,
            "detectors": {
                rung: {name: detector.dump() for name, detector in detectors.items()}
                for rung, detectors in self.detectors.items()
            },
        }

    def load(self, state: Any) -> None:
        """Take dumped state; a detector that is new since then starts empty."""
        for name, (counts, total) in state["mixes"].items():
            self.mixes[name].counts, self.mixes[name].total = dict(counts), total
        newer, older, self.known.filled = state["known"]
        self.known.newer, self.known.older = bytearray(newer), bytearray(older)
        self.seasons = msgspec.convert(state["seasons"], Seasons)
        self.typical = dict(state["typical"])
        for rung, detectors in state["detectors"].items():
            for name, dumped in detectors.items():
                if name in self.detectors.get(rung, {}):
                    self.detectors[rung][name].load(dumped)
