"""Topics: names under prefixes, and sentences for what goes wrong between a client and the broker."""

from __future__ import annotations

import aiokafka.errors
import kafka.errors
import pytest

from streams.kafka.topics import BY_TARGET, CORRECTIONS, INGEST_STATE, TARGETS_STATE, describe
from streams.settings.broker import Broker
from streams.settings.settings import Settings

SETTINGS = Settings(broker=Broker(servers="kafka:9092", username="audit"))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (kafka.errors.SaslAuthenticationFailedError("no"), "kafka:9092 refused the credentials"),
        (aiokafka.errors.AuthenticationFailedError("no"), "kafka:9092 refused the credentials"),
        (kafka.errors.UnsupportedSaslMechanismError("no"), "kafka:9092 refused the credentials"),
        (aiokafka.errors.SaslAuthenticationFailed("no"), "kafka:9092 refused the credentials"),
        (kafka.errors.TopicAuthorizationFailedError("no"), "check the ACLs of audit"),
        (aiokafka.errors.GroupAuthorizationFailedError("no"), "check the ACLs of audit"),
        (aiokafka.errors.TransactionalIdAuthorizationFailed("no"), "check the ACLs of audit"),
        (kafka.errors.KafkaTimeoutError("no"), "no broker answers at kafka:9092"),
        (aiokafka.errors.KafkaConnectionError("no"), "no broker answers at kafka:9092"),
        (TimeoutError(), "no broker answers at kafka:9092"),
        (kafka.errors.InvalidTopicError("no"), "the broker at kafka:9092 answered InvalidTopicError"),
    ],
)
def test_an_error_of_either_client_is_a_sentence_that_says_what_to_check(error: Exception, sentence: str) -> None:
    assert sentence in describe(error, SETTINGS)


def _errors(library: object) -> list[type[BaseException]]:
    classes = [each for each in vars(library).values() if isinstance(each, type)]
    return [each for each in classes if issubclass(each, BaseException)]


@pytest.mark.parametrize("library", [kafka.errors, aiokafka.errors], ids=["kafka", "aiokafka"])
def test_every_refusal_that_a_client_names_has_its_sentence(library: object) -> None:
    for error in _errors(library):
        if "Sasl" in error.__name__ or "Authentication" in error.__name__:
            assert "credentials" in describe(error("no"), SETTINGS), error
        elif "Authorization" in error.__name__:
            assert "ACLs" in describe(error("no"), SETTINGS), error


def test_log_and_state_can_have_prefixes_of_their_own() -> None:
    settings = Settings(prefix="live.", log_prefix="log.", state_prefix="state.")
    names = [topic.name(settings) for topic in (BY_TARGET, INGEST_STATE, TARGETS_STATE, CORRECTIONS)]
    assert names == ["log.by-target", "log.ingest-state", "state.targets-state", "live.corrections"]


def test_topics_keep_what_their_readers_need() -> None:
    settings = Settings(retention_hours=2)
    assert BY_TARGET.planned(settings).topic_configs == {"retention.ms": "7200000"}
    assert CORRECTIONS.planned(settings).topic_configs == {"retention.ms": "-1"}
    assert TARGETS_STATE.planned(settings).topic_configs["cleanup.policy"] == "compact"
