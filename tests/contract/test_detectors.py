"""What every registered detector must do. A new one in the registry is held to all of it."""

from __future__ import annotations

import doctest
import inspect
import json
import math
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.catalog.registry import REGISTRY
from detectors.features import names as f
from detectors.features.columns import columns_of
from detectors.features.names import Features
from detectors.scoring.detector import Detector, Finding, learn_many, score_many
from detectors.scoring.river_models import ModelDetector
from detectors.scoring.sentences import habit

DETECTOR_LINES_MAX = 150

every_detector = pytest.mark.parametrize("make", REGISTRY.values(), ids=REGISTRY.keys())
Make = Callable[[], Detector]

SHARES = (*f.CROWD_FEATURES, *(habit(name) for name in f.CROWD_FEATURES))
RANGES: dict[str, st.SearchStrategy[float]] = {
    f.COUNT: st.floats(0, 1e7),
    f.EXPECTED: st.floats(0, 1e7),
    f.DISPERSION: st.floats(0.15, 50.0),
    **{name: st.floats(0, 1) for name in SHARES},
}
any_features: st.SearchStrategy[Features] = st.fixed_dictionaries({}, optional=RANGES)


def ordinary_window(rng: random.Random) -> Features:
    """A window of a platform that sends every field."""
    expected = rng.uniform(5, 60)
    x = {f.EXPECTED: expected, f.DISPERSION: 5.0, f.COUNT: float(max(1, round(rng.gauss(expected, expected**0.5))))}
    for place, name in enumerate(f.CROWD_FEATURES):
        x[name] = rng.betavariate(2, 20 + 5 * place)
    return x


def taught(make: Make, windows: int = 400, seed: int = 1) -> Detector:
    """A detector that has seen ordinary windows."""
    detector, rng = make(), random.Random(seed)
    for _ in range(windows):
        detector.learn_one(ordinary_window(rng))
    return detector


TAUGHT = {make: taught(make) for make in REGISTRY.values()}


def evidence(findings: list[Finding]) -> set[tuple[Any, ...]]:
    return {(g.code, g.value, g.baseline, g.p, g.share) for g in findings}


@every_detector
def test_it_speaks_the_protocol_under_the_name_it_is_registered_by(make: Make) -> None:
    assert isinstance(make(), Detector)
    assert REGISTRY[make().name] is make


@every_detector
@given(x=any_features)
def test_it_answers_any_features_with_a_finite_score_that_is_not_negative(make: Make, x: Features) -> None:
    for detector in (make(), TAUGHT[make]):
        score = detector.score_one(x)
        assert math.isfinite(score)
        assert score >= 0.0


@every_detector
def test_no_features_are_no_evidence(make: Make) -> None:
    for detector in (make(), TAUGHT[make]):
        assert detector.score_one({}) == 0.0
        assert detector.findings({}) == []


@every_detector
@given(x=any_features)
def test_it_learns_from_any_features_and_still_scores(make: Make, x: Features) -> None:
    detector = make()
    for _ in range(40):
        detector.learn_one(x)
    assert math.isfinite(detector.score_one(x))


@every_detector
@given(x=any_features)
def test_scoring_and_explaining_change_neither_its_state_nor_the_features(make: Make, x: Features) -> None:
    detector, before = TAUGHT[make], dict(x)
    state = json.dumps(detector.dump())
    detector.score_one(x)
    detector.findings(x)
    assert json.dumps(detector.dump()) == state
    assert x == before


@every_detector
@pytest.mark.parametrize("windows", [31, 34, 97])
def test_scoring_changes_no_state_in_the_middle_of_learning_either(make: Make, windows: int) -> None:
    detector = taught(make, windows)
    state = json.dumps(detector.dump())
    detector.findings({**ordinary_window(random.Random(2)), f.COUNT: 900.0, f.NETWORK: 0.9})
    assert json.dumps(detector.dump()) == state


@every_detector
@pytest.mark.parametrize("wire", [msgspec.json, msgspec.msgpack], ids=["json", "msgpack"])
def test_a_state_that_travelled_scores_and_learns_as_the_original(make: Make, wire: Any) -> None:
    original, copy, rng = taught(make), make(), random.Random(3)
    copy.load(wire.decode(wire.encode(original.dump()), strict=False))
    for _ in range(100):
        x = ordinary_window(rng)
        assert copy.score_one(x) == original.score_one(x)
        assert copy.findings(x) == original.findings(x)
        original.learn_one(x)
        copy.learn_one(x)


@every_detector
@given(windows=st.lists(any_features, max_size=12), data=st.data())
def test_many_windows_are_scored_as_each_by_itself(make: Make, windows: list[Features], data: st.DataObject) -> None:
    detector = data.draw(st.sampled_from([make(), TAUGHT[make]]))
    alone = [detector.score_one(x) for x in windows]
    if any(windows):  # otherwise there are no columns
        assert score_many(detector, columns_of(windows)).tolist() == alone


