"""What a worker does without a broker, or without a topic: it waits, and /readyz and the log say for what.

It waits for the broker, for the access that a worker needs, and for all topics. The wait is the same when a worker
starts and after its consumer has crashed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from streams.clock import Clock
from streams.kafka.errors import BrokerError, NoConnectionError, user_of
from streams.kafka.topics import missing, partition_counts, remedy
from streams.maintenance.access import worker_access
from streams.maintenance.doctor import NO_TRANSACTIONS, supports_transactions
from streams.maintenance.permissions import missing_access
from streams.roles import needed, used_roles
from streams.service.wait_log import WaitLog
from streams.settings.section import SettingsError
from streams.settings.settings import Settings

RETRY_SECONDS = 2.0


class WaitingFor(Protocol):
    """Gets what a worker waits for."""

    def __call__(self, problem: str, *, connected: bool) -> None:
        """``problem`` is a sentence, empty if nothing is missing. ``connected``: a broker answers."""
        ...


async def wait_for_broker(
    settings: Callable[[], Settings], *, stopping: asyncio.Event, waiting_for: WaitingFor, clock: Clock
) -> dict[str, int] | None:
    """Wait until all is there. Returns the number of partitions of each topic read, None if the worker is to stop.

    ``settings`` are asked for at each try, since they may be reloaded. ``waiting_for`` gets what is missing, and the
    empty text when nothing is. Raises SettingsError if waiting cannot help.
    """
    waits = WaitLog(clock, waiting="waiting", ended="the wait is over")
    while not stopping.is_set():
        try:
            counts = await asyncio.to_thread(partitions_read, settings())
        except BrokerError as error:
            problem, connected = str(error), not isinstance(error, NoConnectionError)
        else:
            waiting_for("", connected=True)
            waits.end()
            return counts
        waiting_for(problem, connected=connected)
        waits.wait(problem)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), RETRY_SECONDS)
    return None


def partitions_read(settings: Settings) -> dict[str, int]:
    """The number of partitions of each topic that a role reads.

    Raises BrokerError if access or topics are missing, which may still be granted and created. Raises SettingsError if
    waiting cannot help.
    """
    transactions = supports_transactions(settings)
    if settings.processing == "exactly_once" and not transactions:
        raise SettingsError(f"{settings.broker.servers}: {NO_TRANSACTIONS}")
    refused = missing_access(settings, worker_access(settings))
    if refused:
        wanted = ", ".join(map(str, refused))
        raise BrokerError(f"{user_of(settings)} may not {wanted}; `truecount doctor` prints the missing ACLs")
    lacking = missing(settings, needed(settings))
    if lacking:
        raise BrokerError("; ".join(f"topic {name} does not exist; {remedy(settings, name)}" for name in lacking))
    return partition_counts(settings, {topic for role in used_roles(settings) for topic in role.reads(settings)})
