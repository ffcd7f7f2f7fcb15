"""The section ``[detection]``: who has a vote, and which models an operator has put beside the catalogue."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from river.compose import Pipeline

from detectors.models import FAMILIES, WINDOWS, Choice, Model
from detectors.registry import CROWD_DETECTORS, IN_SHADOW, REGISTRY
from streams.sections import Section

SEED = 1
"""Given to every model that takes a seed and was not told one: without, a replay would not give the same flags."""


class Part(Section):
    """A class by its import path, and what it is made with."""

    model: str = Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")
    arguments: dict[str, Any] = Field(default={})

    def make(self) -> Any:
        """A new instance. Raises ValueError with a sentence."""
        where, _, name = self.model.rpartition(".")
        try:
            made: Callable[..., Any] = getattr(import_module(where), name)
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f"there is no {self.model!r} to import ({error}); check its path and its package"
            ) from None
        arguments = dict(self.arguments)
        try:
            takes = inspect.signature(made).parameters
            if "seed" in takes and arguments.get("seed") is None:
                arguments["seed"] = SEED
            return made(**arguments)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{self.model} cannot be made with {arguments}: {error}") from None


class ModelChoice(Part):
    """A River model, or a pipeline that ends in one, as a detector of its own."""

    transforms: tuple[Part, ...] = ()
    """what the features go through first, in this order"""
    family: Literal["who", "how", "told"] = "told"
    windows: int = Field(default=WINDOWS, ge=20, le=2000)
    shadow: bool = True

    @model_validator(mode="after")
    def _usable(self) -> ModelChoice:
        model = self.make_all()
        if not (callable(getattr(model, "score_one", None)) and callable(getattr(model, "learn_one", None))):
            raise ValueError(f"{self.model} has no score_one and learn_one: only anomaly detectors can stand here")
        try:
            for value in (0.1, 0.2, 0.3):
                model.learn_one(dict.fromkeys(FAMILIES[self.family], value))
            float(model.score_one(dict.fromkeys(FAMILIES[self.family], 0.5)))
        except Exception as error:  # noqa: BLE001  # it is somebody else's code, and is tried before it runs
            raise ValueError(f"{self.model} does not score features of its own accord: {error!r}") from None
        return self

    def make_all(self) -> Model:
        """The model behind its transforms. Raises ValueError."""
        model: Model = self.make()
        return Pipeline(*(part.make() for part in self.transforms), model) if self.transforms else model

    def choice(self, name: str) -> Choice:
        """As the audit is told of it."""
        identity = repr(self.model_dump(exclude={"shadow"}))
        return Choice(name, self.make_all, identity, self.family, self.windows, self.shadow)


class Detection(Section):
    """How targets are judged. These keys can be changed while a worker runs (SIGHUP)."""

    shadow: tuple[str, ...] = tuple(sorted(IN_SHADOW))
    """detectors that learn but have no vote"""
    models: dict[str, ModelChoice] = Field(default={})

    @field_validator("shadow")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in CROWD_DETECTORS]
        if unknown:
            raise ValueError(f"no such detector: {', '.join(unknown)}; there are {', '.join(CROWD_DETECTORS)}")
        return names

    @field_validator("models")
    @classmethod
    def _named(cls, models: dict[str, ModelChoice]) -> dict[str, ModelChoice]:
        for name in models:
            if name in REGISTRY or not name.isidentifier():
                raise ValueError(f"{name!r} cannot be a model's name: it must be a word that no detector has")
        return models

    def choices(self) -> tuple[Choice, ...]:
        """The operator's models, as the audit is told of them."""
        return tuple(model.choice(name) for name, model in sorted(self.models.items()))
