"""Exceptions put into detection: into which functions, for which target, and a log on which all of them are called."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

import detectors
from detectors.audit import Audit, AuditSettings
from detectors.cases.rule_bursts import RuleBursts
from detectors.catalog.registry import IN_SHADOW, REGISTRY, SURGE
from detectors.closing.closing import WindowClosing
from detectors.events.event import Event
from detectors.events.key import NO_KEY, VIEW, Key, key_of
from detectors.intake.rules.reasons import RULES
from detectors.measurement import early_windows
from detectors.measurement.early_windows import EarlyWindows
from detectors.records import Outcome
from detectors.state.target_state import TargetState
from detectors.tick_entry import TickEntry
from streams.engine.failed_records import Failed, FailureCounts
from streams.engine.step_error import StepError
from streams.state.sealed import META_KEY, meta_of
from streams.targets.changelog import dump_changes, load
from streams.targets.outputs import correction_value, count_value, flag_value
from streams.targets.step import PartitionAudit
from tests.crowds import DAY_MS, HISTORY_MINUTES, MINUTE_MS, START_MS, bought, in_order, ordinary
from tests.robots import robots
from tests.states import states_of
from tests.streams.pipeline import Pipeline

VICTIM, OTHER = "v3", "v5"
"""Both get a bought burst; detection fails for the first."""

FEATURES = (
    "features.names",
    "events.watch_buckets",
    "features.columns",
    "features.people",
    "features.crowd",
    "reference.surpluses",
    "reference.rates",
    "features.interaction",
    "features.referrers",
    "verdict.referrers",
    "verdict.same_people",
    "verdict.marked_share",
    "state.marks",
    "campaigns.bands",
    "verdict.bands",
    "campaigns.pairs",
    "campaigns.visits",
    "campaigns.pair_arrays",
    "measurement.other_metrics",
    "reference.ended_views",
    "measurement.window_view",
    "measurement.measuring",
    "measurement.expectation",
)
"""Modules that measure a window."""
JUDGING = (
    "judge",
    "verdict.gathering",
    "verdict.window_opinion",
    "measurement.window_views",
    "closing.closing",
    "closing.early_judge",
    "closing.table",
    "closing.tabulate",
    "closing.viewers",
    "cases.incidents",
    "cases.case_records",
    "verdict.repeated_tests",
    "cases.explanations",
    "cases.rule_bursts",
    "platform.false_discoveries",
    "verdict.days",
    "state.days",
    "actors.rulings",
    "verdict.evidence",
    "verdict.crowd",
    "verdict.crowd_rules",
    "state.case",
    "verdict.opinion",
    "cases.closing_time",
    "cases.expected",
    "cases.ids",
    "cases.statuses",
    "scoring.normal",
    "measurement.early_windows",
    "scoring.shares",
    "scoring.tails",
    "scoring.river_models",
)
"""Modules that decide, and what they keep."""
LEARNING = (
    "closing.learning",
    "platform.platform",
    "platform.lessons",
    "platform.rule_shares",
    "state.level",
    "reference.seasons",
    "scoring.calibration",
    "reference.mixes",
    "reference.known_actors",
    "measurement.open_hour",
)
"""Modules that learn of the whole platform."""
SETTLING = (
    *("control_entry", "cases.settlements", "scoring.empty_accounts", "verdict.alone"),
    *("actors.conduct", "actors.replays"),
    *("campaigns.sellers", "verdict.sellers", "cases.given_back"),
)
"""Modules for control records and likes without views, which this log has not. ``tests/detectors/test_controls.py``,
``test_sellers.py`` and ``intake/rules/test_automated_replays.py`` put exceptions into them."""
RULE_PLACES: dict[str, tuple[str, ...]] = {
    "duplicate_id": ("intake.recent_ids.RecentIds.add_all", "intake.ticks.acts_of"),
    "listed_network": ("intake.intake._tagged",),
    "listed_agent": ("intake.intake._tagged",),
    "declared_robot": ("intake.intake._tagged",),
    "already_counted": (
        "intake.ticks.Tick.related",
        "intake.few_events.FewEvents.related",
        "relations.relation_set.open_all",
        "relations.relation_set.RelationSet.add_all",
        "relations.relation_entry.RelationEntry._settled",
    ),
    "double_click": (
        "intake.rules.repeats.Repeats.judge",
        "intake.rules.repeats.Repeats._pairs_again",
        "intake.rules.acts.TickActs.keys_if_few",
        "intake.rules.acts.TickActs.listed",
        "intake.few_events.FewEvents.sift",
        "intake.ticks.Tick.sift",
    ),
    "rate": (
        "intake.rules.repeats.Repeats._judged_few",
        "intake.rules.repeats.Repeats._sift_few",
        "intake.rules.daily_rate.pairs_of_few",
    ),
    "rate_day": (
        "intake.rules.daily_rate.Days.turn",
        "intake.rules.daily_rate.Days.follow",
        "intake.rules.daily_rate.Days.count",
        "intake.rules.daily_rate.Days.counted",
    ),
    "automated_actor": ("intake.rules.automated.reject_automated",),
    "automated_replay": ("intake.rules.automated.reject_replays",),
}
"""Rule → where it is applied, to a tick of few events."""
PLACES_OF_MANY = (
    "intake.rules.repeats.Repeats._sift",
    "intake.rules.repeats.Repeats._again",
    "intake.rules.repeats._numbered",
    "intake.heap.Heap.sift",
    "intake.heap.Heap.related",
)
"""Where rules are applied to a tick of many events."""
ACCOUNTS = (
    "accounts.accounts",
    "accounts.acts.conduct",
    "accounts.acts.rates",
    "accounts.acts.recent_targets",
    "accounts.acts.replays",
    "accounts.acts.updates",
    "accounts.addresses",
    "accounts.block",
    "accounts.containment",
    "accounts.crowds.followers",
    "accounts.crowds.meetings",
    "accounts.crowds.newcomers",
    "accounts.crowds.settlement",
    "accounts.crowds.stocks",
    "accounts.outcome",
    "accounts.pages",
    "accounts.profile",
    "accounts.rulings.changes",
    "accounts.rulings.evaluation",
    "accounts.rulings.replays",
    "accounts.rulings.verdicts",
    "accounts.settings",
    "accounts.state",
    "accounts.storage.bits",
    "accounts.storage.columns",
    "accounts.storage.idle",
    "accounts.storage.index",
    "accounts.storage.presence",
    "accounts.storage.table",
)
"""Modules of the role ``actors``, which no audit calls. ``tests/detectors/accounts/test_containment.py`` puts
exceptions into them."""
APART = frozenset(
    {
        *ACCOUNTS,
        *(
            "audit_settings",
            "stored_parts",
            "containment",
            "audit",
            "tick_entry",
            "state.settlement",
            "state.followers",
            "intake.intake",
            "intake.history",
            "intake.prepared",
            "intake.past_ticks",
            "intake.related",
            "relations.debits",
            "relations.relation_entry",
            "relations.relation_set",
            "state.relation_pages",
            "state.relations",
            "events.block",
            "open_windows",
            "intake.ticks",
            "intake.few_events",
            "intake.heap",
            "pending_counts",
            "state.target_state",
            "events.key",
            "events.actor",
            "state.target_states",
            "state.parts",
            "intake.recent_ids",
            "state.ledger",
            "state.removals",
            "windows.crowd",
            "windows.sample",
            "windows.scales",
            "windows.clock",
            "events.event",
            "events.buckets",
            "controls",
            "records",
            "failures",
            "rollback",
        ),
        *(
            "scoring.detector",
            "scoring.sentences",
            "catalog.registry",
            "thresholds",
            "cases.flags",
            "state.course",
            "features.names",
        ),
    }
)
"""Modules that only count and keep, or hold names and records; ``flags`` and ``series`` are called by JUDGING."""
EXEMPT = frozenset(
    {
        "measurement.window_view.WindowView.fail",
        "campaigns.pairs.ActorPairs.take_changed",
        "campaigns.pairs.ActorPairs.load",
    }
)
"""Called where a failure is handled, and in checkpoints."""


TARGETS = 10


NOT_CALLED = frozenset(
    {
        *(
            "events.watch_buckets.watch_bucket",
            "measurement.window_view.habits_unknown",
        ),  # of single events; where thousands of windows close
        *(
            "verdict.bands.band_opinion",
            "verdict.bands.with_band",
            "campaigns.pairs.ActorPairs.band",
            "campaigns.pairs.ActorPairs.broken_off",
        ),  # nobody comes in bands
        "verdict.marked_share.marked_people",  # no case is settled
        *(f"{name}:score_many" for name in ("drip", "lockstep", "outlier")),  # asked one by one
        *(
            "reference.ended_views.EndedViews.over",
            "reference.ended_views.EndedViews.usual_share",
            "reference.ended_views.known_after",
            "reference.ended_views.is_known",
            "reference.ended_views.longest_view_ms",
            "measurement.other_metrics.watch_buckets_of",
        ),
    }
)
"""Of what measures a window, what this log has no use for: its likes come after their views."""


class InjectedError(Exception):
    """What is raised."""


def places_in(modules: tuple[str, ...]) -> list[str]:
    """All public functions and methods of modules of ``detectors``, as module.function or module.Class.method."""
    found = []
    for name in modules:
        module = import_module(f"detectors.{name}")
        for owner, thing in _public(module):
            if inspect.isfunction(thing):
                found.append(f"{name}.{owner}")
            elif inspect.isclass(thing):
                found += [f"{name}.{owner}.{method}" for method, _ in _public(thing) if method not in ("dump", "load")]
    return [place for place in found if place not in EXEMPT]


def _public(owner: Any) -> Iterator[tuple[str, Any]]:
    where = getattr(owner, "__module__", None) or owner.__name__
    for name, thing in sorted(vars(owner).items()):
        made_here = getattr(thing, "__module__", None) == where
        if made_here and not name.startswith("_") and (inspect.isfunction(thing) or inspect.isclass(thing)):
            yield name, thing


def detector_places() -> list[str]:
    """Every detector's methods."""
    return [f"{name}:{method}" for name in REGISTRY for method in ("findings", "score_one", "score_many", "learn_many")]


