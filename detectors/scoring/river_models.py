"""A River anomaly detector as one of truecount's: what it is shown, when it learns, what its scores are worth.

A model sees a closed window as a dict of features in 0 … 1, each less the target's own habit of it. Its scores mean
nothing by themselves, so they are centred, scaled by their spread, and calibrated on unflagged windows of the same
size as every detector's are (``calibration``).

A model's state must survive as builtins, never as a pickle. Two ways, chosen by what the model offers:

* ``dump()`` and ``load(state)`` (see ``Keeping``): it learns window by window, and answers for its own state.
* Any other is *taught anew*: learned windows are gathered, and each time there are ``windows`` of them a new model is
  made and shown these, in order. It is then a function of the last gathered windows, and these are its state. That
  is exact for every deterministic model, and survives a new version of River.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import msgspec

from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.calibration import HISTORY_MIN, Calibrator, Mean
from detectors.scoring.detector import FINDING_P, Finding, score_of
from detectors.scoring.sentences import habit

WINDOWS = 250
"""Windows that a model is taught by, and after which it is refreshed: River's own choice for HalfSpaceTrees."""

THIN_AFTER = 2 * WINDOWS
THIN = 8
"""After so many windows a model learns from every eighth: what is usual needs a sample, and each costs some 30 µs."""

SPREADS = 20.0
"""Spreads from the mean, both sides together, that the calibration's histogram spans."""
SPREAD_MIN = 1e-3

STEPS = 100
"""A gathered feature is kept in hundredths."""

UNLIKE_CROWD_CODE = "unlike_crowd"

FAMILIES: dict[str, tuple[str, ...]] = {
    "who": (f.FRESH, f.COHORT, f.DORMANT, f.NETWORK, f.SPREAD),
    "how": (f.REPEATS, f.EVEN, f.WATCH, f.SILENT, f.LONELY),
    "told": f.CROWD_FEATURES,
}
"""What a model is shown by what it answers. A verdict needs a *who* and a *how* that do not share their data, so a
model that votes sees the features of one of them alone; one that sees all is told, and judges nobody."""


class Model(Protocol):
    """What is asked of a model: River's interface of an unsupervised anomaly detector. Larger scores are odder."""

    def score_one(self, x: dict[str, float]) -> float:
        """How odd a window is."""
        ...

    def learn_one(self, x: dict[str, float]) -> Any:
        """Learn a window."""
        ...


@runtime_checkable
class StatefulModel(Protocol):
    """A model that answers for its own state, and for features that are absent from what it is shown."""

    ready: bool
    """whether it has learned enough for a score"""

    def score_one(self, x: dict[str, float]) -> float:
        """How odd a window is. An absent feature must not make it odder."""
        ...

    def learn_one(self, x: dict[str, float]) -> Any:
        """Learn a window."""
        ...

    def dump(self) -> Any:
        """State as msgspec-encodable builtins; the same whether it was ever dumped or not."""
        ...

    def load(self, state: Any) -> None:
        """Take the state that ``dump`` gave: it must score and learn on as the original would."""
        ...


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """A model that an operator has put beside the catalogue's detectors."""

    name: str
    make: Callable[[], Model]
    identity: str = ""
    """what else it is than its name: state of another identity is forgotten"""
    family: str = "told"
    """one of FAMILIES"""
    windows: int = WINDOWS
    shadow: bool = True

    def detector(self) -> ModelDetector:
        """A detector with a new model in it."""
        of = FAMILIES[self.family]
        return ModelDetector(self.name, self.make, of=of, windows=self.windows, identity=self.identity)


class RetrainedModel:
    """A model that offers no state of its own, as a function of the windows it was taught by."""

    def __init__(self, make: Callable[[], Model], names: tuple[str, ...], windows: int) -> None:
        self._make = make
        self._names = names
        self._windows = windows
        self._model: Model | None = None
        self._taught: list[list[int]] = []
        self._gathered: list[list[int]] = []
        self.failed = False
        """whether it raised since it was last taught"""

    @property
    def ready(self) -> bool:
        """See Keeping."""
        return self._model is not None

    def score_one(self, x: dict[str, float]) -> float:
        """See Keeping. What raises, or is no finite number, is taken for 0: somebody else's code stops no worker."""
        try:
            score = 0.0 if self._model is None else float(self._model.score_one(x))
        except Exception:  # noqa: BLE001  # as above; `failed` says so
            self.failed = True
            return 0.0
        return score if math.isfinite(score) else 0.0

    def learn_one(self, x: dict[str, float]) -> None:
        """See Keeping."""
        self._gathered.append([round(STEPS * x[name]) for name in self._names])
        if len(self._gathered) >= self._windows:
            self._teach(self._gathered)
            self._gathered = []

    def _teach(self, windows: list[list[int]]) -> None:
        model = self._make()
        try:
            for row in windows:
                model.learn_one({name: value / STEPS for name, value in zip(self._names, row, strict=True)})
        except Exception:  # noqa: BLE001  # as above
            self.failed = True
            return
        self._model, self._taught, self.failed = model, windows, False

    def dump(self) -> Any:
        """See Keeping."""
        return [self._taught, self._gathered]

    def load(self, state: Any) -> None:
        """See Keeping."""
        taught, self._gathered = ([list(row) for row in rows] for rows in state)
        if taught:
            self._teach(taught)


