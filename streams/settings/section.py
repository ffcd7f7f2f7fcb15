"""Base class of configuration sections: immutable, and unknown keys are refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from streams.failures import Failure


class Section(BaseModel):
    """A section of the configuration: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class SettingsError(Failure):
    """A configuration is invalid. The message names the key and what to do."""

    exit_code = 2
