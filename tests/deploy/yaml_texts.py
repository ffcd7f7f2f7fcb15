"""Reads YAML with all scalars as texts, as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def read(path: Path) -> Any:
    """The document as dicts, lists and strings."""
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  # it makes texts only
