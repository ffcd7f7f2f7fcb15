"""Adapts a River anomaly detector to a truecount detector: input features, learning, state and calibration.

A model gets a closed window as a dict of features in 0 … 1, each minus the target's own habit. Its scores have no
common scale, so they are centred, scaled by their standard deviation, and calibrated on unflagged windows of the same
size (``calibration``).

The state of a model is stored as builtins, never as a pickle. There are two ways:

* A model with ``dump()`` and ``load(state)`` (see ``StatefulModel``) learns window by window and stores its own state.
* Any other model is *retrained*: learned windows are collected, and after every ``windows`` of them a new model is made
  and learns these in order. These windows are its state. This is exact for every deterministic model, and it survives
  a new version of River.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np

from detectors.features import names as f
from detectors.features.columns import Column, Columns, columns_of, number_of, rows_of
from detectors.features.names import Features
from detectors.scoring.calibration import HISTORY_MIN, Calibrator, Mean
from detectors.scoring.detector import FINDING_P, Finding, score_of
from detectors.scoring.sentences import habit

WINDOWS = 250
"""Windows that a model is trained with, and after which it is retrained: River's default for HalfSpaceTrees."""

THIN_AFTER = 2 * WINDOWS
THIN = 8
"""After THIN_AFTER windows a model learns from every eighth: a sample is enough, and each costs some 30 µs."""

SPREADS = 20.0
"""Width of the calibration's histogram, in standard deviations of the model's scores."""
SPREAD_MIN = 1e-3

STEPS = 100
"""Features of collected windows are stored in hundredths."""

UNLIKE_CROWD_CODE = "unlike_crowd"

FAMILIES: dict[str, tuple[str, ...]] = {
    "who": (f.FRESH, f.COHORT, f.DORMANT, f.NETWORK, f.SPREAD),
    "how": (f.REPEATS, f.EVEN, f.WATCH, f.SILENT, f.LONELY),
    "told": f.CROWD_FEATURES,
}
"""Features that a model gets, by family.

A verdict needs *who* and *how* from different data, so a voting model gets the features of one of them only. A model of
the family ``told`` gets all: it appears in the reasons, without a vote."""


class Model(Protocol):
    """River's interface of an unsupervised anomaly detector. Larger scores are more anomalous."""

    def score_one(self, x: dict[str, float]) -> float:
        """Anomaly score of a window."""
        ...

    def learn_one(self, x: dict[str, float]) -> Any:
        """Learn a window."""
        ...


@runtime_checkable
class StatefulModel(Protocol):
    """A model that stores its own state and accepts absent features."""

    ready: bool
    """whether it has learned enough for a score"""

    def score_one(self, x: dict[str, float]) -> float:
        """Anomaly score of a window. An absent feature must not raise it."""
        ...

    def learn_one(self, x: dict[str, float]) -> Any:
        """Learn a window."""
        ...

    def dump(self) -> Any:
        """State as msgspec-encodable builtins. Dumping must not change the model."""
        ...

    def load(self, state: Any) -> None:
        """Restore state returned by ``dump``. Afterwards it must score and learn as the original would."""
        ...


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """A model that an operator has configured in addition to the catalogue's detectors."""

    name: str
    make: Callable[[], Model]
    identity: str = ""
    """its class and arguments as text: stored state of another identity is dropped"""
    family: str = "told"
    """one of FAMILIES"""
    windows: int = WINDOWS
    shadow: bool = True

    def detector(self) -> ModelDetector:
        """A new detector with a new model."""
        features = FAMILIES[self.family]
        return ModelDetector(self.name, self.make, features=features, windows=self.windows, identity=self.identity)


class RetrainedModel:
    """A model without state methods. Its state is the windows that it was trained with."""

    def __init__(self, make: Callable[[], Model], names: tuple[str, ...], windows: int) -> None:
        self._make = make
        self._names = names
        self._windows = windows
        self._model: Model | None = None
        self._trained_with: list[list[int]] = []
        self._collected: list[list[int]] = []
        self.failed = False
        """whether it has raised since it was last trained"""

    @property
    def ready(self) -> bool:
        """See StatefulModel."""
        return self._model is not None

    def score_one(self, x: dict[str, float]) -> float:
        """See StatefulModel. 0 if the model raises or returns no finite number: foreign code must not stop a worker."""
        try:
            score = 0.0 if self._model is None else float(self._model.score_one(x))
        except Exception:  # noqa: BLE001  # as above; sets `failed`
            self.failed = True
            return 0.0
        return score if math.isfinite(score) else 0.0

    def learn_one(self, x: dict[str, float]) -> None:
        """See StatefulModel."""
        self._collected.append([round(STEPS * x[name]) for name in self._names])
        if len(self._collected) >= self._windows:
            self._train(self._collected)
            self._collected = []

    def _train(self, windows: list[list[int]]) -> None:
        model = self._make()
        try:
            for row in windows:
                model.learn_one({name: value / STEPS for name, value in zip(self._names, row, strict=True)})
        except Exception:  # noqa: BLE001  # as above
            self.failed = True
            return
        self._model, self._trained_with, self.failed = model, windows, False

    def dump(self) -> Any:
        """See StatefulModel."""
        return [self._trained_with, self._collected]

    def load(self, state: Any) -> None:
        """See StatefulModel."""
        trained_with, self._collected = ([list(row) for row in rows] for rows in state)
        if trained_with:
            self._train(trained_with)