def owner_of(place: str) -> str:
    """The detector or the module that has a place."""
    name, _, method = place.partition(":")
    return name if method else _module_of(place)[0].__name__


def shadow_for(place: str) -> frozenset[str]:
    """Detectors without a vote: those are asked for a score, the others for findings."""
    name, _, method = place.partition(":")
    return frozenset({name}) if method == "score_one" and name != SURGE else frozenset()


@dataclass
class Injection:
    """One function that raises, for one target or always."""

    place: str
    target: str | None = VICTIM
    hits: int = 0
    error: Exception | None = None

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, raising where it should."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if self.target is None or _At.key == key_of(VIEW, self.target):
                self.hits += 1
                raise self.error or InjectedError(self.place)
            return function(*args, **kwargs)

        return wrapper

    @contextmanager
    def inside(self) -> Iterator[Injection]:
        """Raise from here on."""
        history()  # made once, and undisturbed
        with pytest.MonkeyPatch.context() as patch:
            for owner, entrance in ENTRANCES:
                patch.setattr(owner, entrance, _noting(getattr(owner, entrance)))
            with self.anywhere():
                yield self

    @contextmanager
    def anywhere(self) -> Iterator[Injection]:
        """Raise from here on, where no target is looked at."""
        with pytest.MonkeyPatch.context() as patch:
            name, _, method = self.place.partition(":")
            if method:
                kind = type(REGISTRY[name]())
                patch.setattr(kind, method, self.wrapped(getattr(kind, method)))
            else:
                self._replace(patch)
            yield self

    def _replace(self, patch: pytest.MonkeyPatch) -> None:
        module, path = _module_of(self.place)
        *owners, name = path
        owner: Any = module
        for part in owners:
            owner = getattr(owner, part)
        original = inspect.getattr_static(owner, name)
        function = getattr(owner, name)
        wrapped: Any = self.wrapped(original if inspect.isfunction(original) else function)
        if owners:
            patch.setattr(owner, name, staticmethod(wrapped) if isinstance(original, staticmethod) else wrapped)
            return
        for other in [m for key, m in sys.modules.items() if key.startswith(("detectors", "streams"))]:
            for attribute, thing in list(vars(other).items()):
                if thing is function:
                    patch.setattr(other, attribute, wrapped)


