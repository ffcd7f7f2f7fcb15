"""The partitions that are assigned to this worker. Its consumer may start, stop or fail; nothing here raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog
from faust.types import TP

log = structlog.get_logger()


class Membership(Protocol):
    """What the engine needs of the consumer. Each method may raise anything while the consumer starts or stops."""

    def assignment(self) -> Iterable[TP]:
        """The partitions that are assigned to this worker now."""
        ...

    async def seek(self, partition: TP, offset: int) -> None:
        """Deliver from this offset on. Records that were fetched before may still be delivered first."""
        ...

    async def beginning(self, tp: TP) -> int:
        """The first offset that the broker still has."""
        ...

    def remaining(self, tp: TP, position: int) -> int | None:
        """The number of records from a position to the end of what may be read; None if not known."""
        ...


@dataclass(slots=True, frozen=True)
class Assignment:
    """Asks the current consumer, and answers None if that fails."""

    membership: Callable[[], Membership]

    def partitions(self) -> set[TP] | None:
        """The partitions that are assigned to this worker; None while the consumer does not know."""
        try:
            return set(self.membership().assignment())
        except Exception as error:  # noqa: BLE001  # Faust raises bare errors while it (re)starts its consumer
            log.debug("no assignment yet", error=repr(error))
            return None

    def has(self, tp: TP) -> bool:
        """Whether a partition is assigned to this worker, as far as the consumer knows."""
        return tp in (self.partitions() or ())

    def lag(self, tp: TP, position: int) -> int | None:
        """The number of records between a position and the end of its partition; None if not known."""
        try:
            return self.membership().remaining(tp, position)
        except Exception:  # noqa: BLE001  # not assigned any more, or not started: unknown either way
            return None

    async def seek(self, tp: TP, offset: int) -> None:
        """Ask for delivery from this offset on. If that fails, the task detects a gap and seeks again."""
        try:
            await self.membership().seek(tp, offset)
        except Exception as error:  # noqa: BLE001  # revoked meanwhile: the next owner reads from its checkpoint
            log.warning("could not seek", tp=str(tp), offset=offset, error=repr(error))

    async def beginning(self, tp: TP) -> int | None:
        """The first offset that the broker still has; None if it did not answer."""
        try:
            return await self.membership().beginning(tp)
        except Exception as error:  # noqa: BLE001  # revoked, or no broker: the next owner asks again
            log.warning("could not ask for the beginning", tp=str(tp), error=repr(error))
            return None
