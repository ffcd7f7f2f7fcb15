"""The section ``[rules]``: rules on single events."""

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
            raise ValueError('must be a list of texts; "@path" includes the lines of a file')
        return lists.read(raw, check)

    return BeforeValidator(read)


NetworkList = Annotated[tuple[str, ...], _list(lists.network)]
AgentList = Annotated[tuple[str, ...], _list(lists.agent)]
NameList = Annotated[tuple[str, ...], _list(lists.name)]


class Allow(Section):
    """Networks, agents, actors and targets that no rule applies to."""

    networks: NetworkList = ()
    agents: AgentList = ()
    actors: NameList = ()
    targets: NameList = ()


class DoubleClick(Section):
    """Seconds within which a repeated act of one actor on one target is a double click; 0 turns the rule off."""

    view: float = Field(default=30.0, ge=0, le=60)
    like: float = Field(default=0.0, ge=0, le=60)
    follow: float = Field(default=0.0, ge=0, le=60)


class Rate(Section):
    """Limits on how often one actor may act on one target; 0 is no limit."""

    per_minute: int = Field(default=30, ge=0)
    per_day: int = Field(default=800, ge=0)


class Rules(Section):
    """Rules on single events. A running worker applies changes of these keys (SIGHUP)."""

    off: tuple[str, ...] = ()
    """rules that are turned off"""
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
            raise ValueError(f"unknown rule {', '.join(unknown)}; the rules are {', '.join(RULES)}")
        return names