def _module_of(place: str) -> tuple[ModuleType, list[str]]:
    parts = place.split(".")
    root = Path(detectors.__file__).parent
    size = next(n for n in range(1, len(parts)) if root.joinpath(*parts[:n]).with_suffix(".py").is_file())
    return import_module(".".join(["detectors", *parts[:size]])), parts[size:]


ENTRANCES: tuple[tuple[Any, str], ...] = (
    (TickEntry, "enter"),
    (Audit, "_expire"),
    *((WindowClosing, name) for name in ("_tabulate", "_finish", "_lengthen")),
    (RuleBursts, "_consider"),
    *((EarlyWindows, name) for name in ("_opened", "_prepared", "_decide")),
    (early_windows, "measure_all"),
)
"""Where what is done for one target begins."""


class _At:
    """The state key for which something is done just now."""

    key = NO_KEY


def _noting(function: Callable[..., Any]) -> Callable[..., Any]:
    names = list(inspect.signature(function).parameters)

    def key_of_call(args: tuple[Any, ...]) -> Any:
        given = dict(zip(names, args, strict=False))
        if "key" in given:
            return given["key"]
        if "opened" in given:
            return given["opened"].window.key
        if "rows" in given or "windows" in given:  # a table fails with any of its rows
            keys = [row[0] for row in given.get("rows", ())] + [window.key for window in given.get("windows", ())]
            keys = keys or [NO_KEY]
            return next((key for key in keys if key == key_of(VIEW, VICTIM)), keys[0])
        if "window" in given:
            return given["window"].key
        if "table" in given:
            return given["table"].rows[given["place"]][0]
        return given["row"][0]

    @wraps(function)
    def noted(*args: Any, **kwargs: Any) -> Any:
        before, _At.key = _At.key, key_of_call(args)
        try:
            return function(*args, **kwargs)
        finally:
            _At.key = before

    return noted


