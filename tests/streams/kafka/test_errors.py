"""Errors of Kafka clients as sentences."""

from __future__ import annotations

import aiokafka.errors
import kafka.errors
import pytest

from streams.kafka.errors import describe
from streams.settings.broker import Broker
from streams.settings.settings import Settings

SETTINGS = Settings(broker=Broker(servers="kafka:9092", username="audit"))


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker can be reached when the cause is looked for."""
    monkeypatch.setattr("streams.kafka.errors.connection_problem", lambda _broker: None)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (kafka.errors.SaslAuthenticationFailedError("no"), "kafka:9092 refused the credentials"),
        (aiokafka.errors.AuthenticationFailedError("no"), "kafka:9092 refused the credentials"),
        (kafka.errors.UnsupportedSaslMechanismError("no"), "kafka:9092 refused the credentials"),
        (aiokafka.errors.SaslAuthenticationFailed("no"), "kafka:9092 refused the credentials"),
        (kafka.errors.TopicAuthorizationFailedError("no"), "does not allow this to audit"),
        (aiokafka.errors.GroupAuthorizationFailedError("no"), "does not allow this to audit"),
        (aiokafka.errors.TransactionalIdAuthorizationFailed("no"), "does not allow this to audit"),
        (kafka.errors.KafkaTimeoutError("no"), "kafka:9092 did not answer in time"),
        (aiokafka.errors.KafkaConnectionError("no"), "kafka:9092 did not answer in time"),
        (TimeoutError(), "kafka:9092 did not answer in time"),
        (kafka.errors.InvalidTopicError("no"), "the broker at kafka:9092 answered InvalidTopicError"),
    ],
)
@pytest.mark.usefixtures("reachable")
def test_an_error_of_either_client_is_a_sentence_that_says_what_to_check(error: Exception, sentence: str) -> None:
    assert sentence in describe(error, SETTINGS)


def _errors(library: object) -> list[type[BaseException]]:
    classes = [each for each in vars(library).values() if isinstance(each, type)]
    return [each for each in classes if issubclass(each, BaseException)]


@pytest.mark.parametrize("library", [kafka.errors, aiokafka.errors], ids=["kafka", "aiokafka"])
@pytest.mark.usefixtures("reachable")
def test_every_refusal_that_a_client_names_has_its_sentence(library: object) -> None:
    for error in _errors(library):
        if "Sasl" in error.__name__ or "Authentication" in error.__name__:
            assert "credentials" in describe(error("no"), SETTINGS), error
        elif "Authorization" in error.__name__:
            assert "ACL" in describe(error("no"), SETTINGS), error


def test_an_error_of_the_connection_names_the_cause_that_is_found_by_connecting_again() -> None:
    settings = Settings(broker=Broker(servers="kafka.invalid:9092"))
    for error in (kafka.errors.KafkaConnectionError("no"), aiokafka.errors.AuthenticationFailedError("no")):
        assert "kafka.invalid:9092: the host name cannot be resolved" in describe(error, settings)
