"""An exception anywhere in detection costs a verdict, and never a count, another target's verdict or the partition."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import detectors
from detectors.events import METRICS
from detectors.ledger import DUPLICATE_ID
from detectors.registry import REGISTRY
from detectors.rules.reasons import RULES
from tests.streams.injection import (
    ALL_RULES,
    APART,
    FEATURES,
    JUDGING,
    LEARNING,
    OTHER,
    RULE_PLACES,
    VICTIM,
    Injection,
    Run,
    detector_places,
    places_in,
    run,
    traffic,
)


@cache
def undisturbed() -> Run:
    return run()


@cache
def sent() -> Counter[tuple[str, str]]:
    return Counter((event.metric or "", event.target) for event in traffic())


def assert_counted(disturbed: Run) -> None:
    """Raw counts are the input; so are the others, wherever no rule was disturbed."""
    raw = {
        (METRICS[int(key[0])], key[1:]): watched.ledger.raw for key, watched in disturbed.audit.audit.watches.items()
    }
    assert raw == sent()
    told = {(count.metric, count.target): count for count in disturbed.outcome.counts}
    for key, watched in disturbed.audit.audit.watches.items():
        count = told[METRICS[int(key[0])], key[1:]]
        assert (count.raw, count.valid, count.unjudged) == (watched.ledger.raw, watched.ledger.valid, watched.unjudged)
        assert count.unjudged <= count.raw - watched.ledger.invalid.get(DUPLICATE_ID, 0)
    assert disturbed.audit.audit.now == undisturbed().audit.audit.now
    assert not disturbed.outcome.uncounted


def assert_moved_as_told(disturbed: Run) -> None:
    """What corrections say of a target is what its count has moved by."""
    moved: Counter[str] = Counter()
    for correction in disturbed.outcome.corrections:
        moved[correction.target] += correction.count * ((correction.to == "valid") - (correction.from_ == "valid"))
    ids = undisturbed()
    for key, watched in disturbed.audit.audit.watches.items():
        if key[0] == "0":
            before = ids.audit.audit.watches[key].ledger
            honest = before.valid - _moved(ids, key[1:])
            assert watched.ledger.valid - moved[key[1:]] == honest


def _moved(of: Run, target: str) -> int:
    told = [c for c in of.outcome.corrections if c.target == target]
    return sum(c.count * ((c.to == "valid") - (c.from_ == "valid")) for c in told)


def test_the_log_has_something_to_disturb() -> None:
    whole = undisturbed()
    assert {(flag.target, flag.verdict) for flag in whole.outcome.flags} >= {
        (VICTIM, "artificial"),
        (OTHER, "artificial"),
    }
    assert whole.outcome.failures == {}
    assert_counted(whole)
    assert run(restart_every=7).said == whole.said


PLACES = [*detector_places(), *places_in(FEATURES), *places_in(JUDGING), *places_in(LEARNING)]


@pytest.mark.parametrize("place", PLACES)
def test_a_failure_of_one_target_is_its_own(place: str) -> None:
    with Injection(place).inside() as injection:
        disturbed = run()
        assert_counted(disturbed)
        assert_moved_as_told(disturbed)
        assert disturbed.flags(without=VICTIM) == undisturbed().flags(without=VICTIM)
        if injection.hits:
            again = run(restart_every=11)
            assert (again.said, again.state()) == (disturbed.said, disturbed.state())


@pytest.mark.parametrize("place", [*detector_places(), *places_in(FEATURES), *places_in(LEARNING)])
def test_what_always_fails_costs_no_count(place: str) -> None:
    with Injection(place, target=None).inside():
        disturbed = run()
        assert_counted(disturbed)
        assert_moved_as_told(disturbed)


@pytest.mark.parametrize("place", sorted({place for _, place in ALL_RULES}))
def test_without_a_rule_events_are_counted_all_the_same(place: str) -> None:
    with Injection(place, target=None).inside() as injection:
        disturbed = run()
        assert_counted(disturbed)
        assert injection.hits
        assert disturbed.outcome.failures["rules"]
        again = run(restart_every=11)
        assert (again.said, again.state()) == (disturbed.said, disturbed.state())


@pytest.mark.parametrize("name", [name for name in REGISTRY if name not in ("outlier", "lockstep", "drip", "record")])
def test_windows_that_were_not_judged_are_told(name: str) -> None:
    with Injection(f"{name}.findings", target=VICTIM).inside():
        disturbed = run()
    watched = disturbed.audit.audit.watches[f"0{VICTIM}"]
    assert watched.unjudged > 0
    assert disturbed.outcome.unjudged[0].key == f"0{VICTIM}"
    assert "InjectedError" in disturbed.outcome.unjudged[0].error
    assert not [flag for flag in disturbed.outcome.flags if (flag.target, flag.metric) == (VICTIM, "view")]


def test_nothing_that_detects_is_left_out() -> None:
    modules = {
        path.relative_to(Path(detectors.__file__).parent).with_suffix("").as_posix()
        for path in Path(detectors.__file__).parent.rglob("*.py")
        if path.stem != "__init__" and "lab" not in path.parts
    }
    top = {module for module in modules if "/" not in module}
    assert top == {*FEATURES, *JUDGING, *LEARNING, *APART}
    assert {module for module in modules if module.startswith("rules/")} == {
        *("rules/days", "rules/reasons", "rules/repeats", "rules/settings")
    }
    assert {kind().__class__.__module__.rpartition(".")[2] for kind in REGISTRY.values()} == {
        module.removeprefix("catalog/") for module in modules if module.startswith("catalog/")
    }
    assert set(RULE_PLACES) == set(RULES)