# ---------------------------------------------------------------- the log


@cache
def traffic() -> tuple[Event, ...]:
    """An hour and a half of honest views and likes, then two bought bursts and robots; some events come twice."""
    begin = START_MS + HISTORY_MINUTES * MINUTE_MS
    views = ordinary(1, minutes=HISTORY_MINUTES + 12, targets=TARGETS, ids=True)
    likes = [msgspec.structs.replace(v, metric="like", id=f"l{v.id}", ts=v.ts + 500) for v in views[::4]]
    bursts = [
        bought(seed, target, begin=begin + MINUTE_MS, minutes=4, per_minute=70, ids=True)
        for seed, target in ((2, VICTIM), (3, OTHER))
    ]
    for number, target in enumerate((VICTIM, OTHER)):
        visits = robots(number, target, begin=begin + (1 + 5 * number) * MINUTE_MS, count=150, minutes=3)
        bursts.append([msgspec.structs.replace(visit, id=f"r{number}{at}") for at, visit in enumerate(visits)])
    for view in (*views, *(event for burst in bursts for event in burst)):
        view.metric, view.watch_ms, view.duration_ms = "view", 2_000 + view.ts % 50_000, 60_000
    again = [msgspec.structs.replace(view) for view in views[::50]]
    clicks = [msgspec.structs.replace(view, ts=view.ts + 900, id=f"c{view.id}") for view in views[::40]]
    return tuple(in_order(views, likes, *bursts, again, clicks))


