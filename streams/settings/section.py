"""A section of the configuration: unknown keys are refused, and nothing changes once it is read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """See the module."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