class ModelDetector:
    """See the module. ``of`` are the features it is shown."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Model],
        *,
        of: tuple[str, ...],
        windows: int = WINDOWS,
        identity: str = "",
    ) -> None:
        self.name = name
        self._identity = [identity, *of]
        self._of = of
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
        return score_of(self._judged(x)[0])

    def learn_one(self, x: Features) -> None:
        """Show the model an unflagged window, or leave it at every eighth."""
        self._seen += 1
        if self._seen > THIN_AFTER and self._seen % THIN:
            return
        shown = self._shown(x)
        if not shown:
            return
        for name, value in shown.items():
            self._usual.setdefault(name, Mean()).learn(value)
        model = self._model = self._model or self._new()
        full = self._full(shown, model)
        if model.ready:
            score = model.score_one(full)
            self._scores.learn(score)
            self._squares.learn(score * score)
            self._calibrator.learn(_size(x), self._unit(score))
        model.learn_one(full)

    def findings(self, x: Features) -> list[Finding]:
        """One, if the model finds the window odder than nine in ten."""
        p, score, share = self._judged(x)
        if p >= FINDING_P:
            return []
        usual = self._scores.value
        text = f"the crowd as a whole is unlike others here: {self.name} gives {score:.2f}, {usual:.2f} is usual"
        return [Finding(UNLIKE_CROWD_CODE, self.name, score, usual, p, share, text)]

    def experienced(self) -> bool:
        """See Detector."""
        return self._calibrator.history() >= HISTORY_MIN

    def failed(self) -> bool:
        """Whether the model has raised lately; its scores are then no evidence."""
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
        """Take dumped state; that of another model, or one of other features, is forgotten."""
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
        return model if isinstance(model, StatefulModel) else RetrainedModel(self._make, self._of, self._windows)

    def _shown(self, x: Features) -> dict[str, float]:
        return {name: min(1.0, max(0.0, x[name] - x.get(habit(name), 0.0))) for name in self._of if name in x}

    def _full(self, shown: dict[str, float], model: StatefulModel | RetrainedModel) -> dict[str, float]:
        """With what is usual in the place of what is absent, for models that cannot do without."""
        if not isinstance(model, RetrainedModel):
            return shown
        usual = self._usually(self._of)
        return {name: shown.get(name, usual[name]) for name in self._of}

    def _usually(self, names: Iterable[str]) -> dict[str, float]:
        return {name: self._usual[name].value if name in self._usual else 0.0 for name in names}

    def _judged(self, x: Features) -> tuple[float, float, float]:
        """p-value, score, and the largest part of the crowd by which a feature exceeds what is usual of it."""
        shown = self._shown(x)
        if not shown or self._model is None or not self._model.ready:
            return 1.0, 0.0, 0.0
        score = self._model.score_one(self._full(shown, self._model))
        p = self._calibrator.p(_size(x), self._unit(score))
        usual = self._usually(shown)
        share = max(
            f.part_observed(name, x) * (value - usual[name]) / (1.0 - usual[name])
            for name, value in shown.items()
            if usual[name] < 1.0
        )
        return (1.0 if p is None else p), score, min(1.0, max(0.0, share))

    def _unit(self, score: float) -> float:
        """The score as spreads from the mean, so that any model's fits the calibration's histogram."""
        mean = self._scores.value
        spread = math.sqrt(max(self._squares.value - mean * mean, SPREAD_MIN * SPREAD_MIN))
        return min(1.0, max(0.0, 0.5 + (score - mean) / spread / SPREADS))


def _size(x: Features) -> int:
    return int(x.get(f.PEOPLE, x.get(f.COUNT, 0.0)))
