"""Outputs of the audit as Kafka records: keys, JSON values and CloudEvents headers."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from detectors.records import Correction, Count, Flag


def flag_value(flag: Flag) -> bytes:
    """JSON value of flagged-events."""
    return orjson.dumps(flag)


def correction_value(correction: Correction) -> bytes:
    """JSON value of corrections. ``from`` is a keyword of Python, so the field of the class is ``from_``."""
    line: dict[str, Any] = {
        "correction_id": correction.correction_id,
        "target": correction.target,
        "metric": correction.metric,
        "from": correction.from_,
        "to": correction.to,
        "count": correction.count,
        "reason": correction.reason,
        "flag_id": correction.flag_id,
        "window": correction.window,
    }
    return orjson.dumps(line)


count_value = msgspec.json.Encoder().encode
"""JSON value of audited-counts, from a ``Count``. msgspec takes 0.2 µs, orjson 0.9."""


def count_key(count: Count) -> bytes:
    """Key of audited-counts. Compaction must leave one record for each target *and* metric."""
    return f"{count.target}|{count.metric}".encode()


def cloud_headers(flag: Flag, source: str) -> list[tuple[str, bytes]]:
    """Headers of a flag: CloudEvents 1.0, binary mode of the Kafka binding."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{flag.flag_id}/{flag.revision}".encode()),
        ("ce_type", f"truecount.flag.{flag.status}".encode()),
        ("ce_source", source.encode()),
        ("ce_subject", flag.target.encode()),
        ("content-type", b"application/json"),
    ]
