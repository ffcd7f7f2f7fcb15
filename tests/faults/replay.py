"""The two recorded logs audited again without Kafka, state or faults: they must give every output, byte for byte.

Control records take effect where they are in a log, which depends on the moment at which they were sent. So no run
without faults is the same; the logs are the authority.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from detectors.records import Outcome
from streams.actors.outputs import ruling_key, ruling_value
from streams.actors.step import PartitionAccounts, account_settings
from streams.log.controls import decode_controls, is_control
from streams.settings.settings import Settings
from streams.targets.outputs import correction_value, count_value, flag_value
from streams.targets.step import PartitionAudit, audit_settings

Values = dict[int, list[bytes]]
"""partition → values of records in order"""
SHOWN = 3


@dataclass
class Outputs:
    """What two logs give, by topic and partition; and the control frames for each log, by their sender."""

    flags: Values = field(default_factory=dict)
    corrections: Values = field(default_factory=dict)
    counts: Values = field(default_factory=dict)
    rulings: Values = field(default_factory=dict)
    to_targets: dict[tuple[str, int], list[bytes]] = field(default_factory=dict)
    to_actors: dict[tuple[str, int], list[bytes]] = field(default_factory=dict)
    controls: Counter[str] = field(default_factory=Counter)
    """control records by kind"""
    late: int = 0
    failures: Counter[str] = field(default_factory=Counter)


def ruling_line(key: bytes | None, value: bytes | None) -> bytes:
    """A record of the topic actors as one value."""
    return (key or b"") + b" " + (value or b"")


def sent_controls(log: Iterable[Any]) -> dict[tuple[str, int], list[bytes]]:
    """The control frames in the records of a log: (sender, partition) → frames in order."""
    found: dict[tuple[str, int], list[bytes]] = {}
    for record in log:
        if is_control(record.value):
            found.setdefault((decode_controls(record.value).source, record.partition), []).append(record.value)
    return found


def replayed(
    settings: Settings,
    by_target: Iterable[Any],
    by_actor: Iterable[Any],
    taken: Mapping[tuple[str, int], int],
) -> Outputs:
    """Audit both logs, up to the committed positions: ("targets" or "actors", partition) → position."""
    outputs, partitions = Outputs(), settings.partitions
    audits = [
        PartitionAudit(audit_settings(settings, partition), app=f"{settings.app}/") for partition in range(partitions)
    ]
    for record in by_target:
        if record.offset >= taken["targets", record.partition]:
            continue
        audit, outcome = audits[record.partition], Outcome()
        audit.apply(record.value, record.offset, outcome)
        outputs.controls.update(type(request).__name__ for request in outcome.requests)
        for place, frame in audit.requests_of(outcome, record.offset, partitions):
            outputs.to_actors.setdefault((decode_controls(frame).source, place), []).append(frame)
        outputs.flags.setdefault(record.partition, []).extend(map(flag_value, outcome.flags))
        outputs.corrections.setdefault(record.partition, []).extend(map(correction_value, outcome.corrections))
        outputs.counts.setdefault(record.partition, []).extend(map(count_value, outcome.counts))
        outputs.late += outcome.late
        outputs.failures.update(outcome.failures)
    accounts = [
        PartitionAccounts(account_settings(settings), partition=partition, target_partitions=partitions)
        for partition in range(partitions)
    ]
    for record in by_actor:
        if record.offset >= taken["actors", record.partition]:
            continue
        found = accounts[record.partition].apply(record.value, record.offset)
        outputs.controls.update(type(control).__name__ for _, control in found.controls)
        for place, frame in accounts[record.partition].controls_of(found, record.offset):
            outputs.to_targets.setdefault((decode_controls(frame).source, place), []).append(frame)
        lines = [ruling_line(ruling_key(ruling), ruling_value(ruling)) for ruling in found.rulings]
        outputs.rulings.setdefault(record.partition, []).extend(lines)
        outputs.failures.update(found.failures)
    return outputs


def unequal(
    what: str, expected: Mapping[Any, list[bytes]], found: Mapping[Any, list[bytes]], *, exact: bool
) -> list[str]:
    """Sentences on where records differ. Without transactions records may come again: the first of each counts."""
    problems = []
    for place in sorted(expected.keys() | found.keys()):
        one, other = expected.get(place, []), found.get(place, [])
        if not exact:
            one, other = list(dict.fromkeys(one)), list(dict.fromkeys(other))
        if one != other:
            at = next((n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
            shown = f" at {at}: {one[at]!r}, found {other[at]!r}" if at is not None else ""
            problems.append(
                f"{what} {place}: the logs give {len(one)} records, the topic has {len(other)}{shown}"[:1000]
            )
    return problems[:SHOWN] + ([f"{what}: {len(problems) - SHOWN} more"] if len(problems) > SHOWN else [])
