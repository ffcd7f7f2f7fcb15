"""The checks of ``truecount doctor``: machine, broker, access, topics, transactions, log and input records."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass

from kafka.errors import KafkaError

from streams.engine.failed_records import Positions
from streams.ingest.mapping.decoder import EventDecoder
from streams.kafka.errors import BrokerError, describe
from streams.kafka.reader import Reader
from streams.kafka.topics import Topics, admin, missing, partition_counts, remedy
from streams.maintenance.access import Access, acl_commands, principal_of, worker_access
from streams.maintenance.permissions import creation_refused, missing_access
from streams.maintenance.unjudged import unjudged_of
from streams.maps.sampling import topic_sample
from streams.maps.trial import Trial
from streams.roles import needed, plan, used_roles
from streams.settings.inputs import Input
from streams.settings.settings import Settings
from streams.state.sealed import StateError

SAMPLED = 100
"""Records of each input topic that are decoded."""
REFUSED_MAX = 0.01
"""Largest share of them that may be refused: dead letters are made for a bad record now and then."""

DISK_FREE_MIN = 1024**3
PYTHON_MIN = (3, 11)

TRANSACTION_APIS = {22, 24, 25, 26, 28}
"""InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit (Kafka's protocol guide)."""
DESCRIBE_TRANSACTIONS = 65

NO_TRANSACTIONS = (
    'processing = "exactly_once" needs a broker with transactions, and this one has none;'
    ' set processing = "at_least_once"'
)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    what: str
    ok: bool
    message: str
    commands: tuple[str, ...] = ()
    """lines of a shell that mend it"""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"what": self.what, "ok": self.ok, "said": self.message, "commands": list(self.commands)}


def run_checks(settings: Settings) -> list[Check]:
    """Check the machine, the broker, the access, the topics, the transactions and the input records, in that order.

    A check is left out if it needs what an earlier one did not find, so that only the cause is reported.
    """
    checks = [_python(), _disk(settings)]
    try:
        transactions = supports_transactions(settings)
        # Transactional ids are asked only of a broker that has them.
        asked = [each for each in worker_access(settings) if transactions or each.resource != "transactional-id"]
        refused = missing_access(settings, asked)
        checks.append(Check("broker", True, f"{settings.broker.servers} answers"))
        checks.append(_access(settings, refused))
        lacking = missing(settings, needed(settings))
        checks += _topics(settings, lacking)
        checks.append(_transactions(settings, supported=transactions))
        closed = {access.name for access in refused if access.resource == "topic"}
        if not lacking and not closed:
            checks += [_partitions(settings), _log_audited(settings)]
        readable = [each for each in settings.inputs if each.topic not in closed and each.topic not in lacking]
        checks += [_input_records(settings, config) for config in readable]
    except BrokerError as error:
        checks.append(Check("broker", False, str(error)))
    return checks


def _access(settings: Settings, refused: list[Access]) -> Check:
    if not refused:
        return Check("access", True, "a worker may do all it needs")
    return access_refused("access", settings, refused)


def access_refused(what: str, settings: Settings, refused: list[Access]) -> Check:
    """The check for access that the broker does not allow, with the commands that grant it."""
    principal = principal_of(settings, settings.broker.username or "ANONYMOUS")
    return Check(
        what,
        False,
        f"{principal} may not {', '.join(map(str, refused))}; an administrator can grant it:",
        tuple(acl_commands(refused, principal, settings.broker.servers)),
    )


def _topics(settings: Settings, lacking: list[str]) -> list[Check]:
    if not lacking:
        return [Check("topics", True, "all topics exist")]
    checks = []
    own = [topic for topic in plan(settings, inputs=False) if topic.name in lacking]
    if own:
        names = ", ".join(topic.name for topic in own)
        message = f"missing: {names}; create them with `truecount topics create --own-only`"
        checks.append(Check("topics", False, message))
        refused = creation_refused(settings, own)
        if refused:
            checks.append(access_refused("access to create topics", settings, refused))
    absent = sorted({each.topic for each in settings.inputs}.intersection(lacking))
    checks += [
        Check(f"input {name}", False, f"topic {name} does not exist; {remedy(settings, name)}") for name in absent
    ]
    return checks


