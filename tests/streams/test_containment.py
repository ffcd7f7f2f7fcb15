"""An exception anywhere in detection costs a verdict, and never a count, another target's verdict or the partition."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

import detectors
from detectors.catalog.registry import IN_SHADOW, REGISTRY
from detectors.events.event import Event
from detectors.events.key import VIEW, is_view, key_of, metric_name_of, target_of
from detectors.intake.rules.reasons import RULES
from detectors.state.ledger import DUPLICATE_ID
from detectors.state.removals import RULE
from streams.deadletters import Why
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Records
from streams.log.versions import decode
from streams.offline.pipeline import Offline
from streams.settings.settings import Settings
from streams.state.store import StoreError
from tests.crowds import MINUTE_MS, START_MS
from tests.states import states_of
from tests.streams.injection import (
    ALL_RULES,
    APART,
    FEATURES,
    JUDGING,
    LEARNING,
    NOT_CALLED,
    OTHER,
    PLACES_OF_MANY,
    RULE_PLACES,
    SETTLING,
    VICTIM,
    Injection,
    Run,
    detector_places,
    logs,
    owner_of,
    places_in,
    run,
    shadow_for,
    traffic,
)
from tests.streams.pipeline import Pipeline, audit_of


@cache
def undisturbed(shadow: frozenset[str] = IN_SHADOW) -> Run:
    return run(shadow=shadow)


def disturbed_by(injection: Injection, *, restart_every: int = 0) -> Run:
    """The log audited with an exception in it; what it must not change is as without."""
    disturbed = run(shadow=shadow_for(injection.place), restart_every=restart_every)
    assert_counted(disturbed)
    return disturbed


@cache
def sent() -> Counter[tuple[str, str]]:
    return Counter((event.metric or "", event.target) for event in traffic())


def assert_counted(disturbed: Run) -> None:
    """Raw counts are the input; so are the others, wherever no rule was disturbed."""
    raw = {
        (metric_name_of(key), target_of(key)): watched.ledger.raw
        for key, watched in states_of(disturbed.audit.audit).items()
    }
    assert raw == sent()
    told = {(count.metric, count.target): count for count in disturbed.outcome.counts}
    for key, watched in states_of(disturbed.audit.audit).items():
        count = told[metric_name_of(key), target_of(key)]
        assert (count.raw, count.valid, count.unjudged) == (watched.ledger.raw, watched.ledger.valid, watched.unjudged)
        assert count.unjudged <= count.raw - watched.ledger.invalid.get(DUPLICATE_ID, 0)
    assert disturbed.audit.audit.now == undisturbed().audit.audit.now
    assert not disturbed.outcome.uncounted


def assert_moved_as_told(disturbed: Run) -> None:
    """What corrections say of a target is what its count has moved by."""
    moved: Counter[str] = Counter()
    for correction in disturbed.outcome.corrections:
        moved[correction.target] += correction.count * ((correction.to == "valid") - (correction.from_ == "valid"))
    ids = undisturbed()  # whatever is judged, rules find the same
    for key, watched in states_of(disturbed.audit.audit).items():
        if is_view(key):
            before = ids.audit.audit.target_states[key].ledger
            honest = before.valid - _moved(ids, target_of(key))
            assert watched.ledger.valid - moved[target_of(key)] == honest


def _moved(of: Run, target: str) -> int:
    told = [c for c in of.outcome.corrections if c.target == target]
    return sum(c.count * ((c.to == "valid") - (c.from_ == "valid")) for c in told)


def test_the_log_has_something_to_disturb() -> None:
    whole = undisturbed()
    assert {(flag.target, flag.verdict) for flag in whole.outcome.flags} >= {
        (VICTIM, "artificial"),
        (OTHER, "artificial"),
        (VICTIM, "rule"),
        (OTHER, "rule"),
    }
    assert whole.outcome.failures == {}
    assert_counted(whole)
    assert run(restart_every=7).said == whole.said


RESTARTED = frozenset({*detector_places(), *places_in(FEATURES)})
PLACES = [*detector_places(), *places_in(FEATURES), *places_in(JUDGING), *places_in(LEARNING)]


def first_of_each(places: Iterable[str]) -> list[Any]:
    """Places as parameters: every run takes the first of each module and detector, the slow one takes the others."""
    parameters, met = [], set[str]()
    for place in places:
        owner = owner_of(place)
        parameters.append(pytest.param(place, marks=[pytest.mark.slow] if owner in met else []))
        met.add(owner)
    return parameters


@pytest.mark.parametrize("place", first_of_each(PLACES))
def test_a_failure_of_one_target_is_its_own(place: str) -> None:
    whole = undisturbed(shadow_for(place))
    with Injection(place).inside() as injection:
        disturbed = disturbed_by(injection)
        assert_moved_as_told(disturbed)
        assert disturbed.flags(without=VICTIM) == whole.flags(without=VICTIM)
        if injection.hits and place in RESTARTED:
            again = disturbed_by(injection, restart_every=11)
            assert (again.said, again.state()) == (disturbed.said, disturbed.state())


@pytest.mark.parametrize(
    "place", first_of_each(sorted(RESTARTED - {*NOT_CALLED, "events.watch_buckets.watch_buckets"}))
)
def test_what_always_fails_costs_no_count(place: str) -> None:
    with Injection(place, target=None).inside() as injection:
        disturbed = disturbed_by(injection)
        assert injection.hits
        assert_moved_as_told(disturbed)


def test_events_of_which_no_columns_can_be_made_are_counted() -> None:
    with Injection("events.watch_buckets.watch_buckets", target=None).inside() as injection:
        disturbed = disturbed_by(injection)
        again = disturbed_by(injection, restart_every=5)
        assert (again.said, again.state()) == (disturbed.said, disturbed.state())
    assert disturbed.outcome.failures["step"]
    begin = len(logs()[0])
    views = [offset for offset, frame in enumerate(map(decode, logs()[1]), begin) if frame.watch_ms]
    assert [offset for offset in range(begin, begin + len(logs()[1])) if offset in disturbed.audit.unjudged] == views
    # With the state goes which records were only counted: a repaired worker does not count them twice.
    assert run().outcome.failures == {}


@pytest.mark.parametrize(
    ("place", "tries"),
    [
        *(
            ("intake.intake.Intake.observe", (1, 0)),
            ("intake.intake.Intake._collect", (1, 0)),
            ("audit.Audit.steps", (0, 1)),
        ),
        *(
            ("intake.ticks.Tick.by_key", (0, 1)),
            ("intake.intake.Intake.close", (0, 1)),
            ("closing.closing.WindowClosing.close", (0, 1)),
        ),
    ],
)
def test_a_record_that_cannot_be_audited_is_counted(place: str, tries: tuple[int, int]) -> None:
    with Injection(place, target=None).inside() as injection:
        disturbed = disturbed_by(injection)
        assert injection.hits
    assert disturbed.audit.unjudged.total() > 0
    assert set(disturbed.tries) == {tries}
    assert disturbed.outcome.counts[-1].unjudged > 0 or place == "closing.closing.WindowClosing.close"


@pytest.mark.parametrize("place", sorted({place for _, place in ALL_RULES}))
def test_without_a_rule_events_are_counted_all_the_same(place: str) -> None:
    with Injection(place, target=None).inside() as injection:
        disturbed = disturbed_by(injection)
        assert injection.hits
        assert disturbed.outcome.failures["rules"]
        again = disturbed_by(injection, restart_every=11)
        assert (again.said, again.state()) == (disturbed.said, disturbed.state())


@pytest.mark.parametrize("place", [*PLACES_OF_MANY, "intake.rules.repeats.Repeats.judge", "intake.ticks.Tick.by_key"])
def test_the_same_holds_where_all_ticks_are_handled_as_those_of_many_events(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("detectors.intake.ticks.FEW_ROWS", -1)
    monkeypatch.setattr("detectors.intake.rules.acts.FEW_ACTS", -1)
    with Injection(place, target=None).inside() as injection:
        disturbed = disturbed_by(injection)
        assert injection.hits
        again = disturbed_by(injection, restart_every=11)
        assert (again.said, again.state()) == (disturbed.said, disturbed.state())


@pytest.mark.parametrize("place", places_in(("cases.rule_bursts", "platform.rule_shares")))
def test_without_rule_bursts_all_else_is_as_with_them(place: str) -> None:
    whole = undisturbed()
    with Injection(place, target=None).inside() as injection:
        disturbed = disturbed_by(injection)
        assert injection.hits
    assert disturbed.outcome.failures
    assert set(disturbed.outcome.failures) <= {"rules", "case"}
    assert disturbed.outcome.corrections == whole.outcome.corrections
    assert disturbed.outcome.counts == whole.outcome.counts
    others = [[flag for flag in run.outcome.flags if flag.verdict != RULE] for run in (disturbed, whole)]
    assert others[0] == others[1]


@pytest.mark.parametrize("name", [name for name in REGISTRY if name not in ("outlier", "lockstep", "drip", "record")])
def test_windows_that_were_not_judged_are_told(name: str) -> None:
    with (
        Injection(f"{name}:findings", target=VICTIM).inside(),
        Injection(f"{name}:score_many", target=VICTIM).inside(),
    ):
        disturbed = run()
    watched = disturbed.audit.audit.target_states[key_of(VIEW, VICTIM)]
    assert watched.unjudged > 0
    assert disturbed.outcome.unjudged[0].key == f"0{VICTIM}"
    assert "InjectedError" in disturbed.outcome.unjudged[0].error
    verdicts = {flag.verdict for flag in disturbed.outcome.flags if (flag.target, flag.metric) == (VICTIM, "view")}
    assert verdicts == {RULE}, "a rule needs no window"


def test_nothing_that_detects_is_left_out() -> None:
    root = Path(detectors.__file__).parent
    modules = {
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in root.rglob("*.py")
        if path.stem != "__init__" and "lab" not in path.parts
    }
    rules = {module for module in modules if module.startswith("intake.rules.")}
    names = ("act_rules", "acts", "automated", "daily_rate", "reasons", "repeats", "settings")
    assert rules == {f"intake.rules.{name}" for name in names}
    catalog = {module for module in modules if module.startswith("catalog.")} - {"catalog.registry"}
    assert catalog == {kind().__class__.__module__.removeprefix("detectors.") for kind in REGISTRY.values()}
    assert modules - rules - catalog == {*FEATURES, *JUDGING, *LEARNING, *SETTLING, *APART}
    assert set(RULE_PLACES) == set(RULES)
    assert set(PLACES) >= NOT_CALLED, "a place was renamed or is gone"


def test_what_cannot_even_be_counted_goes_to_the_dead_letters() -> None:
    with (
        Injection("intake.intake.Intake.observe", target=None).inside(),
        Injection("intake.intake.Intake.count", target=None).inside(),
    ):
        disturbed = run()
    begin = len(logs()[0])
    frames = {offset: value for offset, value in enumerate(logs()[1], begin) if decode(value).target}
    assert [(one.position, one.value) for one in disturbed.outcome.uncounted] == sorted(frames.items())
    assert "events (views/0, offsets" in disturbed.outcome.uncounted[0].message
    assert disturbed.audit.audit.now == undisturbed().audit.audit.now


@pytest.mark.parametrize("error", [StoreError("the disk is full"), OSError(28, "no space"), MemoryError()])
def test_failures_of_the_machine_are_not_contained(error: Exception) -> None:
    with (
        Injection("measurement.measuring.measure", target=None, error=error).inside(),
        pytest.raises(type(error)),
    ):
        run()


@pytest.mark.parametrize(
    "place",
    ["accounts:findings", "intake.intake.Intake.observe", "intake.intake.Intake.close", "intake.intake.Intake.count"],
)
def test_a_replay_does_as_a_worker(place: str) -> None:
    values = [msgspec.json.encode(event) for event in traffic() if event.ts < START_MS + 20 * MINUTE_MS]
    lines: list[tuple[str, bytes]] = []
    with Injection(place, target=None).inside(), contextlib.ExitStack() as also:
        if place == "intake.intake.Intake.count":
            also.enter_context(Injection("intake.intake.Intake.observe", target=None).inside())
        summary = Offline(Settings(partitions=2), lambda name, line: lines.append((name, line))).run(values)
    letters = [orjson.loads(line) for name, line in lines if name == "dead-letters"]
    if place == "intake.intake.Intake.count":
        assert {(letter["topic"], letter["reason"]) for letter in letters} == {("by-target", "uncountable")}
        assert summary.raw == 0
        return
    assert (summary.raw, letters) == (len(values), [])
    if place == "intake.intake.Intake.observe":
        assert (summary.valid + summary.invalid.get(DUPLICATE_ID, 0), summary.unjudged) == (summary.raw, summary.valid)


def test_a_record_that_ingest_cannot_deal_with_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    decode_all = EventDecoder.decode

    def decoded(self: EventDecoder, records: Records, latest_ms: Any) -> Any:
        if any(b"poison" in (value or b"") for value in records.value):
            raise RuntimeError("injected into the codec")
        return decode_all(self, records, latest_ms)

    monkeypatch.setattr(EventDecoder, "decode", decoded)
    pipeline = Pipeline()
    values = [msgspec.json.encode(Event(ts=START_MS + n, actor=f"a{n}", target=f"t{n % 3}")) for n in range(40)]
    values[7] = values[31] = b'{"ts":1,"actor":"a","target":"poison"}'
    pipeline.send(values)
    assert [(letter.offset, letter.reason, letter.value) for letter in pipeline.dead] == [
        (7, Why.UNCOUNTABLE, values[7]),
        (31, Why.UNCOUNTABLE, values[31]),
    ]
    pipeline.finish(START_MS + MINUTE_MS)
    audit, _ = audit_of(pipeline.logs[0])
    assert sum(watched.ledger.raw for watched in states_of(audit.audit).values()) == 38
