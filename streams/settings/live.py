"""Settings that can change while a worker runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from streams import metrics
from streams.settings.section import SettingsError
from streams.settings.settings import Settings

log = structlog.get_logger()

LIVE_SECTIONS = ("detection.", "rules.")
LIVE_KEYS = ("state.memory_bytes", "time.counts_seconds", "actors.allow", "actors.settlement_hours")
"""Keys that a task reads when it opens, and that do not affect earlier results."""


def changed_settings(old: Settings, read: Callable[[], Settings]) -> tuple[Settings, list[str]] | None:
    """Read the settings again; return them with the keys that changed.

    None if nothing has changed, or if they are invalid. Both are logged and counted.
    """
    try:
        new = read()
        changed = live_changes(old, new)
    except SettingsError as error:
        log.error("the new configuration was not applied; the worker continues with the old one", error=str(error))
        metrics.RELOADS.labels("refused").inc()
        metrics.LAST_RELOAD_GOOD.set(0)
        return None
    if not changed:
        log.info("the configuration has not changed")
        metrics.RELOADS.labels("unchanged").inc()
        metrics.LAST_RELOAD_GOOD.set(1)
        return None
    return new, changed


def live_changes(old: Settings, new: Settings) -> list[str]:
    """The keys that changed. Raises SettingsError, naming the keys, if any of them needs a restart."""
    changed = differences(old.model_dump(), new.model_dump())
    fixed = [key for key in changed if key not in LIVE_KEYS and not key.startswith(LIVE_SECTIONS)]
    if fixed:
        live = ", ".join([*(f"[{section.rstrip('.')}]" for section in LIVE_SECTIONS), *LIVE_KEYS])
        raise SettingsError(
            f"{', '.join(fixed)} cannot change while the worker runs, so nothing was applied."
            f" Restart the worker, or undo the change. These keys can change without a restart: {live}"
        )
    return changed


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Dotted keys at which two nested dicts differ. Lists are compared as a whole.

    >>> differences({"a": {"b": 1, "c": [2]}}, {"a": {"b": 1, "c": [3]}})
    ['a.c']
    """
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [at]
    found: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        found += differences(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
    return found
