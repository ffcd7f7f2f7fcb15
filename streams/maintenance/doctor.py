"""What ``truecount doctor`` looks at: each finding is a sentence and a yes or no."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from dataclasses import asdict, dataclass

from kafka.errors import KafkaError

from streams.ingest.mapping.decoder import EventDecoder
from streams.kafka.reader import Reader
from streams.kafka.topics import BrokerError, Topics, admin, describe, missing, partition_counts
from streams.maintenance.unjudged import unjudged_of
from streams.maps.sampling import topic_sample
from streams.maps.trial import Trial
from streams.roles import ROLES, needed
from streams.settings.inputs import Input
from streams.settings.settings import Settings
from streams.state.sealed import StateError
from streams.targets.unjudged import Positions

SAMPLED = 100
"""Records of each input topic that are tried."""
REFUSED_MAX = 0.01
"""Share of them that may be refused: a bad record now and then is what dead letters are for."""

DISK_FREE_MIN = 1024**3
PYTHON_MIN = (3, 11)

TRANSACTION_APIS = {22, 24, 25, 26, 28}
"""InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit (Kafka's protocol guide)."""
DESCRIBE_TRANSACTIONS = 65

NO_TRANSACTIONS = (
    'processing = "exactly_once" needs transactions, and the broker has none; set processing = "at_least_once"'
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    said: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def run_checks(settings: Settings) -> list[Finding]:
    """Look at the machine, the broker, the topics and the transactions, in that order."""
    findings = [_python(), _disk(settings)]
    try:
        lacking = missing(settings, needed(settings))
    except BrokerError as error:
        return [*findings, Finding("broker", False, str(error))]
    findings.append(Finding("broker", True, f"{settings.broker.servers} answers"))
    if lacking:
        said = f"missing: {', '.join(lacking)}; make them with `truecount topics create`"
        findings.append(Finding("topics", False, said))
    else:
        findings += [Finding("topics", True, "all there"), _partitions(settings), _judged(settings)]
    findings.append(_transactions(settings))
    if not lacking:
        findings += [_readable(settings, each) for each in settings.inputs]
    return findings


def supports_transactions(settings: Settings) -> bool:
    """Whether the broker has transactional producers. Raises BrokerError.

    The embedded broker lists the requests that a producer sends, and yet fails them; it does not list
    DescribeTransactions, which every Kafka has that has anything newer.
    """
    client = admin(settings)
    try:
        listed = {int(key) for key in client.api_versions()}
    except (KafkaError, OSError, ValueError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()
    return listed >= TRANSACTION_APIS and (DESCRIBE_TRANSACTIONS in listed or max(listed) < DESCRIBE_TRANSACTIONS)


def _python() -> Finding:
    ok = sys.version_info[:2] >= PYTHON_MIN
    return Finding("python", ok, f"{platform.python_version()}; {'.'.join(map(str, PYTHON_MIN))} or newer is needed")


def _disk(settings: Settings) -> Finding:
    directory = settings.state.directory
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    free = shutil.disk_usage(directory).free
    ok = free >= DISK_FREE_MIN and os.access(directory, os.W_OK)
    said = (
        f"{free / 1024**3:.1f} GiB free at {directory}, {'writable' if os.access(directory, os.W_OK) else 'read-only'}"
    )
    return Finding("state directory", ok, said)


def _partitions(settings: Settings) -> Finding:
    """Whether each role can write into the partition of the number that it reads."""
    groups = [names for role in ROLES.values() if (names := role.equal_partitions(settings))]
    try:
        counts = partition_counts(settings, {name for names in groups for name in names})
    except BrokerError as error:
        return Finding("partitions", False, str(error))
    uneven = [names for names in groups if len({counts[name] for name in names}) > 1]
    said = "; ".join(", ".join(f"{name} {counts[name]}" for name in sorted(names)) for names in uneven or groups)
    return Finding("partitions", not uneven, f"must be equal: {said}" if uneven else said)


def _readable(settings: Settings, config: Input) -> Finding:
    """The last records of an input topic, decoded as ingest does it."""
    what = f"input {config.topic}"
    try:
        sampled = topic_sample(settings, config.topic, SAMPLED)
    except BrokerError as error:
        return Finding(what, False, str(error))
    if not len(sampled.records.value):
        return Finding(what, True, "no records yet")
    latest_ms = round((time.time() + settings.time.future_skew_seconds) * 1000)
    trial = Trial(EventDecoder(config, settings.time.earliest), latest_ms)
    for _ in trial.try_all(sampled.records):
        pass
    totals = trial.totals
    refused = totals.refused.total()
    said = f"of the last {totals.records:,} records {refused:,} are refused and {totals.skipped.total():,} passed over"
    if refused:
        said += f"; most often {totals.most_refused()}"
    elif totals.unread:
        field, count = totals.unread.most_common(1)[0]
        said += f"; left out most often: {field} ({count:,})"
    return Finding(what, refused <= REFUSED_MAX * totals.records, said)


def _judged(settings: Settings) -> Finding:
    """Whether everything of the log could be audited, as far as the log is still there."""
    try:
        reader = Reader(settings, Topics.of(settings).by_target)
        try:
            begins = reader.beginnings()
        finally:
            reader.close()
        unjudged = unjudged_of(settings)
    except (BrokerError, StateError) as error:
        return Finding("log", False, str(error))
    retained = {p: [one for one in some if one[1] >= begins.get(p, 0)] for p, some in unjudged.items()}
    ranges = {partition: some for partition, some in retained.items() if some}
    if not ranges:
        return Finding("log", True, "every record that was read could be audited")
    records = sum(Positions(some).total() for some in ranges.values())
    places = ", ".join(f"partition {partition} at offset {some[-1][1]}" for partition, some in ranges.items())
    said = (
        f"{records} records could not be audited: their events are counted and not judged (last: {places});"
        " see `Detection failed` in docs/operations.md"
    )
    return Finding("log", False, said)


def _transactions(settings: Settings) -> Finding:
    if settings.processing == "at_least_once":
        return Finding("processing", True, "at_least_once: consumers should deduplicate by id")
    if supports_transactions(settings):
        return Finding("processing", True, "exactly_once: the broker has transactions")
    return Finding("processing", False, NO_TRANSACTIONS)
