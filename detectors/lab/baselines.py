"""Methods that truecount is compared with: a threshold, published rules per actor, and an anomaly detector alone.

A method with a threshold learns it from the quiet time before the scenario, as an operator would. If no part of a
recording is known to be quiet (``quiet_until_ms`` is None), it learns from all of it. Then the attack itself raises the
threshold, and at most one window in two thousand is above it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
from river.anomaly import HalfSpaceTrees

from detectors.events.event import Event
from detectors.lab.measure import Alarm
from detectors.lab.removals import Removal, TargetMetric
from detectors.lab.traffic.blocks import network_of
from detectors.lab.traffic.platform import Labelled
from detectors.windows.scales import HOUR_MS, MINUTES_MS

QUIET_QUANTILE = 0.9995
"""Share of quiet windows below the threshold: about one alarm an hour on a platform with 2,000 live targets."""


class WindowRules:
    """Scores windows of five minutes of each key, and removes every window above a quantile of the quiet time."""

    def __init__(self, quiet_until_ms: int | None, without: Iterable[str] = ()) -> None:
        self._quiet_until = quiet_until_ms
        self._without = frozenset(without)
        self._open: dict[TargetMetric, list[Labelled]] = defaultdict(list)
        self._start = -1
        self._quiet: list[float] = []
        self._scored: list[tuple[float, TargetMetric, int, int]] = []

    def take(self, chunk: list[Labelled]) -> None:
        """Process a chunk of the stream."""
        for labelled in chunk:
            start = labelled.event.ts - labelled.event.ts % MINUTES_MS
            if start > self._start:
                self._close()
                self._start = start
            self._open[TargetMetric(labelled.event.target, labelled.event.metric or "view")].append(labelled)

    def score(self, rows: list[Event]) -> float | None:
        """Score of a window's events; None if there are too few."""
        raise NotImplementedError

    def _close(self) -> None:
        for key, rows in self._open.items():
            score = self.score([labelled.event for labelled in rows])
            if score is None:
                continue
            learning = self._quiet_until is None or self._start < self._quiet_until
            if learning:
                self._quiet.append(score)
            if self._quiet_until is None or not learning:
                self._scored.append((score, key, self._start, len(rows)))
        self._open.clear()

    def finish(self) -> tuple[list[Removal], list[Alarm]]:
        """Return the windows above the threshold."""
        self._close()
        threshold = float(np.quantile(self._quiet, QUIET_QUANTILE)) if self._quiet else 0.0
        removals, alarms = [], []
        for score, key, start, count in self._scored:
            if score > threshold:
                flag, end = f"{key}{start}", start + MINUTES_MS
                removals.append(Removal(key, start, end, count, flag))
                alarms.append(Alarm(flag, key, start, end, end, score, count, "window"))
        return removals, alarms


class CountThreshold(WindowRules):
    """A threshold on the events of five minutes, exceeded by one in two thousand quiet windows."""

    def score(self, rows: list[Event]) -> float | None:
        """The number of events."""
        return float(len(rows))


class HalfSpaceTreesAlone(WindowRules):
    """River's HalfSpaceTrees on a window's features, with default use: it learns from every window."""

    def __init__(self, quiet_until_ms: int | None, without: Iterable[str] = ()) -> None:
        super().__init__(quiet_until_ms, without)
        self._trees = HalfSpaceTrees(n_trees=10, height=8, window_size=250, seed=1)

    def score(self, rows: list[Event]) -> float | None:
        """The trees' score; None for windows of fewer than eight events."""
        if len(rows) < 8:
            return None
        n = len(rows)
        x = {"count": min(1.0, np.log10(n) / 4), "actors": len({e.actor for e in rows}) / n}
        for name, field, derive in (
            ("networks", "ip", network_of),
            ("agents", "user_agent", str),
            ("countries", "country", str),
        ):
            values = [getattr(e, field) for e in rows if getattr(e, field) is not None]
            if values and field not in self._without:
                x[name] = len({derive(v) for v in values}) / len(values)
        if "actor_created_at" not in self._without:
            born = [e.ts - e.actor_created_at for e in rows if e.actor_created_at is not None]
            x["fresh"] = sum(age < 30 * 24 * HOUR_MS for age in born) / max(1, len(born))
        if "watch_ms" not in self._without:
            shares = [e.watch_ms / e.duration_ms for e in rows if e.watch_ms is not None and e.duration_ms]
            x["watch"] = sum(shares) / max(1, len(shares))
        score = float(self._trees.score_one(x))  # type: ignore[no-untyped-call]  # River has no types here
        self._trees.learn_one(x)  # type: ignore[no-untyped-call]  # as above
        return score


