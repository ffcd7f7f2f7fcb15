"""What may change while a worker runs, and what may not."""

from __future__ import annotations

import pytest

from detectors.records import Outcome
from streams.settings.live import live_changes
from streams.settings.section import SettingsError
from streams.settings.settings import Settings, load
from streams.targets.changelog import dump_changes
from streams.targets.changelog import load as load_state
from streams.targets.step import PartitionAudit, audit_settings
from tests.crowds import DAY_MS, HISTORY_MINUTES, MINUTE_MS, START_MS, bought, in_order, ordinary
from tests.states import states_of
from tests.streams.pipeline import Pipeline, audit_of


def changed(environ: dict[str, str]) -> Settings:
    """Default settings with some of them changed."""
    return load(None, {f"TRUECOUNT_{key}": value for key, value in environ.items()})


def test_settings_that_are_read_when_a_task_opens_may_change() -> None:
    assert live_changes(Settings(), Settings()) == []
    new = changed({"TIME__COUNTS_SECONDS": "5", "STATE__MEMORY_BYTES": "50000000"})
    assert live_changes(Settings(), new) == ["state.memory_bytes", "time.counts_seconds"]


def test_what_targets_are_judged_by_may_change() -> None:
    new = changed(
        {
            "DETECTION__SUSPECT_SCORE": "3.5",
            "DETECTION__METRIC": "{like = {excess_events = 20}}",
            "DETECTION__SHADOW": "[]",
        }
    )
    assert live_changes(Settings(), new) == ["detection.metric.like", "detection.shadow", "detection.suspect_score"]
    assert new.version() != Settings().version()


def test_new_thresholds_hold_from_their_place_in_the_log_on_and_nothing_is_lost() -> None:
    """An open case goes on and closes, counts go on, and what was an alarm before is none any more."""
    pipe = Pipeline()
    begin = START_MS + HISTORY_MINUTES * MINUTE_MS
    later = begin + 60 * MINUTE_MS
    bursts = bought(2, "v3", begin=begin), bought(4, "v5", begin=later)
    pipe.play(in_order(ordinary(1, minutes=HISTORY_MINUTES + 90), *bursts), batch=40)
    pipe.finish(START_MS + DAY_MS)
    (log,) = pipe.logs

    old = PartitionAudit(audit_settings(Settings(), 0))
    opened = Outcome()
    position = 0
    while not opened.flags:
        old.apply(log[position], position, opened)
        position += 1
    strict = changed({"DETECTION__SUSPECT_SCORE": "90", "DETECTION__ARTIFICIAL_SCORE": "90"})
    new = PartitionAudit(audit_settings(strict, 0))
    restored = load_state(new, dict(dump_changes(old, position)))
    assert restored is not None
    for offset in range(restored.replay_from, position):
        new.replay(log[offset], offset)
    outcome = Outcome()
    for offset in range(position, len(log)):
        new.apply(log[offset], offset, outcome)

    assert {flag.target for flag in opened.flags + outcome.flags} == {"v3"}
    assert {flag.config for flag in outcome.flags} == {strict.version()} != {opened.flags[0].config}
    assert outcome.flags[-1].status == "closed"
    assert outcome.flags[-1].flag_id == opened.flags[0].flag_id
    kept = [states_of(audit.audit) for audit in (audit_of(log)[0], new)]
    assert {key: watched.ledger.raw for key, watched in kept[0].items()} == {
        key: watched.ledger.raw for key, watched in kept[1].items()
    }


def test_any_other_is_refused_by_name_and_the_rest_with_it() -> None:
    new = changed({"TIME__COUNTS_SECONDS": "5", "BROKER__PASSWORD": "hunter2", "PARTITIONS": "3"})
    with pytest.raises(
        SettingsError, match=r"^broker\.password, partitions cannot change while the worker runs"
    ) as why:
        live_changes(Settings(), new)
    assert "hunter2" not in str(why.value)