@cache
def logs() -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The log before the bursts, and what follows, until two days are over."""
    pipeline, events = Pipeline(partitions=1), traffic()
    begin = START_MS + HISTORY_MINUTES * MINUTE_MS
    pipeline.play([event for event in events if event.ts < begin])
    cut = len(pipeline.logs[0])
    pipeline.play([event for event in events if event.ts >= begin])
    for until in range(begin + 30 * MINUTE_MS, START_MS + 2 * DAY_MS, 4 * 60 * MINUTE_MS):
        pipeline.finish(until)
    return tuple(pipeline.logs[0][:cut]), tuple(pipeline.logs[0][cut:])


@cache
def history() -> dict[bytes, bytes]:
    """The state where the bursts begin."""
    audit, saved = PartitionAudit(AuditSettings()), dict[bytes, bytes]()
    before, _ = logs()
    for offset, value in enumerate(before):
        audit.apply(value, offset, Outcome())
    saved.update(dump_changes(audit, len(before)))
    return saved


@dataclass
class Run:
    """What came of the log from the bursts on."""

    audit: PartitionAudit
    outcome: Outcome
    said: list[bytes]
    tries: list[FailureCounts]
    """how often each record failed that could not be audited"""

    def state(self) -> dict[Key, TargetState]:
        """Every key's state."""
        return dict(states_of(self.audit.audit))

    def flags(self, *, without: str = "") -> set[tuple[str, str, str, str, int]]:
        """What was flagged, of all targets but one."""
        return {(f.target, f.metric, f.verdict, f.status, f.onset) for f in self.outcome.flags if f.target != without}


def run(*, restart_every: int = 0, shadow: frozenset[str] = IN_SHADOW) -> Run:
    """Audit what follows the history, restarting from a checkpoint every so many records."""
    before, after = logs()
    saved, failed = dict(history()), Failed()
    said: list[bytes] = []
    whole = Outcome()
    log, told = (*before, *after), AuditSettings(shadow=shadow)
    audit, position = _restored(told, saved, log, failed), len(before)
    while position < len(log):
        outcome = Outcome()
        try:
            audit.apply(log[position], position, outcome)
        except StepError:  # as a worker does: from the last checkpoint, and what came since is not told twice
            audit = _restored(told, saved, log, failed)
            for offset in range(restored_at(saved), position):
                audit.apply(log[offset], offset, Outcome())
            continue
        position += 1
        for name in ("flags", "corrections", "counts", "unjudged", "uncounted"):
            getattr(whole, name).extend(getattr(outcome, name))
        for part, times in outcome.failures.items():
            whole.failures[part] = whole.failures.get(part, 0) + times
        said += [*map(flag_value, outcome.flags), *map(correction_value, outcome.corrections)]
        said += map(count_value, outcome.counts)
        if restart_every and (position - len(before)) % restart_every == 0:
            saved.update(dump_changes(audit, position))
            audit = _restored(told, saved, log, failed)
    return Run(audit, whole, said, sorted(failed.values()))


def restored_at(saved: dict[bytes, bytes]) -> int:
    """The position of a checkpoint."""
    return meta_of(saved[META_KEY]).position


def _restored(
    settings: AuditSettings, saved: dict[bytes, bytes], log: tuple[bytes, ...], failed: Failed
) -> PartitionAudit:
    while True:
        audit = PartitionAudit(settings, failed=failed)
        restored = load(audit, saved)
        assert restored is not None
        try:
            for offset in range(restored.replay_from, restored.position):
                audit.replay(log[offset], offset)
        except StepError:
            continue
        return audit


ALL_RULES = [(rule, place) for rule in RULES for place in RULE_PLACES[rule]]
