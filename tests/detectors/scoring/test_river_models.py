"""River models as detectors: scored as River scores, kept as builtins, and no worker's end."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from river.anomaly import HalfSpaceTrees, LocalOutlierFactor, OneClassSVM
from river.compose import Pipeline
from river.preprocessing import StandardScaler

from detectors.catalog.outlier import HEIGHT, SEED, TREES, DumpableTrees
from detectors.features import names as f
from detectors.scoring import river_models
from detectors.scoring.river_models import (
    FAMILIES,
    THIN,
    THIN_AFTER,
    UNLIKE_CROWD_CODE,
    WINDOWS,
    ConfiguredModel,
    Model,
    ModelDetector,
)
from detectors.scoring.sentences import habit

ODD = {f.PEOPLE: 50.0, **dict.fromkeys(FAMILIES["told"], 0.9)}


def window(rng: random.Random) -> dict[str, float]:
    return {f.PEOPLE: 50.0, **{name: rng.betavariate(2, 30) for name in FAMILIES["told"]}}


def shown(x: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in x.items() if name != f.PEOPLE}


def taught(detector: ModelDetector, windows: int = 700) -> ModelDetector:
    rng = random.Random(1)
    for _ in range(windows):
        detector.learn_one(window(rng))
    return detector


def test_the_trees_score_a_whole_window_as_rivers_own() -> None:
    ours, rng = DumpableTrees(), random.Random(2)
    river: Any = HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOWS, seed=SEED)
    river.learn_one(dict.fromkeys(f.CROWD_FEATURES, 0.0))
    for number in range(3 * WINDOWS):
        x = shown(window(rng))
        if ours.ready and number != WINDOWS - 1:
            assert ours.score_one(x) == pytest.approx(river.score_one(x), abs=1e-12)
        ours.learn_one(x)
        river.learn_one(x)


@pytest.mark.parametrize("windows", [3, WINDOWS - 1, WINDOWS + 1, 2 * WINDOWS + 57])
def test_trees_that_travelled_score_and_learn_as_the_original(windows: int) -> None:
    original, copy, rng = DumpableTrees(), DumpableTrees(), random.Random(3)
    for _ in range(windows):
        original.learn_one(shown(window(rng)))
    copy.load(json.loads(json.dumps(original.dump())))
    for _ in range(WINDOWS + 5):
        x = shown(window(rng))
        assert copy.score_one(x) == original.score_one(x)
        assert copy.ready == original.ready
        original.learn_one(x)
        copy.learn_one(x)
    assert copy.dump() == original.dump()


def test_an_absent_feature_makes_no_crowd_odder() -> None:
    trees, rng = DumpableTrees(), random.Random(4)
    for _ in range(2 * WINDOWS):
        trees.learn_one(shown(window(rng)))
    for _ in range(50):
        x = {name: rng.random() for name in f.CROWD_FEATURES}
        some = {name: value for name, value in x.items() if rng.random() < 0.7}
        assert trees.score_one(some) <= trees.score_one(x)


def make_factor() -> Model:
    return LocalOutlierFactor(n_neighbors=5)


def make_pipeline() -> Model:
    return Pipeline(StandardScaler(), OneClassSVM(nu=0.2))


@pytest.mark.parametrize("make", [make_factor, make_pipeline])
def test_any_model_of_rivers_travels_as_the_windows_it_was_taught_by(make: Any) -> None:
    choice = ConfiguredModel("mine", make, family="who", windows=40)
    original, copy, rng = taught(choice.detector(), 150), choice.detector(), random.Random(5)
    copy.load(json.loads(json.dumps(original.dump())))
    for _ in range(60):
        x = window(rng)
        assert copy.score_one(x) == original.score_one(x)
        assert copy.findings(x) == original.findings(x)
        original.learn_one(x)
        copy.learn_one(x)
    assert json.dumps(copy.dump()) == json.dumps(original.dump())


def test_a_model_finds_what_is_unlike_what_it_was_taught_and_says_so() -> None:
    detector = taught(ConfiguredModel("mine", make_factor, family="who", windows=100).detector())
    assert detector.experienced()
    (finding,) = detector.findings(ODD)
    assert (finding.code, finding.detector) == (UNLIKE_CROWD_CODE, "mine")
    assert detector.score_one(ODD) > 1.0
    assert detector.score_one({f.PEOPLE: 50.0, **dict.fromkeys(FAMILIES["told"], 0.06)}) < 1.0


def test_what_a_target_is_used_to_is_not_shown_to_the_model() -> None:
    detector = taught(ConfiguredModel("mine", make_factor, family="who", windows=100).detector())
    used_to_it = {habit(name): 0.85 for name in FAMILIES["told"]}
    assert detector.score_one(ODD | used_to_it) < 1.0 < detector.score_one(ODD)


def test_a_model_of_one_family_sees_nothing_of_the_other() -> None:
    detector = taught(ConfiguredModel("mine", make_factor, family="who", windows=100).detector())
    assert detector.score_one({f.PEOPLE: 50.0, **dict.fromkeys(FAMILIES["how"], 0.9)}) == 0.0


def test_state_of_another_model_under_the_same_name_is_forgotten() -> None:
    old = taught(ConfiguredModel("mine", make_factor, "neighbours = 5", windows=40).detector())
    new = ConfiguredModel("mine", make_factor, "neighbours = 9", windows=40).detector()
    new.load(json.loads(json.dumps(old.dump())))
    assert not new.experienced()


def test_after_a_while_a_model_learns_from_every_eighth_window() -> None:
    learned: list[float] = []

    class Counting:
        def score_one(self, x: dict[str, float]) -> float:
            return x[f.FRESH]

        def learn_one(self, x: dict[str, float]) -> None:
            learned.append(x[f.FRESH])

    taught(ConfiguredModel("mine", Counting, windows=20).detector(), THIN_AFTER + 20 * THIN * 2)
    assert len(learned) == THIN_AFTER + 2 * 20


def test_a_model_that_raises_has_nothing_to_say_and_is_told_of() -> None:
    class Raising:
        def score_one(self, x: dict[str, float]) -> float:
            raise KeyError("watch")

        def learn_one(self, x: dict[str, float]) -> None:
            pass

    detector = taught(ConfiguredModel("mine", Raising, windows=20).detector())
    assert detector.score_one(ODD) == 0.0
    assert detector.findings(ODD) == []
    assert detector.failed()


class Fresh:
    """A model that learns nothing and finds odd who is new."""

    def score_one(self, x: dict[str, float]) -> float:
        return x[f.FRESH]

    def learn_one(self, x: dict[str, float]) -> None:
        pass


def fresh(*, windows: int = 20) -> ModelDetector:
    """A detector of it that has learned windows with 10 and 30 % of new accounts in turn."""
    detector = ConfiguredModel("mine", Fresh, family="who", windows=windows).detector()
    for number in range(400):
        detector.learn_one({f.PEOPLE: 50.0, f.FRESH: 0.1 + 0.2 * (number % 2), f.COHORT: 0.5})
    return detector


def test_a_model_is_ready_when_it_has_been_taught_and_has_history_from_then_on() -> None:
    detector = ConfiguredModel("mine", Fresh, family="who", windows=20).detector()
    for number in range(50):
        assert not detector.experienced()
        detector.learn_one({f.PEOPLE: 50.0, f.FRESH: 0.1})
        assert (detector.dump()[1][0] != []) == (number >= 19)
    assert detector.experienced()


def test_a_finding_says_by_how_much_of_the_crowd_the_oddest_feature_exceeds_what_is_usual() -> None:
    (finding,) = fresh().findings({f.PEOPLE: 50.0, f.FRESH: 0.9, f.COHORT: 0.6})
    assert finding.value == pytest.approx(0.9)
    assert finding.baseline == pytest.approx(0.2, abs=0.01)
    assert finding.share == pytest.approx((0.9 - 0.2) / 0.8, abs=0.01)
    assert finding.text.endswith("mine gives 0.90, 0.20 is usual")
    (half,) = fresh().findings({f.COUNT: 100.0, f.NAMED: 0.5, f.PEOPLE: 50.0, f.FRESH: 0.9, f.COHORT: 0.5})
    assert half.share == pytest.approx((0.9 - 0.2) / 0.8 / 2, abs=0.01)


def test_what_models_find_in_one_window_in_ten_is_no_finding() -> None:
    assert fresh().findings({f.PEOPLE: 50.0, f.FRESH: 0.3}) == []
    assert fresh().findings({f.PEOPLE: 50.0}) == []


def test_an_absent_feature_is_taken_for_what_is_usual() -> None:
    assert fresh().score_one({f.PEOPLE: 50.0, f.COHORT: 0.5}) < 1.0


def test_a_score_is_compared_with_windows_of_its_size() -> None:
    """Where few came, windows have differed more."""
    detector, rng = ConfiguredModel("mine", Fresh, windows=20).detector(), random.Random(6)
    for _ in range(600):
        detector.learn_one({f.PEOPLE: 10.0, f.FRESH: rng.random(), f.COHORT: 0.0})
        detector.learn_one({f.COUNT: 2000.0, f.FRESH: 0.5 + 0.01 * rng.random(), f.COHORT: 0.0})
    assert detector.score_one({f.PEOPLE: 10.0, f.FRESH: 0.9}) < 1.5
    assert detector.score_one({f.COUNT: 2000.0, f.FRESH: 0.9}) > 1.5


def test_features_are_shown_from_nothing_to_all_less_the_habit() -> None:
    seen: list[float] = []

    class Noting(Fresh):
        def learn_one(self, x: dict[str, float]) -> None:
            seen.append(x[f.FRESH])

    detector = ConfiguredModel("mine", Noting, family="who", windows=4).detector()
    for value, own in ((0.9, 0.25), (0.1, 0.3), (1.7, 0.0), (0.406, 0.0)):
        detector.learn_one({f.PEOPLE: 50.0, f.FRESH: value, habit(f.FRESH): own})
    assert seen == pytest.approx([0.65, 0.0, 1.0, 0.41])


@pytest.mark.parametrize("answer", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_none(answer: float) -> None:
    class Endless(Fresh):
        def score_one(self, x: dict[str, float]) -> float:
            return answer

    detector = ConfiguredModel("mine", Endless, windows=20).detector()
    taught(detector, 80)
    assert detector.score_one(ODD) == 0.0
    assert not detector.failed()


def test_a_model_that_cannot_be_taught_keeps_what_it_was_and_is_told_of() -> None:
    lessons: list[int] = []

    class Once(Fresh):
        def learn_one(self, x: dict[str, float]) -> None:
            lessons.append(1)
            if len(lessons) > 20:
                raise ValueError("enough")

    detector = ConfiguredModel("mine", Once, windows=20).detector()
    taught(detector, 39)
    assert not detector.failed()
    taught(detector, 1)
    assert detector.failed()


def steady(spread: float) -> ModelDetector:
    """A detector that has learned scores around a tenth, as far from it as ``spread`` in turn."""
    detector = ConfiguredModel("mine", Fresh, family="who", windows=20).detector()
    for number in range(THIN_AFTER):
        detector.learn_one({f.PEOPLE: 50.0, f.FRESH: 0.1 + spread * (1 - 2 * (number % 2)), f.COHORT: 0.0})
    return detector


def test_scores_are_told_apart_up_to_ten_standard_deviations_from_what_is_usual() -> None:
    detector = steady(0.02)
    at = [detector.score_one({f.PEOPLE: 50.0, f.FRESH: 0.1 + 0.02 * deviations}) for deviations in (4, 9.5, 11, 20)]
    assert at[0] < at[1] < at[2] == at[3]


def test_scores_that_hardly_differ_are_not_far_apart() -> None:
    """Where all windows scored the same, a thousandth is one standard deviation."""
    detector = steady(0.0)
    at = [detector.score_one({f.PEOPLE: 50.0, f.FRESH: 0.1 + more}) for more in (0.0, 0.005, 0.0095, 0.0101, 0.05)]
    assert at[0] < 0.1
    assert at[1] < at[2] < at[3] == at[4]


def test_what_is_stored_of_a_model_is_the_same_after_a_way_through_json() -> None:
    stored = fresh().dump()
    assert json.loads(json.dumps(stored)) == stored


def test_a_p_value_at_the_limit_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {f.PEOPLE: 50.0, f.FRESH: 0.9, f.COHORT: 0.5}
    (finding,) = fresh().findings(odd)
    monkeypatch.setattr(river_models, "FINDING_P", finding.p)
    assert fresh().findings(odd) == []
