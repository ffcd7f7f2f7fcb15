"""Topics: names under prefixes, and what their readers need."""

from __future__ import annotations

from streams.kafka.topics import BY_TARGET, CORRECTIONS, INGEST_STATE, TARGETS_STATE
from streams.settings.settings import Settings


def test_log_and_state_can_have_prefixes_of_their_own() -> None:
    settings = Settings(prefix="live.", log_prefix="log.", state_prefix="state.")
    names = [topic.name(settings) for topic in (BY_TARGET, INGEST_STATE, TARGETS_STATE, CORRECTIONS)]
    assert names == ["log.by-target", "log.ingest-state", "state.targets-state", "live.corrections"]


def test_topics_keep_what_their_readers_need() -> None:
    settings = Settings(retention_hours=2)
    assert BY_TARGET.planned(settings).topic_configs == {"retention.ms": "7200000"}
    assert CORRECTIONS.planned(settings).topic_configs == {"retention.ms": "-1"}
    assert TARGETS_STATE.planned(settings).topic_configs["cleanup.policy"] == "compact"