@every_detector
@settings(max_examples=25)
@given(sizes=st.lists(st.integers(1, 400), max_size=6), seed=st.integers(0, 99))
def test_many_windows_teach_as_one_after_the_other(make: Make, sizes: list[int], seed: int) -> None:
    rng, alone, together = random.Random(seed), make(), make()
    for size in sizes:
        windows = [ordinary_window(rng) for _ in range(size)]
        for x in windows:
            alone.learn_one(x)
        learn_many(together, columns_of(windows))
    assert json.dumps(together.dump()) == json.dumps(alone.dump())


class OneByOne:
    """A detector with only the first methods."""

    name = "one"

    def __init__(self) -> None:
        self.learned: list[Features] = []

    def score_one(self, x: Features) -> float:
        return len(x)

    def learn_one(self, x: Features) -> None:
        self.learned.append(x)

    def findings(self, x: Features) -> list[Finding]:  # the protocol's
        return []

    def experienced(self) -> bool:
        return True

    def dump(self) -> Any:
        return None

    def load(self, state: Any) -> None:
        pass


def test_a_detector_that_knows_only_one_window_at_a_time_still_works() -> None:
    detector, windows = OneByOne(), [{f.COUNT: 3.0}, {f.COUNT: 5.0, f.FRESH: 0.5}]
    assert score_many(detector, columns_of(windows)).tolist() == [1.0, 2.0]
    learn_many(detector, columns_of(windows))
    assert detector.learned == windows


@every_detector
def test_the_same_windows_make_the_same_detector(make: Make) -> None:
    assert taught(make).dump() == taught(make).dump()


@every_detector
@given(x=any_features, name=st.sampled_from(f.CROWD_FEATURES))
def test_a_missing_field_takes_its_own_evidence_with_it_and_adds_none(make: Make, x: Features, name: str) -> None:
    """The score may rise a little, since a joined p-value pays for every feature that was tested: by no more."""
    detector = TAUGHT[make]
    less = {key: value for key, value in x.items() if key not in {name, habit(name)}}
    before = detector.findings(x)
    if isinstance(detector, ModelDetector):  # one score of all features together
        assert all(
            any(g.code == h.code and g.p >= h.p and g.share <= h.share for h in before) for g in detector.findings(less)
        )
    else:
        assert evidence(detector.findings(less)) <= evidence(before)
    assert detector.score_one(less) <= detector.score_one(x) + math.log10(len(f.CROWD_FEATURES))


@every_detector
@given(x=any_features)
def test_its_findings_are_ordered_probabilities_and_shares_with_a_sentence(make: Make, x: Features) -> None:
    for detector in (make(), TAUGHT[make]):
        found = detector.findings(x)
        assert [g.p for g in found] == sorted(g.p for g in found)
        for finding in found:
            assert finding.detector == detector.name
            assert finding.code
            assert finding.text
            assert 0.0 < finding.p <= 1.0
            assert 0.0 <= finding.share <= 1.0


@every_detector
def test_after_five_thousand_ordinary_windows_an_ordinary_one_scores_low(make: Make) -> None:
    detector, rng = taught(make, 5000), random.Random(4)
    scores = sorted(detector.score_one(ordinary_window(rng)) for _ in range(1000))
    assert scores[900] < 1.5
    assert scores[-1] < 5.0


@every_detector
@settings(max_examples=20)
@given(count=st.floats(8, 1e4))
def test_a_detector_that_has_learned_an_extreme_window_often_takes_it_for_ordinary(make: Make, count: float) -> None:
    x = {f.COUNT: count, f.EXPECTED: 1.0, f.DISPERSION: 1.0, f.NETWORK: 0.9}
    detector = make()
    for _ in range(200):
        detector.learn_one(x)
    assert detector.score_one(x) < 1.0


@every_detector
def test_a_window_costs_well_under_a_millisecond(make: Make) -> None:
    detector, rng = taught(make), random.Random(5)
    windows = [ordinary_window(rng) for _ in range(300)]
    began = time.perf_counter()
    for x in windows:
        detector.findings(x)
        detector.score_one(x)
        detector.learn_one(x)
    assert (time.perf_counter() - began) / len(windows) < 0.002


@every_detector
def test_it_is_one_short_file_with_an_example_that_runs(make: Make) -> None:
    module = sys.modules[make.__module__]
    assert len(Path(inspect.getfile(module)).read_text().splitlines()) <= DETECTOR_LINES_MAX
    examples = [example for case in doctest.DocTestFinder().find(module) for example in case.examples]
    assert examples
    assert doctest.testmod(module).failed == 0
