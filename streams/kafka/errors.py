"""Errors of the broker as sentences: what happened, to whom, and what to check."""

from __future__ import annotations

from aiokafka import errors as aiokafka
from kafka import errors as kafka_python

from streams.failures import Failure
from streams.kafka.connection import connection_problem
from streams.settings.settings import Settings


class BrokerError(Failure):
    """The broker could not be reached, or a request failed. The message is a sentence."""

    exit_code = 3


class NoConnectionError(BrokerError):
    """No connection to the broker. The message says which step fails."""


CREDENTIALS_REFUSED = (
    kafka_python.SaslAuthenticationFailedError,
    kafka_python.UnsupportedSaslMechanismError,
    kafka_python.IllegalSaslStateError,
    aiokafka.AuthenticationFailedError,
    aiokafka.AuthenticationMethodNotSupported,
    aiokafka.SaslAuthenticationFailed,
    aiokafka.UnsupportedSaslMechanismError,
    aiokafka.IllegalSaslStateError,
)
NOT_ALLOWED = (
    kafka_python.AuthorizationError,
    aiokafka.TopicAuthorizationFailedError,
    aiokafka.GroupAuthorizationFailedError,
    aiokafka.ClusterAuthorizationFailedError,
    aiokafka.TransactionalIdAuthorizationFailed,
    aiokafka.DelegationTokenAuthorizationFailed,
)
NO_ANSWER = (
    kafka_python.KafkaConnectionError,
    kafka_python.KafkaTimeoutError,
    kafka_python.NodeNotReadyError,
    aiokafka.NoBrokersAvailable,
    aiokafka.KafkaConnectionError,
    aiokafka.KafkaTimeoutError,
    aiokafka.NodeNotReadyError,
    OSError,
)


def user_of(settings: Settings) -> str:
    """Who is refused, in a sentence."""
    return settings.broker.username or "this client"


def describe(error: BaseException, settings: Settings) -> str:
    """A sentence for an error of a Kafka client. After an error of the connection, it connects again to find the cause.

    The clients say of most causes only that they found no broker.
    """
    where = settings.broker.servers
    if isinstance(error, NO_ANSWER + CREDENTIALS_REFUSED):
        problem = connection_problem(settings.broker)
        if problem is not None:
            return problem
        if isinstance(error, CREDENTIALS_REFUSED):
            return f"{where} refused the credentials ({error}); check broker.username, password and sasl_mechanism"
        return f"{where} did not answer in time ({type(error).__name__}: {error}), and answers now; try again"
    if isinstance(error, NOT_ALLOWED):
        user = user_of(settings)
        return f"{where} does not allow this to {user} ({error}); `truecount doctor` shows which ACL is missing"
    return f"the broker at {where} answered {type(error).__name__}: {error}"
