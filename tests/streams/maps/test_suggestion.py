"""Maps that are suggested: always valid, and for what is clear they read every record."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Decoded, Records
from streams.maps.costs import ALL, COSTS, MEASURED
from streams.maps.draft import draft
from streams.maps.page import page_of
from streams.maps.sample import Draft, Sample
from streams.settings.inputs import Input, ReplayMap

LATEST_MS = 1_800_000_000_000
NOON_S = 1_767_634_490


def suggested(documents: list[Any], name: str = "records", *, tabular: bool = False) -> tuple[Draft, dict[str, Any]]:
    """A draft, and the map of a file that its page says, read as the product reads it."""
    made = draft(Sample(documents, name, LATEST_MS, tabular=tabular))
    page = page_of(made, head=["a sample"], format_="csv" if tabular else "ndjson")
    read = tomllib.loads(page)
    ReplayMap.model_validate(read)
    return made, read


def decoded(read: dict[str, Any], documents: list[Any], *, tabular: bool = False) -> Decoded:
    """What documents become by a map."""
    rest = {key: value for key, value in read.items() if key != "file"}
    config = Input.model_validate({**(by_column(rest) if tabular else rest), "topic": "records"})
    values = [json.dumps(document).encode() for document in documents]
    return EventDecoder(config).decode(Records.values(values, LATEST_MS), np.full(len(values), LATEST_MS))


def by_column(told: Any) -> Any:
    """Paths as the names of columns."""
    if isinstance(told, dict):
        if set(told) == {"map"} or "map" in told:
            told = {**told, "map": {name: {"path": s} if isinstance(s, str) else s for name, s in told["map"].items()}}
        return {k: [v] if k == "path" and isinstance(v, str) else by_column(v) for k, v in told.items()}
    return [by_column(item) for item in told] if isinstance(told, list) else told


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.strip().splitlines()]


def rows(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.lstrip()), delimiter=delimiter))


PLAYER = """
{"at":1767634490.1,"user":"u1","media":"m1","event":"play"}
{"at":1767634500.1,"user":"u1","media":"m1","event":"heartbeat"}
{"at":1767634520.1,"user":"u1","media":"m1","event":"pause"}
{"at":1767634530.1,"user":"u2","media":"m1","event":"play"}
{"at":1767634540.1,"user":"u2","media":"m1","event":"complete"}
"""
ACTIVITIES = """
{"id":"https://a.example/l/1","type":"Like","actor":"https://a.example/u/1","object":"https://b.example/p/9","published":"2026-01-05T17:30:00Z"}
{"id":"https://a.example/l/2","type":"Like","actor":"https://a.example/u/2","object":"https://b.example/p/9","published":"2026-01-05T17:31:00Z"}
{"id":"https://a.example/u/1","type":"Undo","actor":"https://a.example/u/1","object":{"id":"https://a.example/l/1","type":"Like","object":"https://b.example/p/9"},"published":"2026-01-05T17:32:00Z"}
{"id":"https://a.example/a/1","type":"Announce","actor":"https://a.example/u/3","object":"https://b.example/p/9","published":"2026-01-05T17:33:00Z"}
"""
ENVELOPES = """
{"payload":{"before":null,"after":{"id":1,"account_id":11,"status_id":900719925474099301,"created_at":1767634490000000},"op":"r","ts_ms":1767634490123}}
{"payload":{"before":null,"after":{"id":2,"account_id":12,"status_id":900719925474099301,"created_at":1767634520000000},"op":"c","ts_ms":1767634520123}}
{"payload":{"before":{"id":2,"account_id":12,"status_id":900719925474099301},"after":{"id":2,"account_id":12,"status_id":900719925474099301,"created_at":1767634520000000,"seen":true},"op":"u","ts_ms":1767634550123}}
{"payload":{"before":{"id":1,"account_id":11,"status_id":900719925474099301,"created_at":1767634490000000},"after":null,"op":"d","ts_ms":1767634580123}}
"""
FLAT = """
{"id":1,"account_id":11,"status_id":900719925474099301,"__deleted":"false","__op":"c","__ts_ms":1767634490123}
{"id":2,"account_id":12,"status_id":900719925474099301,"__deleted":"false","__op":"c","__ts_ms":1767634520123}
{"id":2,"account_id":12,"status_id":900719925474099301,"seen":true,"__deleted":"false","__op":"u","__ts_ms":1767634550123}
{"id":1,"account_id":11,"status_id":900719925474099301,"__deleted":"true","__op":"d","__ts_ms":1767634580123}
"""
DOTTED = """
uuid,timestamp,distinct_id,properties.$current_url,properties.$ip,viewer.account_id
e1,2026-01-05T17:30:00.000Z,a1,/v/42,203.0.113.9,77
e2,2026-01-05T17:31:00.000Z,a2,/v/42,203.0.113.10,78
e3,2026-01-05T17:32:00.000Z,a3,/v/43,203.0.113.11,79
"""
REMOVED = """
created_at,account_id,status_id,removed
2026-01-05 17:30:00+00,u1,s1,f
2026-01-05 17:31:00+00,u2,s1,f
2026-01-05 17:34:00+00,u1,s1,t
"""
MICROSECONDS = "t,user,item\n1767634490123456,u1,v1\n1767634491123456,u2,v1\n"
WATCHED = """
ts,user,clip,watched,length
1767634490.5,u0,c1,15,15
1767634508.5,u0,c1,12,15
1767634550.5,u1,c1,15,15
"""
PLAYED = """
DateCreated\tUserId\tItemId\tPlaybackMethod\tClientName\tPlayDuration\tRunTime
2024-09-21 22:38:54.10625\tuser-1\titem-1\tDirectPlay\tWeb\t5400\t5700
2024-09-27 22:38:56.5013082\tuser-2\titem-1\tDirectPlay\tSwiftfin iOS\t-2147483648\t5700
2024-09-28 11:00:00\tuser-5\titem-1\tTranscode\tWeb\t86400\t5700
2024-09-28 12:00:00\tuser-6\titem-1\tDirectPlay\tWeb\tNaN\t5700
2024-09-28 13:00:00\tuser-7\titem-1\tDirectPlay\tWeb\t\t0
"""
DOTTED_KEY = (
    '{"uuid":"e1","timestamp":"2026-01-05T17:30:00.000Z","viewer.account_id":77,"properties.$current_url":"/v/42"}'
)


@pytest.mark.parametrize(
    ("documents", "tabular", "events", "undone"),
    [
        (lines(PLAYER), False, 2, 0),
        (lines(ACTIVITIES), False, 3, 1),
        (lines(ENVELOPES), False, 3, 1),
        (lines(FLAT), False, 3, 1),
        (lines(DOTTED_KEY), False, 1, 0),
        (rows(DOTTED), True, 3, 0),
        (rows(REMOVED), True, 3, 1),
        (rows(MICROSECONDS), True, 2, 0),
        (rows(WATCHED), True, 3, 0),
        (rows(PLAYED, "\t"), True, 5, 0),
    ],
    ids=[
        "player",
        "activities",
        "envelopes",
        "flat",
        "dotted key",
        "dotted columns",
        "removed",
        "us",
        "watched",
        "played",
    ],
)
def test_records_as_real_buses_have_them_are_read(
    documents: list[Any], tabular: bool, events: int, undone: int
) -> None:
    made, read = suggested(documents, tabular=tabular)
    found = decoded(read, documents, tabular=tabular)
    assert found.refused == []
    assert made.missing == []
    assert found.good is not None
    assert len(found.good.ts) == events
    assert sum(map(bool, found.good.fields["undo"])) == undone
    assert int(found.good.ts.min()) > 1_700_000_000_000


def test_an_undo_has_the_id_of_the_act_that_it_takes_back() -> None:
    for text in (ACTIVITIES, ENVELOPES, FLAT):
        documents = lines(text)
        _, read = suggested(documents)
        good = decoded(read, documents).good
        assert good is not None
        pairs = list(zip(good.fields["id"], good.fields["undo"], strict=True))
        assert len(set(pairs)) == len(pairs), "an act and its undo are two events"
        acts = {ident for ident, undo in pairs if not undo}
        assert all(ident in acts for ident, undo in pairs if undo)


def test_a_snapshot_is_historic_and_a_deletion_happens_when_it_is_written() -> None:
    documents = lines(ENVELOPES)
    _, read = suggested(documents)
    good = decoded(read, documents).good
    assert good is not None
    assert [bool(each) for each in good.fields["history"]] == [True, False, False]
    assert good.ts.tolist() == [1767634490000, 1767634520000, 1767634580123]


def test_seconds_of_watch_times_are_told_from_milliseconds() -> None:
    seconds, _ = suggested(rows(WATCHED), tabular=True)
    assert seconds.choices["watch_ms"].source == {"path": "watched", "unit": "s"}
    in_ms = [{"ts": NOON_S, "user": "u", "video": "v", "watched": 9100, "length": 184_000}]
    assert suggested(in_ms)[0].choices["watch_ms"].source == {"path": "watched"}
    named = [{"ts": NOON_S, "user": "u", "video": "v", "watched_seconds": 20, "length_seconds": 180}]
    assert suggested(named)[0].choices["duration_ms"].source == {"path": "length_seconds", "unit": "s"}
    unsure = [{"ts": NOON_S, "user": "u", "video": "v", "watched": 5400, "length": 5700}]
    choice = suggested(unsure)[0].choices["duration_ms"]
    assert not choice.sure
    assert choice.others == [{"path": "length"}], "what else it could be stands beside it"


@pytest.mark.parametrize(
    "path", ["registered_at", "user.created_at", "account_created", "viewer.since", "memberSince", "joined"]
)
def test_the_making_of_an_account_is_not_the_time_of_the_event(path: str) -> None:
    for time_name in ("ts", "created_at", "played_at"):
        made, _ = suggested(
            [{time_name: NOON_S + n, path: NOON_S - 86_400, "user_id": n, "post": "p"} for n in range(9)]
        )
        assert made.choices["ts"].source == {"path": time_name, "time": "s"}
        assert made.choices["actor_created_at"].source == {"path": path, "time": "s"}


def test_the_words_of_several_acts_become_a_table() -> None:
    kinds = ["LIKE", "UNLIKE", "FOLLOW", "UNFOLLOW", "SHARE"]
    documents = [
        {"kind": kind, "at": NOON_S + n, "user": {"id": f"u{n % 4}"}, "object": {"id": f"p{n % 3}"}}
        for n, kind in enumerate(kinds * 5)
    ]
    made, read = suggested(documents)
    found = decoded(read, documents)
    assert found.good is not None
    assert found.skipped == {"filtered": 5}
    assert set(found.good.fields["metric"]) == {"like", "follow"}
    assert sum(map(bool, found.good.fields["undo"])) == 10
    assert any("SHARE (5)" in note for note in made.notes)


def test_an_undo_of_several_kinds_says_inside_what_it_takes_back() -> None:
    documents = [
        {"type": "Like", "actor": "a", "object": "p", "published": "2026-01-05T17:30:00Z"},
        {"type": "Follow", "actor": "a", "object": "b", "published": "2026-01-05T17:31:00Z"},
        {
            "type": "Undo",
            "actor": "a",
            "object": {"type": "Follow", "object": "b"},
            "published": "2026-01-05T17:32:00Z",
        },
        {"type": "Undo", "actor": "a", "object": {"type": "Block", "object": "b"}, "published": "2026-01-05T17:33:00Z"},
    ]
    _, read = suggested(documents)
    found = decoded(read, documents)
    assert found.refused == []
    assert found.good is not None
    assert found.good.fields["metric"] == ["like", "follow", "follow"]
    assert [bool(each) for each in found.good.fields["undo"]] == [False, False, True]


def test_each_element_of_a_list_becomes_an_event() -> None:
    documents = [
        {
            "device": {"user_id": f"u{n}"},
            "events": [{"video_id": f"v{k}", "ts": NOON_S + n + k, "type": "play"} for k in range(3)],
        }
        for n in range(5)
    ]
    made, read = suggested(documents)
    assert made.each == "events"
    found = decoded(read, documents)
    assert found.good is not None
    assert len(found.good.ts) == 15
    assert found.good.fields["actor"][:4] == ["u0", "u0", "u0", "u1"]
    whole = [[{"user": "a", "post": "p", "ts": NOON_S}] * 2] * 2
    made, read = suggested(whole)
    assert made.each == "$"


def test_a_web_log_has_address_and_program_for_a_person() -> None:
    documents = [
        {
            "remote_addr": f"203.0.113.{n}",
            "time_local": f"05/Jan/2026:17:{n:02} +0000".replace(" ", ":00 "),
            "request": f"GET /ep/{n % 3}.mp3?from=x HTTP/1.1",
            "status": 404 if n == 7 else 206,
            "http_user_agent": "AntennaPod/3.1",
        }
        for n in range(20)
    ]
    _, read = suggested(documents)
    found = decoded(read, documents)
    assert found.refused == []
    assert found.good is not None
    assert len(found.good.ts) == 19
    assert found.good.fields["actor"][0] == "203.0.113.0 AntennaPod/3.1"
    assert set(found.good.fields["target"]) == {"/ep/0.mp3", "/ep/1.mp3", "/ep/2.mp3"}


def test_what_is_ambiguous_is_said_and_has_its_alternatives() -> None:
    documents = [{"Date": f"0{n}/0{n}/2025", "Reviewer": f"r{n}", "Vendor": "v"} for n in range(1, 10)]
    made, _ = suggested(documents, tabular=True)
    choice = made.choices["ts"]
    assert not choice.sure
    assert {choice.source["time"], *(other["time"] for other in choice.others)} == {"%d/%m/%Y", "%m/%d/%Y"}


def test_a_field_that_cannot_be_found_is_named_and_the_map_is_valid_all_the_same() -> None:
    made, read = suggested([{"colour": "red"}])
    assert "ts" in made.missing
    assert read["map"]["ts"] == "ts"


def test_a_topic_can_do_with_the_time_its_records_have() -> None:
    made = draft(Sample([{"user": "u", "video": "v"}], "plays", LATEST_MS, timed=True))
    assert made.choices["ts"].source == {"timestamp": True}
    assert made.metric == "view"
    page = page_of(made, head=[], topic="plays")
    (read,) = tomllib.loads(page)["inputs"]
    assert Input.model_validate(read).topic == "plays"


def test_what_a_missing_field_costs_is_what_the_lab_measured() -> None:
    page = (Path(__file__).parents[3] / "docs" / "detection.md").read_text()
    table = page.partition("<!-- fields -->")[2].partition("<!-- fields -->")[0]
    measured = {
        name: (float(overt), float(stealthy))
        for name, overt, stealthy in re.findall(r"^\| ([\w, ]+) \| ([\d.]+) \| ([\d.]+) \|", table, re.MULTILINE)
    }
    assert measured.pop("nothing left out") == ALL
    measured.pop("all but who, what, when")
    assert measured == MEASURED
    assert MEASURED.keys() <= COSTS.keys()


# ------------------------------------------------------------------ anything

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
NAMES = st.sampled_from(
    ["id", "ts", "user", "a.b", "op", "after", "before", "type", "event", "ip", "items", "$", "", "\n"]
)
DOCUMENTS = st.recursive(
    SCALARS
    | st.sampled_from([NOON_S, NOON_S * 1000, "2026-01-05T17:30:00Z", "LIKE", "play", "c", "d", "1.2.3.4", "::1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=6), inner, max_size=5),
    max_leaves=12,
)


@given(
    st.lists(st.dictionaries(NAMES | st.text(max_size=6), DOCUMENTS, min_size=1, max_size=6), min_size=1, max_size=6)
)
def test_the_map_of_any_documents_is_valid(documents: list[Any]) -> None:
    _, read = suggested(documents)
    assert {"ts", "actor", "target"} <= read["map"].keys()
    made = draft(Sample(documents, "topic", LATEST_MS, timed=True, keys=[b"k"] * len(documents)))
    (read,) = tomllib.loads(page_of(made, head=["x\ny"], topic="topic"))["inputs"]
    Input.model_validate(read)


@given(st.lists(st.dictionaries(st.text(max_size=12), st.text(max_size=20), min_size=1, max_size=6), min_size=1))
def test_the_map_of_any_table_is_valid(documents: list[Any]) -> None:
    suggested(documents, tabular=True)


ACTORS = ["user_id", "userId", "account_id", "viewer", "member_id", "actor", "customerId", "listener"]
TARGETS = ["video_id", "itemId", "media", "post_id", "track", "content_id", "episode", "target"]
TIMES = ["ts", "timestamp", "created_at", "time", "eventTime", "occurred_at", "at"]
FORMS: dict[str, Callable[[int], Any]] = {
    "s": lambda n: NOON_S + n,
    "float s": lambda n: NOON_S + n + 0.25,
    "text s": lambda n: str(NOON_S + n),
    "ms": lambda n: (NOON_S + n) * 1000,
    "us": lambda n: (NOON_S + n) * 1_000_000,
    "iso": lambda n: f"2026-01-05T17:{n // 60 % 60:02}:{n % 60:02}Z",
    "spaced": lambda n: f"2026-01-05 17:{n // 60 % 60:02}:{n % 60:02}+00",
}


class Names(NamedTuple):
    """What the fields of a feed are called, and how its times are written."""

    actor: str
    target: str
    time: str
    form: str
    inside: str


@given(
    st.builds(
        Names,
        st.sampled_from(ACTORS),
        st.sampled_from(TARGETS),
        st.sampled_from(TIMES),
        st.sampled_from(sorted(FORMS)),
        st.sampled_from(["", "payload", "data"]),
    ),
    st.booleans(),
    st.integers(5, 40),
)
def test_what_has_clear_names_is_mapped_wholly(names: Names, numbered: bool, size: int) -> None:
    plain: list[dict[str, Any]] = [
        {
            "message_id": f"m{n}",
            names.time: FORMS[names.form](n),
            names.actor: n + 1000 if numbered else f"u{n}",
            names.target: f"t{n % 4}",
        }
        for n in range(size)
    ]
    documents: list[Any] = [{names.inside: each} for each in plain] if names.inside else plain
    made, read = suggested(documents)
    found = decoded(read, documents)
    assert found.refused == []
    assert found.good is not None
    assert len(found.good.ts) == size
    assert found.good.fields["actor"] == [str(each[names.actor]) for each in plain]
    assert found.good.fields["target"] == [each[names.target] for each in plain]
    assert found.good.fields["id"] == [each["message_id"] for each in plain]
    assert abs(int(found.good.ts[0]) - NOON_S * 1000) < 24 * 3_600_000
    assert made.choices["actor"].sure
    assert made.choices["target"].sure
