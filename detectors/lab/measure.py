"""Measures a run's decisions against the labels: precision, recall, latency, errors of estimates.

An audit corrects *counts*: it decides that q events of a target in a window were artificial, but not which. So removals
are compared as counts. Of q removed events, min(q, artificial events in the window that no other removal has claimed)
are right, and the others are honest events wrongly removed. Shorter windows claim first. A method that removes single
events (rules per actor) reports itself how many of its q were right.

Events that a rule makes invalid are removals too. There is one exception: a double click of an honest actor, or a like
by an honest actor whose like stands, is one act received twice, so removing it is not wrong. These are counted
separately (``double_clicks``).

An *attack* is all artificial events of a scenario on one target and metric. Flags are measured on the part of it that
rules have not removed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from statistics import median
from typing import NamedTuple

from detectors.intake.rules.reasons import ALREADY_COUNTED, DOUBLE_CLICK
from detectors.lab.removals import Removal, TargetMetric
from detectors.lab.traffic.platform import Labelled

ATTACK_MIN = 20
"""Least artificial events on one target and metric that count as an attack to be found."""

SMALL_TARGET = 100
"""A target with fewer events than this over a run, of all metrics, is small: every honest event removed shows on it."""


@dataclass(slots=True)
class Alarm:
    """A flag: its time range, the event time at which it was raised, its score in 0 … 1, and its estimate."""

    flag: str
    key: TargetMetric
    start_ms: int
    end_ms: int
    raised_ms: int
    score: float
    estimate: int
    reason: str = ""
    verdict: str = ""


@dataclass(slots=True)
class Report:
    """Figures of one run. None if the divisor is zero. Times are in seconds of event time."""

    scenario: str
    method: str
    seed: int
    events: int = 0
    artificial: int = 0
    attacks: int = 0
    attacks_found: int = 0
    precision: float | None = None
    recall: float | None = None
    average_precision: float | None = None
    auc: float | None = None
    flags: int = 0
    flag_precision: float | None = None
    flags_on_scenario: int = 0
    """wrong flags on targets with events of the scenario"""
    flags_on_background: int = 0
    """wrong flags on targets with background events only"""
    removed_honest: int = 0
    removed_honest_per_million: float = 0.0
    removed_honest_background: int = 0
    double_clicks: int = 0
    """removed double clicks and repeated likes and follows of honest actors, which are no wrong removals"""
    honest_small: int = 0
    """honest events on targets with fewer than SMALL_TARGET events"""
    removed_honest_small: int = 0
    """those of them that were removed"""
    removed_honest_small_share: float | None = None
    detect_seconds: float | None = None
    """median time from an attack's first event to its flag, over the attacks found"""
    before_detection: float | None = None
    """median share of an attack before its flag"""
    estimate_error: float | None = None
    """median |estimated - true| / true, over the attacks found"""
    estimate_bias: float | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    explained: int = 0
    """flags of explained surges, which accuse nobody"""
    judged: dict[str, int] = field(default_factory=dict)
    """judged windows with a surge, by verdict"""
    witnesses: dict[str, dict[str, int]] = field(default_factory=dict)
    """detector, with or without a vote → verdict → such windows for which its p was at most 0.01"""
    settled: int = 0
    """cases that the conduct of their accounts has settled"""
    settled_right: int = 0
    """those of them that ended correctly (``account_measures.SETTLED_WITHIN``)"""
    settled_share: float | None = None
    unsettled: int = 0
    """cases that waited for the conduct of accounts, which was not known or not asked for before the stream ended"""
    reversed: int = 0
    """accusing flags that were taken back"""
    bought_actors: int = 0
    honest_actors: int = 0
    """actors with and without artificial events, if accounts were observed"""
    rulings: dict[str, dict[str, int]] = field(default_factory=dict)
    """kind of ruling → "bought" and "honest" → actors with such a ruling at the end of the stream"""
    actor_recall: float | None = None
    """share of the actors with artificial events whose ruling is ``automated``"""
    honest_automated_per_thousand: float | None = None
    """actors without artificial events whose ruling is ``automated``, per thousand of them"""
    curve: list[tuple[float, float, float]] = field(default_factory=list)
    """recall, precision and share of honest events flagged, by falling score: the points of the curves"""
    failures: dict[str, int] = field(default_factory=dict)
    """contained exceptions by part (``detectors.failures``): the events concerned had no verdict"""
    first_failure: str | None = None
    """text of the first of them"""
    seconds: float = 0.0
    """wall time, set by the caller; no figure depends on it"""


