"""Output records, byte for byte: others read them."""

from __future__ import annotations

import json

from detectors.records import Correction, Count, Flag, Interval
from streams.targets.outputs import cloud_headers, correction_value, count_key, count_value, flag_value


def flag() -> Flag:
    whole = Interval(1, 0, 2)
    return Flag("f1", 3, "updated", "v", "view", "artificial", 90, 1, 2, 7, whole, whole, [], "sha256:x", {"from": 5})


def test_a_correction_has_its_source_under_from() -> None:
    correction = Correction("c1", "v", "view", "valid", "quarantined", 4, "surge", "f1", {"start": 1, "end": 2})
    assert json.loads(correction_value(correction)) == {
        "correction_id": "c1",
        "target": "v",
        "metric": "view",
        "from": "valid",
        "to": "quarantined",
        "count": 4,
        "reason": "surge",
        "flag_id": "f1",
        "window": {"start": 1, "end": 2},
    }


def test_a_count_has_a_key_of_target_and_metric() -> None:
    count = Count("v", "view", raw=3, valid=2, quarantined=0, invalid={"rate": 1}, revision=4, as_of=5)
    assert count_key(count) == b"v|view"
    assert json.loads(count_value(count))["invalid"] == {"rate": 1}


def test_a_flag_has_the_headers_of_a_cloud_event_whose_id_is_its_revision() -> None:
    assert dict(cloud_headers(flag(), "truecount/0")) == {
        "ce_specversion": b"1.0",
        "ce_id": b"f1/3",
        "ce_type": b"truecount.flag.updated",
        "ce_source": b"truecount/0",
        "ce_subject": b"v",
        "content-type": b"application/json",
    }
    assert json.loads(flag_value(flag()))["expected"] == {"value": 1, "low": 0, "high": 2}
