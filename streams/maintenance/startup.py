"""Checks before a worker starts: all topics exist, and the broker has transactions if they are needed."""

from __future__ import annotations

from streams.kafka.topics import BrokerError, missing, partition_counts
from streams.maintenance.doctor import NO_TRANSACTIONS, supports_transactions
from streams.roles import ROLES, needed
from streams.settings.section import SettingsError
from streams.settings.settings import Settings


def partitions_read(settings: Settings) -> dict[str, int]:
    """The number of partitions of each topic that a role reads.

    Raises BrokerError if topics are missing, which may still be created. Raises SettingsError if waiting cannot help.
    """
    lacking = missing(settings, needed(settings))
    if lacking:
        raise BrokerError(f"missing topics: {', '.join(lacking)}; create them with `truecount topics create`")
    counts = partition_counts(settings, {topic for role in ROLES.values() for topic in role.reads(settings)})
    if settings.processing == "exactly_once" and not supports_transactions(settings):
        raise SettingsError(f"{settings.broker.servers}: {NO_TRANSACTIONS}")
    return counts
