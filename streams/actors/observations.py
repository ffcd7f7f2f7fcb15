"""Updates metrics from the outcomes of accounts."""

from __future__ import annotations

from detectors.accounts.outcome import AccountsOutcome
from streams import metrics
from streams.actors.step import PartitionAccounts
from streams.metric_series import ANSWERED, REFUSED


def count_outcome(outcome: AccountsOutcome) -> None:
    """Add an outcome to the counters."""
    metrics.ACTOR_EVENTS.inc(outcome.events)
    for kind, count in outcome.ruled.items():
        metrics.RULINGS.labels(kind).inc(count)
    for kind, count in outcome.reversed.items():
        metrics.REVERSED_RULINGS.labels(kind).inc(count)
    metrics.ANSWERED.labels(ANSWERED).inc(outcome.answered)
    metrics.ANSWERED.labels(REFUSED).inc(outcome.refused)
    for part, failures in outcome.failures.items():
        metrics.UNJUDGED_WINDOWS.labels(part).inc(failures)


class ActorGauges:
    """The gauges of one partition of by-actor."""

    def __init__(self, partition: int) -> None:
        self._partition = str(partition)

    def show(self, accounts: PartitionAccounts) -> None:
        """Update them."""
        metrics.ACCOUNTS.labels(self._partition).set(len(accounts.accounts))
        metrics.OPEN_QUESTIONS.labels(self._partition).set(accounts.accounts.open_questions)
        if accounts.clock.now >= 0:
            metrics.ACTOR_EVENT_TIME.labels(self._partition).set(accounts.clock.now / 1000)

    def forget(self) -> None:
        """Remove the series of this partition: another worker shows it now."""
        for gauge in (metrics.ACCOUNTS, metrics.OPEN_QUESTIONS, metrics.ACTOR_EVENT_TIME):
            metrics.remove(gauge, self._partition)