class RuledOut(NamedTuple):
    """Events of a key that a rule has removed, from ``start_ms``: all, the artificial ones, and those wrongly removed.

    The others are double clicks of honest actors, and likes by honest actors whose like stands.
    """

    key: TargetMetric
    start_ms: int
    events: int
    artificial: int
    wrong: int


class Truth:
    """Labels of a run by key: times of all events, times of the artificial ones, and the scenario's targets."""

    def __init__(self) -> None:
        self.all: dict[TargetMetric, array[int]] = defaultdict(lambda: array("q"))
        self.artificial: dict[TargetMetric, array[int]] = defaultdict(lambda: array("q"))
        self.touched: set[str] = set()
        self.actors: set[str] = set()
        self.bought_actors: set[str] = set()
        self.events = 0

    def note(self, chunk: list[Labelled]) -> None:
        """Store a chunk of the stream. Chunks must be in order of time."""
        for event, scenario, artificial in chunk:
            key = TargetMetric(event.target, event.metric or "view")
            self.all[key].append(event.ts)
            if event.actor is not None:
                self.actors.add(event.actor)
            if scenario:
                self.touched.add(event.target)
                if artificial:
                    self.artificial[key].append(event.ts)
                    if event.actor is not None:
                        self.bought_actors.add(event.actor)
        self.events += len(chunk)

    def small_targets(self) -> set[str]:
        """Targets with fewer than SMALL_TARGET events."""
        events: dict[str, int] = defaultdict(int)
        for key, times in self.all.items():
            events[key.target] += len(times)
        return {target for target, count in events.items() if count < SMALL_TARGET}

    def bought(self, key: TargetMetric, start_ms: int, end_ms: int) -> int:
        """Artificial events of a key in a span."""
        return _between(self.artificial.get(key), start_ms, end_ms)

    def seen(self, key: TargetMetric, start_ms: int, end_ms: int) -> int:
        """Events of a key in a span."""
        return _between(self.all.get(key), start_ms, end_ms)


def measure(report: Report, truth: Truth, removals: list[Removal], alarms: list[Alarm]) -> Report:
    """Fill a report. ``alarms`` are the flags that accuse (no ``explained`` ones)."""
    total = sum(len(times) for times in truth.artificial.values())
    report.events, report.artificial = truth.events, total
    right_of_flag, count_of_flag, by_rules, ruled = _account(report, truth, removals)
    found = sum(right_of_flag.values())
    removed = sum(count_of_flag.values())
    report.precision = found / removed if removed else None
    report.recall = found / total if total else None
    honest = truth.events - total
    report.removed_honest = removed - found
    report.removed_honest_per_million = 1e6 * (removed - found) / max(1, honest)

    report.flags = len(alarms)
    good = 0
    for alarm in alarms:
        report.reasons[alarm.reason] = report.reasons.get(alarm.reason, 0) + 1
        count = count_of_flag.get(alarm.flag, 0)
        is_good = (
            right_of_flag.get(alarm.flag, 0) >= 0.5 * count
            if count
            else truth.bought(alarm.key, alarm.start_ms, alarm.end_ms) > 0
        )
        good += is_good
        if not is_good and alarm.key.target in truth.touched:
            report.flags_on_scenario += 1
        elif not is_good:
            report.flags_on_background += 1
    report.flag_precision = good / len(alarms) if alarms else None
    _times(report, truth, alarms, by_rules)
    report.average_precision, report.auc, report.curve = _ranking(truth, alarms, total, ruled)
    return report


def _account(
    report: Report, truth: Truth, removals: list[Removal]
) -> tuple[dict[str, int], dict[str, int], dict[TargetMetric, int], list[RuledOut]]:
    """Right and removed events by flag, artificial events removed by rules by key, and what each rule removed."""
    right: dict[str, int] = defaultdict(int)
    count: dict[str, int] = defaultdict(int)
    by_rules: dict[TargetMetric, int] = defaultdict(int)
    ruled: list[RuledOut] = []
    small = truth.small_targets()
    report.honest_small = sum(
        len(times) - len(truth.artificial.get(key, ())) for key, times in truth.all.items() if key.target in small
    )
    for removal, claimed in claim(truth, removals):
        if removal.reason:
            by_rules[removal.key] += claimed
        wrong = removal.count - claimed
        if removal.reason in (DOUBLE_CLICK, ALREADY_COUNTED):
            report.double_clicks += wrong
            wrong = 0
        if removal.reason:
            ruled.append(RuledOut(removal.key, removal.start_ms, removal.count, claimed, wrong))
        right[removal.flag] += claimed
        count[removal.flag] += claimed + wrong
        if removal.key.target not in truth.touched:
            report.removed_honest_background += wrong
        if removal.key.target in small:
            report.removed_honest_small += wrong
    if report.honest_small:
        report.removed_honest_small_share = report.removed_honest_small / report.honest_small
    return right, count, by_rules, ruled