class WikimediaRules:
    """Wikimedia's rules for automated traffic (analytics/refinery), applied hourly per actor to the last 24 hours.

    In this order: fewer than 10 requests is a user; more than 800 is automated; 30 a minute or more is automated; a
    user agent of more than 400 or fewer than 25 characters is automated; else unclassified. The rule on cookies is
    missing: events have no such field.
    """

    ROLLUP_HOURS = 24
    FEW, MANY, PER_MINUTE, AGENT_CHARS = 10, 800, 30.0, (25, 400)

    def __init__(self, quiet_until_ms: int | None, without: Iterable[str] = ()) -> None:
        self._quiet_until = quiet_until_ms or 0
        self._agents = "user_agent" not in set(without)
        self._hours: list[dict[str, tuple[int, int]]] = []
        self._open: dict[str, list[Labelled]] = defaultdict(list)
        self._hour = -1
        self._hits: dict[tuple[TargetMetric, int], list[int]] = defaultdict(lambda: [0, 0])

    def take(self, chunk: list[Labelled]) -> None:
        """Process a chunk of the stream."""
        for labelled in chunk:
            hour = labelled.event.ts // HOUR_MS
            if hour > self._hour:
                self._close()
                self._hour = hour
            if labelled.event.actor is not None:
                self._open[labelled.event.actor].append(labelled)

    def _close(self) -> None:
        rolled: dict[str, tuple[int, int]] = {}
        for actor, rows in self._open.items():
            rolled[actor] = (len(rows), len({r.event.ts // 60_000 for r in rows}))
        self._hours = [*self._hours[-(self.ROLLUP_HOURS - 1) :], rolled]
        if self._hour * HOUR_MS >= self._quiet_until:
            for actor, rows in self._open.items():
                if self._automated(actor, rows[-1].event):
                    for labelled in rows:
                        key = TargetMetric(labelled.event.target, labelled.event.metric or "view")
                        hit = self._hits[(key, self._hour)]
                        hit[0] += 1
                        hit[1] += labelled.artificial
        self._open.clear()

    def _automated(self, actor: str, event: Event) -> bool:
        seen = [hour[actor] for hour in self._hours if actor in hour]
        requests, minutes = sum(n for n, _ in seen), sum(m for _, m in seen)
        if requests < self.FEW:
            return False
        if requests > self.MANY or requests / max(1, minutes) >= self.PER_MINUTE:
            return True
        low, high = self.AGENT_CHARS
        return self._agents and event.user_agent is not None and not low <= len(event.user_agent) <= high

    def finish(self) -> tuple[list[Removal], list[Alarm]]:
        """Return the events of automated actors by key and hour. Right and wrong ones are counted exactly."""
        self._close()
        removals, alarms = [], []
        for (key, hour), (count, right) in self._hits.items():
            start, end, flag = hour * HOUR_MS, (hour + 1) * HOUR_MS, f"{key}{hour}"
            removals.append(Removal(key, start, end, count, flag, right))
            if count >= 8:
                alarms.append(Alarm(flag, key, start, end, end, float(count), count, "actor"))
        return removals, alarms


Baseline = Callable[[int | None, Iterable[str]], "WindowRules | WikimediaRules"]

BASELINES: dict[str, Baseline] = {
    "count_threshold": CountThreshold,
    "wikimedia_rules": WikimediaRules,
    "half_space_trees": HalfSpaceTreesAlone,
}
