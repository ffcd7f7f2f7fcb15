"""A section of the configuration: unknown keys are refused, and nothing changes once it is read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from streams.failures import Failure


class Section(BaseModel):
    """See the module."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class SettingsError(Failure):
    """A configuration that must not run. The message names the key and says what to do."""

    exit_code = 2