def claim(truth: Truth, removals: list[Removal]) -> Iterator[tuple[Removal, int]]:
    """The removals, shorter windows first, each with the number of artificial events among its own.

    Each artificial event is claimed at most once.
    """
    left = {key: list(times) for key, times in truth.artificial.items()}
    for removal in sorted(removals, key=lambda r: (r.end_ms - r.start_ms, r.start_ms, r.key, r.flag)):
        claimed = removal.right
        if claimed is None:
            times = left.get(removal.key, [])
            low, high = bisect_left(times, removal.start_ms), bisect_left(times, removal.end_ms)
            claimed = min(removal.count, high - low)
            del times[low : low + claimed]
        yield removal, claimed


def _times(report: Report, truth: Truth, alarms: list[Alarm], by_rules: dict[TargetMetric, int]) -> None:
    waits, before, errors = [], [], []
    for key, times in truth.artificial.items():
        left = len(times) - by_rules.get(key, 0)
        if left < ATTACK_MIN:
            continue
        report.attacks += 1
        first, last = times[0], times[-1]
        hits = [a for a in alarms if a.key == key and a.end_ms > first and a.start_ms <= last]
        if not hits:
            continue
        report.attacks_found += 1
        raised = min(a.raised_ms for a in hits)
        waits.append(max(0, raised - first) / 1000)
        before.append(bisect_left(times, raised) / len(times))
        errors.append((sum(a.estimate for a in hits) - left) / left)
    if waits:
        report.detect_seconds, report.before_detection = median(waits), median(before)
        report.estimate_error, report.estimate_bias = median(abs(e) for e in errors), median(errors)


def _ranking(
    truth: Truth, alarms: list[Alarm], total: int, ruled: list[RuledOut]
) -> tuple[float | None, float | None, list[tuple[float, float, float]]]:
    """Average precision, AUC and curve of all events, ranked by the highest score of a flag that covers them.

    Events that a rule has removed come first, as nothing is more certain to the method; honest double clicks are left
    out. Events without a flag come last. Events of equal score form one group.
    """
    if not total:
        return None, None, []
    groups: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    out: dict[TargetMetric, list[RuledOut]] = defaultdict(list)
    for each in ruled:
        groups[inf][0] += each.artificial
        groups[inf][1] += each.wrong
        out[each.key].append(each)
    excused = sum(each.events - each.artificial - each.wrong for each in ruled)
    by_key: dict[TargetMetric, list[Alarm]] = defaultdict(list)
    for alarm in alarms:
        by_key[alarm.key].append(alarm)
    for key, mine in by_key.items():
        edges = sorted({edge for a in mine for edge in (a.start_ms, a.end_ms)})
        for low, high in pairwise(edges):
            score = max((a.score for a in mine if a.start_ms <= low and high <= a.end_ms), default=0.0)
            if score > 0.0:
                gone = [each for each in out[key] if low <= each.start_ms < high]
                bought = truth.bought(key, low, high)
                honest = truth.seen(key, low, high) - bought
                groups[score][0] += bought - sum(each.artificial for each in gone)
                groups[score][1] += honest - sum(each.events - each.artificial for each in gone)
    groups[-1.0] = [
        total - sum(g[0] for g in groups.values()),
        truth.events - total - excused - sum(g[1] for g in groups.values()),
    ]
    precision_sum = auc = 0.0
    true = false = 0
    curve = []
    for score in sorted(groups, reverse=True):
        bought, honest = groups[score]
        true, false = true + bought, false + honest
        if true + false:
            precision_sum += bought * true / (true + false)
        auc += honest * (true - 0.5 * bought)
        curve.append((true / total, true / max(1, true + false), float(false)))
    curve = [(recall, precision, hit / max(1, false)) for recall, precision, hit in curve]
    return precision_sum / total, auc / (total * max(1, false)), curve


def _between(times: array[int] | None, start_ms: int, end_ms: int) -> int:
    return 0 if not times else bisect_left(times, end_ms) - bisect_left(times, start_ms)