def supports_transactions(settings: Settings) -> bool:
    """Whether the broker supports transactional producers. Raises BrokerError.

    The embedded broker lists the requests of a transactional producer, but fails them. It does not list
    DescribeTransactions, which every Kafka with a newer request has.
    """
    client = admin(settings)
    try:
        listed = {int(key) for key in client.api_versions()}
    except (KafkaError, OSError, ValueError) as error:
        raise BrokerError(describe(error, settings)) from error
    finally:
        client.close()
    return listed >= TRANSACTION_APIS and (DESCRIBE_TRANSACTIONS in listed or max(listed) < DESCRIBE_TRANSACTIONS)


def _python() -> Check:
    ok = sys.version_info[:2] >= PYTHON_MIN
    return Check(
        "python", ok, f"{platform.python_version()}; truecount needs {'.'.join(map(str, PYTHON_MIN))} or newer"
    )


def _disk(settings: Settings) -> Check:
    directory = settings.state.directory
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    if not directory.is_dir():
        return Check("state directory", False, f"{directory} is a file; state.directory must be a directory")
    free = shutil.disk_usage(directory).free
    ok = free >= DISK_FREE_MIN and os.access(directory, os.W_OK)
    message = (
        f"{free / 1024**3:.1f} GiB free at {directory}, {'writable' if os.access(directory, os.W_OK) else 'read-only'}"
    )
    return Check("state directory", ok, message)


def _partitions(settings: Settings) -> Check:
    """Whether the topics that a role reads and writes partition by partition have equally many partitions."""
    groups = [names for role in used_roles(settings) if (names := role.equal_partitions(settings))]
    try:
        counts = partition_counts(settings, {name for names in groups for name in names})
    except BrokerError as error:
        return Check("partitions", False, str(error))
    uneven = [names for names in groups if len({counts[name] for name in names}) > 1]
    message = "; ".join(", ".join(f"{name} {counts[name]}" for name in sorted(names)) for names in uneven or groups)
    return Check(
        "partitions", not uneven, f"these topics must have equally many partitions: {message}" if uneven else message
    )


def _input_records(settings: Settings, config: Input) -> Check:
    """Decode the last records of an input topic as ingest does."""
    what = f"input {config.topic}"
    try:
        sampled = topic_sample(settings, config.topic, SAMPLED)
    except BrokerError as error:
        return Check(what, False, str(error))
    if not len(sampled.records.value):
        return Check(what, True, "no records yet")
    latest_ms = round((time.time() + settings.time.future_skew_seconds) * 1000)
    trial = Trial(EventDecoder(config, settings.time.earliest), latest_ms)
    for _ in trial.try_all(sampled.records):
        pass
    totals = trial.totals
    refused = totals.refused.total()
    message = f"of the last {totals.records:,} records, {refused:,} are refused and {totals.skipped.total():,} skipped"
    if refused:
        message += f"; the most frequent reason is {totals.most_refused()}"
    elif totals.unread:
        field, count = totals.unread.most_common(1)[0]
        message += f"; the most frequent value left out is {field} ({count:,})"
    return Check(what, refused <= REFUSED_MAX * totals.records, message)


def _log_audited(settings: Settings) -> Check:
    """Whether every retained record of the log was audited."""
    try:
        reader = Reader(settings, Topics.of(settings).by_target)
        try:
            begins = reader.beginnings()
        finally:
            reader.close()
        unjudged = unjudged_of(settings)
    except (BrokerError, StateError) as error:
        return Check("log", False, str(error))
    retained = {p: [pair for pair in found if pair[1] >= begins.get(p, 0)] for p, found in unjudged.items()}
    ranges = {partition: found for partition, found in retained.items() if found}
    if not ranges:
        return Check("log", True, "every retained record was audited")
    records = sum(Positions(found).total() for found in ranges.values())
    places = ", ".join(f"partition {partition} at offset {found[-1][1]}" for partition, found in ranges.items())
    message = (
        f"{records} records could not be audited: their events are counted, but not judged (last: {places});"
        " see `Detection failed` in docs/operations.md"
    )
    return Check("log", False, message)


def _transactions(settings: Settings, *, supported: bool) -> Check:
    if settings.processing == "at_least_once":
        return Check("processing", True, "at_least_once: consumers must deduplicate flags and corrections by id")
    if supported:
        return Check("processing", True, "exactly_once: the broker has transactions")
    return Check("processing", False, NO_TRANSACTIONS)
