"""What may change while a worker runs, and what may not."""

from __future__ import annotations

import pytest

from streams.reloading import live_changes
from streams.settings import Settings, SettingsError, load


def changed(environ: dict[str, str]) -> Settings:
    """Default settings with some of them changed."""
    return load(None, {f"TRUECOUNT_{key}": value for key, value in environ.items()})


def test_settings_that_are_read_when_a_task_opens_may_change() -> None:
    assert live_changes(Settings(), Settings()) == []
    new = changed({"TIME__COUNTS_SECONDS": "5", "STATE__MEMORY_BYTES": "50000000"})
    assert live_changes(Settings(), new) == ["state.memory_bytes", "time.counts_seconds"]


def test_any_other_is_refused_by_name_and_the_rest_with_it() -> None:
    new = changed({"TIME__COUNTS_SECONDS": "5", "BROKER__PASSWORD": "hunter2", "PARTITIONS": "3"})
    with pytest.raises(
        SettingsError, match=r"^broker\.password, partitions cannot change while the worker runs"
    ) as why:
        live_changes(Settings(), new)
    assert "hunter2" not in str(why.value)
