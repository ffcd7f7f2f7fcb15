"""The section ``[detection]``: thresholds, who has a vote, and which models stand beside the catalogue's detectors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import datetime
from importlib import import_module
from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from detectors.cases.explanations import Promotion
from detectors.catalog.registry import CROWD_DETECTORS, IN_SHADOW, REGISTRY
from detectors.events.event import METRICS
from detectors.scoring.river_models import FAMILIES, WINDOWS, ConfiguredModel, Model
from detectors.thresholds import Rulebook, TargetClass, Thresholds
from streams.settings.section import Section

SEED = 1
"""Given to every model that takes a seed and was not told one: without, a replay would not give the same flags."""


STANDARD = Thresholds()

Score = Annotated[float, Field(ge=1, le=100)]
"""-log10 p."""
Events = Annotated[int, Field(ge=5, le=1_000_000_000)]
Share = Annotated[float, Field(ge=0.05, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


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
        from river.compose import Pipeline  # noqa: PLC0415  # half a second that is spent where there are models

        model: Model = self.make()
        return Pipeline(*(part.make() for part in self.transforms), model) if self.transforms else model

    def choice(self, name: str) -> ConfiguredModel:
        """As the audit is told of it."""
        identity = repr(self.model_dump(exclude={"shadow"}))
        return ConfiguredModel(name, self.make_all, identity, self.family, self.windows, self.shadow)


class Overrides(Section):
    """Thresholds that replace those of ``[detection]``. What is not given stays."""

    surge_score: Score | None = None
    surge_score_least: Score | None = None
    suspect_score: Score | None = None
    artificial_score: Score | None = None
    excess_events: Events | None = None
    artificial_share: Share | None = None
    false_discovery_rate: Rate | None = None

    def over(self, thresholds: Thresholds) -> Thresholds:
        """The thresholds with what is given here put over them."""
        names = [field.name for field in fields(Thresholds)]
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(thresholds, **given)


class ClassOfTargets(Overrides):
    """Targets with thresholds of their own: those of a list, those whose ids begin so, those that a pattern finds."""

    targets: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    pattern: str = ""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None
        return text

    @model_validator(mode="after")
    def _has_some(self) -> ClassOfTargets:
        if not (self.targets or self.prefixes or self.pattern):
            raise ValueError("say which targets: targets = [ids], prefixes = [beginnings of ids] or pattern = a regex")
        if "" in self.prefixes:
            raise ValueError("an empty prefix would be every target; leave it out")
        return self


class Announced(Section):
    """A promotion of a target that was announced: its surge is expected."""

    target: str = Field(min_length=1)
    from_: int | datetime = Field(alias="from")
    until: int | datetime
    metric: Literal["view", "like", "follow"] | None = None
    name: str = "a promotion"
    factor: float | None = Field(default=None, gt=1)

    @field_validator("from_", "until")
    @classmethod
    def _in_ms(cls, moment: int | datetime) -> int:
        if isinstance(moment, int):
            return moment
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no time zone; write it with Z or an offset, or in epoch milliseconds")
        return round(moment.timestamp() * 1000)

    @model_validator(mode="after")
    def _lasts(self) -> Announced:
        if self.promotion().until_ms <= self.promotion().from_ms:
            raise ValueError(f"the promotion of {self.target!r} ends before it begins")
        return self

    def promotion(self) -> Promotion:
        """As the audit is told of it."""
        begin, end = cast("int", self.from_), cast("int", self.until)
        metric = None if self.metric is None else METRICS.index(self.metric)
        return Promotion(self.name, self.target, begin, end, metric, self.factor)


class Detection(Overrides):
    """How targets are judged. These keys can be changed while a worker runs (SIGHUP)."""

    surge_score: Score | None = STANDARD.surge_score
    surge_score_least: Score | None = STANDARD.surge_score_least
    suspect_score: Score | None = STANDARD.suspect_score
    artificial_score: Score | None = STANDARD.artificial_score
    excess_events: Events | None = STANDARD.excess_events
    artificial_share: Share | None = STANDARD.artificial_share
    false_discovery_rate: Rate | None = STANDARD.false_discovery_rate
    metric: dict[Literal["view", "like", "follow"], Overrides] = Field(default={})
    classes: dict[str, ClassOfTargets] = Field(default={}, alias="class")
    shadow: tuple[str, ...] = tuple(sorted(IN_SHADOW))
    """detectors that learn but have no vote"""
    models: dict[str, ModelChoice] = Field(default={})
    explained: bool = True
    """whether strong surges that are accounted for are told of"""
    promotions: tuple[Announced, ...] = ()

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

    @model_validator(mode="after")
    def _in_order(self) -> Detection:
        book = self.rulebook()
        for where, rules in [("", book.by_metric), *((f"class.{n}: ", c.by_metric) for n, c in self._classes(book))]:
            for metric, rule in zip(METRICS, rules, strict=True):
                if rule.surge_score_least > rule.surge_score:
                    raise ValueError(f"{where}surge_score_least is above surge_score for {metric}s; it must not be")
                if rule.suspect_score > rule.artificial_score:
                    raise ValueError(f"{where}suspect_score is above artificial_score for {metric}s; it must not be")
        return self

    def _classes(self, book: Rulebook) -> Iterator[tuple[str, TargetClass]]:
        yield from zip(sorted(self.classes), book.classes, strict=True)

    def rulebook(self) -> Rulebook:
        """The thresholds by metric and class, as the audit is told of them: classes in the order of their names."""
        least = self.over(Thresholds())
        by_metric = tuple(self.metric[name].over(least) if name in self.metric else least for name in METRICS)
        classes = tuple(
            TargetClass(
                frozenset(some.targets),
                some.prefixes,
                re.compile(some.pattern) if some.pattern else None,
                tuple(some.over(thresholds) for thresholds in by_metric),
            )
            for _, some in sorted(self.classes.items())
        )
        return Rulebook(by_metric, classes)

    def announced(self) -> tuple[Promotion, ...]:
        """The promotions, as the audit is told of them."""
        return tuple(one.promotion() for one in self.promotions)

    def choices(self) -> tuple[ConfiguredModel, ...]:
        """The operator's models, as the audit is told of them."""
        return tuple(model.choice(name) for name, model in sorted(self.models.items()))
