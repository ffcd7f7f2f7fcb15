"""What the configuration says of the rules on single events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from detectors.intake.rules.reasons import RULES
from streams.settings import lists
from streams.settings.section import Section


def _list(check: Callable[[str], str]) -> BeforeValidator:
    def read(raw: object) -> object:
        if not isinstance(raw, list | tuple) or not all(isinstance(entry, str) for entry in raw):
            raise ValueError('write a list of texts, where "@path" stands for the lines of a file')
        return lists.read(raw, check)

    return BeforeValidator(read)


NetworkList = Annotated[tuple[str, ...], _list(lists.network)]
AgentList = Annotated[tuple[str, ...], _list(lists.agent)]
NameList = Annotated[tuple[str, ...], _list(lists.name)]


class Allow(Section):
    """Whom no rule applies to."""

    networks: NetworkList = ()
    agents: AgentList = ()
    actors: NameList = ()
    targets: NameList = ()


class DoubleClick(Section):
    """Seconds within which the same act of the same actor on the same target is the same; 0 is never."""

    view: float = Field(default=30.0, ge=0, le=60)
    like: float = Field(default=0.0, ge=0, le=60)
    follow: float = Field(default=0.0, ge=0, le=60)


class Rate(Section):
    """How often one actor may act on one target; 0 is no limit."""

    per_minute: int = Field(default=30, ge=0)
    per_day: int = Field(default=800, ge=0)


class Rules(Section):
    """Rules on single events. These keys can be changed while a worker runs (SIGHUP)."""

    off: tuple[str, ...] = ()
    """rules that do not hold"""
    networks: NetworkList = ()
    agents: AgentList = ()
    double_click: DoubleClick = Field(default=DoubleClick())
    rate: Rate = Field(default=Rate())
    allow: Allow = Field(default=Allow())

    @field_validator("off")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in RULES]
        if unknown:
            raise ValueError(f"no such rule: {', '.join(unknown)}; there are {', '.join(RULES)}")
        return names