class ModelDetector:
    """A detector around a model; see the module. ``features`` are the model's input."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Model],
        *,
        features: tuple[str, ...],
        windows: int = WINDOWS,
        identity: str = "",
    ) -> None:
        self.name = name
        self._identity = [identity, *features]
        self._features = features
        self._habits = [(name, habit(name)) for name in features]
        self._make = make
        self._windows = windows
        self._model: StatefulModel | RetrainedModel | None = None
        self._usual: dict[str, Mean] = {}
        self._scores = Mean()
        self._squares = Mean()
        self._calibrator = Calibrator()
        self._seen = 0

    def score_one(self, x: Features) -> float:
        """-log10 p of the model's score."""
        return score_of(self._p_score_share(x)[0])

    def learn_one(self, x: Features) -> None:
        """See Detector: ``learn_many`` of one window."""
        self.learn_many(columns_of([x]))

    def score_many(self, x: Columns) -> Column:
        """See Detector. The model scores row by row."""
        return np.array([self.score_one(row) for row in rows_of(x, range(number_of(x)))], np.float64)

    def learn_many(self, x: Columns) -> None:
        """Learn unflagged windows; after THIN_AFTER windows, only every eighth."""
        first = self._seen + 1
        self._seen += number_of(x)
        taught = [seen - first for seen in range(first, self._seen + 1) if seen <= THIN_AFTER or seen % THIN == 0]
        for row in rows_of(x, taught):
            self._learn(row)

    def _learn(self, x: Features) -> None:
        given = self._given(x)
        if not given:
            return
        usual = self._usual
        for name, value in given.items():
            if name not in usual:
                usual[name] = Mean()
            usual[name].learn(value)
        model = self._model = self._model or self._new()
        full = self._full(given, model)
        if model.ready:
            score = model.score_one(full)
            self._scores.learn(score)
            self._squares.learn(score * score)
            self._calibrator.learn([_size(x)], [self._unit(score)])
        model.learn_one(full)

    def findings(self, x: Features) -> list[Finding]:
        """One finding, if p is below FINDING_P."""
        p, score, share = self._p_score_share(x)
        if p >= FINDING_P:
            return []
        usual = self._scores.value
        text = f"the crowd as a whole is unlike others here: {self.name} gives {score:.2f}, {usual:.2f} is usual"
        return [Finding(UNLIKE_CROWD_CODE, self.name, score, usual, p, share, text)]

    def experienced(self) -> bool:
        """See Detector."""
        return self._calibrator.history() >= HISTORY_MIN

    def failed(self) -> bool:
        """Whether the model has raised since it was last trained. Its scores are then no evidence."""
        return isinstance(self._model, RetrainedModel) and self._model.failed

    def dump(self) -> Any:
        """State as builtins."""
        return [
            self._identity,
            None if self._model is None else self._model.dump(),
            msgspec.to_builtins([self._usual, self._scores, self._squares]),
            msgspec.to_builtins(self._calibrator, str_keys=True),
            self._seen,
        ]

    def load(self, state: Any) -> None:
        """Restore dumped state. State of another model or of other features is dropped."""
        identity, model, (usual, scores, squares), calibrator, seen = state
        if list(identity) != self._identity:
            return
        self._seen = seen
        if model is not None:
            self._model = self._new()
            self._model.load(model)
        self._usual = msgspec.convert(usual, dict[str, Mean])
        self._scores, self._squares = msgspec.convert(scores, Mean), msgspec.convert(squares, Mean)
        self._calibrator = msgspec.convert(calibrator, Calibrator, strict=False)

    def _new(self) -> StatefulModel | RetrainedModel:
        model = self._make()
        return model if isinstance(model, StatefulModel) else RetrainedModel(self._make, self._features, self._windows)

    def _given(self, x: Features) -> dict[str, float]:
        """The model's features that are present, each minus the target's habit."""
        given = {}
        for name, habit_name in self._habits:
            if name in x:
                value = x[name] - x.get(habit_name, 0.0)
                given[name] = 0.0 if value <= 0.0 else min(value, 1.0)
        return given

    def _full(self, given: dict[str, float], model: StatefulModel | RetrainedModel) -> dict[str, float]:
        """All features; for a retrained model, which cannot miss any, absent ones have their usual value."""
        if not isinstance(model, RetrainedModel):
            return given
        usual = self._usual_values(self._features)
        return {name: given.get(name, usual[name]) for name in self._features}

    def _usual_values(self, names: Iterable[str]) -> dict[str, float]:
        return {name: self._usual[name].value if name in self._usual else 0.0 for name in names}

    def _p_score_share(self, x: Features) -> tuple[float, float, float]:
        """p-value, model score, and the largest share of the crowd by which a feature exceeds its usual value."""
        given = self._given(x)
        if not given or self._model is None or not self._model.ready:
            return 1.0, 0.0, 0.0
        score = self._model.score_one(self._full(given, self._model))
        p = self._calibrator.p(_size(x), self._unit(score))
        usual = self._usual_values(given)
        share = max(
            f.part_observed(name, x) * (value - usual[name]) / (1.0 - usual[name])
            for name, value in given.items()
            if usual[name] < 1.0
        )
        return (1.0 if p is None else p), score, min(1.0, max(0.0, share))

    def _unit(self, score: float) -> float:
        """The score in 0 … 1, as its distance from the mean in standard deviations: the calibration's histogram."""
        mean = self._scores.value
        spread = math.sqrt(max(self._squares.value - mean * mean, SPREAD_MIN * SPREAD_MIN))
        return min(1.0, max(0.0, 0.5 + (score - mean) / spread / SPREADS))


def _size(x: Features) -> int:
    return int(x.get(f.PEOPLE, x.get(f.COUNT, 0.0)))
