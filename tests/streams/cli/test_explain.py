"""`truecount explain`: which flag is meant, and where its artificial part lies."""

from __future__ import annotations

from typing import Any

import pytest

from streams.evidence.chart import bars_of, course, newest
from streams.evidence.flag_text import flag_lines
from streams.settings.section import SettingsError

FLAG: dict[str, Any] = {"flag_id": "9f2c04aa", "revision": 1, "onset": 0, "until": 240_000}


def moved(count: int, start: int, end: int, from_: str = "valid") -> dict[str, Any]:
    return {"from": from_, "to": "quarantined", "count": count, "window": {"start": start, "end": end}}


def test_the_newest_revision_is_shown_and_a_prefix_is_enough() -> None:
    assert newest([{**FLAG, "revision": 2}, FLAG], "9f2c")["revision"] == 2


def test_a_prefix_of_two_flags_is_refused() -> None:
    with pytest.raises(SettingsError, match="stands for 2 flags"):
        newest([FLAG, {**FLAG, "flag_id": "9f2cffff"}], "9f2c")


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(SettingsError, match="there is no flag 'abcd'"):
        newest([FLAG], "abcd")


def test_what_was_taken_out_lies_in_its_windows_and_adds_up() -> None:
    bars = bars_of(FLAG, [moved(60, 0, 10_000), moved(240, 120_000, 240_000)])
    assert bars[0] == {"start": 0, "end": 10_000, "count": 60}
    assert [row["count"] for row in bars[12:]] == [20] * 12
    assert sum(row["count"] for row in bars) == 300


def test_what_was_given_back_is_not_counted_again() -> None:
    assert sum(row["count"] for row in bars_of(FLAG, [moved(60, 0, 10_000, from_="quarantined")])) == 0


def test_the_course_shows_what_came_beside_what_was_expected() -> None:
    moments = [
        {"start": 0, "end": 10, "observed": 2, "expected": 20.0},
        {"start": 10, "end": 20, "observed": 40, "expected": 20.0},
    ]
    head, first, second, _ = course({"series": moments})
    assert "expected" in head
    assert first.index("|") == 3 + len("01-01 00:00:00 ") + 20
    assert first.endswith("2 (20)")
    assert second.count("█") == 39
    assert second.index("|") == first.index("|")
    assert second.endswith("40 (20)")
    assert course({}) == []


def test_an_explained_flag_is_told_as_one() -> None:
    flag = {
        "flag_id": "9f2c04aa",
        "revision": 1,
        "onset": 0,
        "until": 240_000,
        "status": "opened",
        "target": "v1",
        "metric": "view",
        "verdict": "explained",
        "score": 0,
        "observed": 900,
        "reasons": [],
        "expected": {"value": 10, "low": 5, "high": 20},
        "artificial": {"value": 0, "low": 0, "high": 0},
    }
    assert "accounted for" in "\n".join(flag_lines(flag))
