"""The version of the running package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version of the installed package."""
    try:
        return version("truecount")
    except PackageNotFoundError:
        return "(not installed)"
