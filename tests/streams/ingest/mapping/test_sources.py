"""Each word of the vocabulary does what the page says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.events.event import METRICS
from streams.deadletters import Why
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import MAX_EVENTS, Decoded, Records
from streams.settings.inputs import Input

TS = 1_714_564_800_000
FAR = 1 << 60
BASE: dict[str, Any] = {"ts": "t", "actor": "a", "target": "v"}
GOOD: dict[str, Any] = {"t": TS, "a": "a1", "v": "v1"}


def decode(documents: Sequence[Any], fields: dict[str, Any] | None = None, **config: Any) -> Decoded:
    given: dict[str, Any] = {"topic": "plays", "metric": "view", "map": BASE | (fields or {}), **config}
    values = [value if isinstance(value, bytes) else msgspec.json.encode(value) for value in documents]
    return EventDecoder(Input.model_validate(given)).decode(Records.values(values, 0), np.full(len(values), FAR))


def column(decoded: Decoded, name: str) -> list[Any]:
    return [] if decoded.good is None else list(decoded.good.fields[name])


def refusal(decoded: Decoded) -> tuple[str, str]:
    assert len(decoded.refused) == 1
    return str(decoded.refused[0].reason), decoded.refused[0].message


def test_alternatives_have_a_unit_each_and_the_first_that_is_there_wins() -> None:
    ts = {"first": [{"path": "ms"}, {"path": "s", "time": "s"}, {"path": "at", "time": "iso"}]}
    documents = [
        {"ms": TS, "s": 1, "a": "a", "v": "v"},
        {"s": TS // 1000 + 1, "a": "a", "v": "v"},
        {"at": "2024-05-01T12:00:02Z", "s": None, "a": "a", "v": "v"},
    ]
    assert column(decode(documents, {"ts": ts}), "ts") == [TS, TS + 1000, TS + 2000]


def test_a_first_alternative_that_is_there_and_wrong_is_not_passed_over() -> None:
    ts = {"first": [{"path": "at", "time": "iso"}, {"path": "t"}]}
    assert refusal(decode([GOOD | {"at": "yesterday"}], {"ts": ts}))[0] == "bad_time"


def test_keys_headers_and_timestamps_of_records_are_sources() -> None:
    fields = {
        "ts": {"timestamp": True},
        "actor": {"key": True},
        "target": {"header": "video"},
        "owner": {"key": "channel.id"},
    }
    config = Input.model_validate({"topic": "plays", "metric": "view", "map": fields})
    records = Records.values([b"{}", b"{}", b"{}"], 0)
    records.key = [b"a1", b'{"channel":{"id":7}}', None]
    records.headers = [[("video", b"v1")], [("video", b"v0"), ("video", b"v2")], [("video", b"v3")]]
    records.timestamp_ms = [TS, TS + 1, TS + 2]
    decoder = EventDecoder(config)
    assert (decoder.needs_headers, decoder.needs_timestamp) == (True, True)
    decoded = decoder.decode(records, np.full(3, FAR))
    assert column(decoded, "ts") == [TS, TS + 1]
    assert column(decoded, "actor") == ["a1", '{"channel":{"id":7}}']
    assert column(decoded, "target") == ["v1", "v2"]
    assert column(decoded, "owner") == [None, "7"]
    assert refusal(decoded) == ("missing_field", "no value for `actor` - at `the key`")


def test_several_texts_are_joined_into_one_and_long_ones_become_their_hash() -> None:
    actor = {"join": ["ip", "agent"], "separator": "|"}
    documents = [GOOD | {"ip": "10.0.0.1", "agent": "x"}, GOOD | {"ip": "10.0.0.1", "agent": "y" * 300}]
    short, long = column(decode(documents, {"actor": actor}), "actor")
    assert short == "10.0.0.1|x"
    assert len(long) == 32
    other = column(decode([GOOD | {"ip": "10.0.0.2", "agent": "y" * 300}], {"actor": actor}), "actor")[0]
    assert other != long
    assert refusal(decode([GOOD | {"ip": "10.0.0.1"}], {"actor": actor}))[0] == "missing_field"


def test_their_words_become_ours_and_any_other_is_refused() -> None:
    fields = {
        "metric": {"path": "k", "words": {"LIKE": "like", "UNLIKE": "like", "FOLLOW": "follow"}},
        "undo": {"path": "k", "words": {"LIKE": False, "UNLIKE": True, "FOLLOW": False}},
    }
    decoded = decode(
        [GOOD | {"k": "LIKE"}, GOOD | {"k": "UNLIKE"}, GOOD | {"k": "FOLLOW"}, GOOD | {"k": "SHARE"}], fields
    )
    assert decoded.good is not None
    assert [METRICS[n] for n in decoded.good.metric] == ["like", "like", "follow"]
    assert column(decoded, "undo") == [False, True, False]
    reason, message = refusal(decoded)
    assert reason == "unknown_metric"
    assert "'SHARE' is none of the words LIKE, UNLIKE, FOLLOW" in message


@pytest.mark.parametrize(
    ("word", "undone"),
    [(True, True), ("t", True), ("T", True), ("yes", True), ("Y", True), ("on", True), (1, True), ("1", True),
     (False, False), ("f", False), ("False", False), ("no", False), ("n", False), ("off", False), (0, False),
     ("0", False), ("", False), (None, False)],
)  # fmt: skip
def test_words_for_yes_and_no_are_a_closed_set(word: Any, undone: bool) -> None:
    assert column(decode([GOOD | {"u": word}], {"undo": "u"}), "undo") == [undone]


@pytest.mark.parametrize("word", ["maybe", "2", 2, "ja", "D", 0.5, [], {}])
def test_any_other_word_is_refused_and_never_taken_for_no(word: Any) -> None:
    assert refusal(decode([GOOD | {"u": word}], {"undo": "u"}))[0] == "unknown_word"


def test_numbers_and_booleans_are_words_too() -> None:
    history = {"path": "h", "words": {"1": True, "0": False, "true": True}}
    decoded = decode([GOOD | {"h": 1}, GOOD | {"h": 0}, GOOD | {"h": True}, GOOD], {"history": history})
    assert column(decoded, "history") == [True, False, True, False]


def test_a_word_of_an_optional_field_that_is_unknown_costs_the_field() -> None:
    decoded = decode(
        [GOOD | {"c": "Nederland"}, GOOD | {"c": "x"}], {"country": {"path": "c", "words": {"Nederland": "NL"}}}
    )
    assert column(decoded, "country") == ["NL", None]
    assert decoded.unread == {("country", "unknown_word"): 1}


def test_elements_that_are_no_objects_are_values_themselves() -> None:
    seen = {"t": TS, "user": "a1", "seen": ["v1", 7, None, "ad-3"]}
    fields = {"ts": {"outer": "t"}, "actor": {"outer": "user"}, "target": "$"}
    decoded = decode([seen], fields, each="seen", skip=[{"path": "$", "matches": "^ad-"}])
    assert column(decoded, "target") == ["v1", "7"]
    assert refusal(decoded) == ("missing_field", "element 2: no value for `target` - at `$`")


def test_a_list_of_names_and_values_is_searched_by_name() -> None:
    params = [{"key": "session", "value": {"int": 7}}, {"key": "page", "value": {"text": "/v/1"}}]
    documents = [GOOD | {"params": params}, GOOD | {"params": params[::-1]}, GOOD | {"params": params[:1]}]
    decoded = decode(documents, {"target": "params.key=page.value.text", "session": "params.key=session.value.int"})
    assert column(decoded, "target") == ["/v/1", "/v/1"]
    assert column(decoded, "session") == ["7", "7"]
    assert refusal(decoded)[0] == "missing_field"


def test_a_day_and_a_time_of_day_are_a_time_together() -> None:
    documents = [GOOD | {"day": "2024-05-01", "clock": clock} for clock in ("12:00:00", "12:00:07", None, "noon")]
    decoded = decode(documents, {"ts": {"join": ["day", "clock"], "time": "iso"}})
    assert column(decoded, "ts") == [TS, TS + 7000]
    assert [str(refusal.reason) for refusal in decoded.refused] == ["missing_field", "bad_time"]
    american = [GOOD | {"day": "05/01/2024", "clock": "01:30 PM"}]
    layout = {"join": ["day", "clock"], "time": "%m/%d/%Y %I:%M %p"}
    assert column(decode(american, {"ts": layout}), "ts") == [TS + 5_400_000]


def test_placeholders_are_nobody() -> None:
    nobody = ["NULL", "Null", "NaN", "nan", "\\N", "N/A", "(not set)", "Unknown", "UNDEFINED", "Guest", "0" * 32]
    assert column(decode([GOOD | {"a": actor} for actor in nobody]), "actor") == [None] * len(nobody)
    actors = ["0", "anonymous", "00000000-0000-0000-0000-000000000000", "guest7", 0, "a1"]
    assert column(decode([GOOD | {"a": actor} for actor in actors]), "actor") == [
        None,
        None,
        None,
        "guest7",
        None,
        "a1",
    ]
    own = decode([GOOD | {"a": actor} for actor in actors], placeholders=["guest7"])
    assert column(own, "actor") == ["0", "anonymous", "00000000-0000-0000-0000-000000000000", None, "0", "a1"]


def test_an_actor_who_is_missing_is_refused_unless_the_map_has_another() -> None:
    assert refusal(decode([{"t": TS, "v": "v"}]))[0] == "missing_field"
    decoded = decode([{"t": TS, "v": "v"}, GOOD], {"actor": {"first": ["a", {"value": "anonymous"}]}})
    assert column(decoded, "actor") == [None, "a1"]


@pytest.mark.parametrize("exists", [True, False])
def test_whether_a_value_exists_is_yes_or_no(exists: bool) -> None:
    removed: list[dict[str, Any]] = [
        {"d": "2026-01-05"},
        {"d": 7},
        {"d": False},
        {"e": 1},
        {},
        {"d": None},
        {"d": ""},
        {"d": "NULL"},
    ]
    source = {"path": "d", "none": ["NULL"], "exists": exists}
    decoded = decode([GOOD | each for each in removed], {"undo": source})
    assert column(decoded, "undo") == [(n < 3) is exists for n in range(8)]
    either = {"first": ["d", "e"], "exists": exists}
    assert column(decode([GOOD | each for each in removed], {"history": either}), "history") == [
        (n < 4 or n == 7) is exists for n in range(8)
    ]


def test_texts_that_mean_nothing_are_not_given() -> None:
    decoded = decode([GOOD | {"c": "-"}, GOOD | {"c": "NL"}], {"country": {"path": "c", "none": ["-", "N/A"]}})
    assert column(decoded, "country") == [None, "NL"]
    assert decoded.unread == {}


def test_a_pattern_takes_a_part_of_a_text() -> None:
    fields = {"target": {"path": "url", "pattern": r"/watch/(\w+)"}, "country": {"path": "lang", "pattern": "-(..)$"}}
    good, bad = GOOD | {"url": "https://x/watch/v7?a=1", "lang": "nl-NL"}, GOOD | {"url": "https://x/", "lang": "nl"}
    decoded = decode([good, bad], fields)
    assert column(decoded, "target") == ["v7"]
    assert refusal(decoded)[0] == "no_match"
    assert column(decode([GOOD | {"lang": "nl", "url": "/watch/v1"}], fields), "country") == [None]


@pytest.mark.parametrize(
    ("hop", "expected"), [(None, "203.0.113.7"), (0, "203.0.113.7"), (1, "10.0.0.1"), (-1, "10.0.0.2"), (5, None)]
)
def test_the_hop_of_a_list_of_addresses_is_a_setting(hop: int | None, expected: str | None) -> None:
    source = {"path": "ip"} | ({} if hop is None else {"hop": hop})
    for value in ("203.0.113.7, 10.0.0.1,10.0.0.2:80", ["203.0.113.7", "10.0.0.1", "10.0.0.2"]):
        decoded = decode([GOOD | {"ip": value}], {"ip": source})
        assert column(decoded, "ip") == [expected]
        assert decoded.unread == ({} if expected else {("ip", "bad_address"): 1})


def test_what_is_not_kept_is_skipped_and_counted() -> None:
    kinds = ["play", "pause", "play", "seek", None]
    documents = [GOOD | {"k": kind, "s": 200 + n} for n, kind in enumerate(kinds)]
    decoded = decode(documents, keep=[{"path": "k", "is": ["play"]}])
    assert decoded.good is not None
    assert decoded.good.index.tolist() == [0, 2]
    assert (decoded.skipped, decoded.refused) == ({"filtered": 3}, [])


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"is": "play"}, [0]),
        ({"is": ["play", 206, True]}, [0, 1, 2]),
        ({"is_not": ["play"]}, [1, 2, 3, 4, 5]),
        ({"matches": "^pl"}, [0]),
        ({"at_least": 200, "at_most": 206.5}, [1]),
        ({"exists": True}, [0, 1, 2, 5]),
        ({"exists": False}, [3, 4]),
        ({"is_not": "play", "exists": True}, [1, 2, 5]),
    ],
)
def test_conditions_test_the_text_of_a_value(condition: dict[str, Any], kept: list[int]) -> None:
    documents = [GOOD | {"k": value} for value in ("play", 206, True, None, "", {"x": 1})]
    decoded = decode(documents, keep=[{"path": "k", **condition}])
    assert decoded.good is not None
    assert decoded.good.index.tolist() == kept
    others = decode(documents, skip=[{"path": "k", **condition}])
    assert others.good is not None
    assert others.good.index.tolist() == [n for n in range(6) if n not in kept]


def test_a_record_that_is_filtered_may_lack_everything_else() -> None:
    decoded = decode([{"k": "ping"}, GOOD | {"k": "play"}], keep=[{"path": "k", "is": "play"}])
    assert (decoded.refused, decoded.skipped) == ([], {"filtered": 1})


ITEMS = {"ts": {"outer": "sent"}, "actor": {"outer": "user"}, "target": "video", "id": {"outer": "id"}}


def test_one_record_may_have_several_events_or_none() -> None:
    documents = [
        {"sent": TS, "user": "a1", "id": "e1", "items": [{"video": "v1"}, {"video": "v2"}]},
        {"sent": TS, "user": "a2", "id": "e2", "items": []},
        {"sent": TS, "user": "a3", "id": "e3", "items": [{"video": "v3"}]},
        {"sent": TS, "user": "a4", "id": "e4"},
    ]
    decoded = decode(documents, ITEMS, each="items")
    assert decoded.good is not None
    assert decoded.good.index.tolist() == [0, 0, 2]
    assert column(decoded, "target") == ["v1", "v2", "v3"]
    assert column(decoded, "actor") == ["a1", "a1", "a3"]
    assert column(decoded, "id") == ["e1#0", "e1#1", "e3#0"]
    assert (decoded.skipped, decoded.refused) == ({"no_elements": 2}, [])


def test_elements_of_a_record_without_an_id_have_none() -> None:
    decoded = decode([{"sent": TS, "user": "a1", "items": [{"video": "v1"}]}], ITEMS, each="items")
    assert column(decoded, "id") == [None]
    odd = decode([{"sent": TS, "user": "a1", "id": [7], "items": [{"video": "v1"}]}], ITEMS, each="items")
    assert column(odd, "id") == [None]
    assert odd.unread == {("id", "wrong_type"): 1}


@pytest.mark.parametrize(("size", "events"), [(500, 500), (501, 0)])
def test_five_hundred_elements_are_the_most_of_one_record(size: int, events: int) -> None:
    decoded = decode([{"sent": TS, "user": "a1", "id": "e1", "items": [{"video": "v1"}] * size}], ITEMS, each="items")
    assert len(column(decoded, "id")) == events
    assert len(decoded.refused) == (events == 0)


def test_an_elements_own_id_stays_as_it_is() -> None:
    fields = ITEMS | {"id": {"first": ["id", {"outer": "id"}]}}
    items = [{"video": "v1", "id": "i1"}, {"video": "v2"}]
    decoded = decode([{"sent": TS, "user": "a1", "id": "e1", "items": items}], fields, each="items")
    assert column(decoded, "id") == ["i1", "e1#1"]


def test_the_number_of_an_element_counts_those_that_are_filtered() -> None:
    items = [{"video": "v1", "k": "x"}, {"video": "v2", "k": "play"}]
    document = {"sent": TS, "user": "a1", "id": "e1", "items": items}
    decoded = decode([document], ITEMS, each="items", keep=[{"path": "k", "is": "play"}])
    assert column(decoded, "id") == ["e1#1"]
    assert decoded.skipped == {"filtered": 1}


def test_a_value_that_is_a_list_is_one_event_an_element() -> None:
    decoded = decode([[GOOD, GOOD | {"v": "v2"}], [GOOD]], each="$")
    assert decoded.good is not None
    assert decoded.good.index.tolist() == [0, 0, 1]
    assert column(decoded, "target") == ["v1", "v2", "v1"]


def test_a_bad_element_is_named_and_its_neighbours_survive() -> None:
    items = [{"video": "v1"}, {"film": "v2"}, 7, {"video": "v3"}]
    decoded = decode([{"sent": TS, "user": "a1", "id": "e1", "items": items}], ITEMS, each="items")
    assert column(decoded, "target") == ["v1", "v3"]
    reason, message = refusal(decoded)
    assert reason == "missing_field"
    assert message.startswith("element 1: ")


def test_what_is_no_list_is_refused_and_so_is_a_list_without_end() -> None:
    document = {"sent": TS, "user": "a1", "id": "e1", "items": {"video": "v1"}}
    assert refusal(decode([document], ITEMS, each="items"))[0] == "wrong_type"
    many = document | {"items": [{"video": "v"}] * (MAX_EVENTS + 1)}
    assert refusal(decode([many], ITEMS, each="items"))[0] == Why.TOO_MANY_EVENTS
    fits = document | {"items": [{"video": "v"}] * MAX_EVENTS}
    assert len(column(decode([fits], ITEMS, each="items"), "target")) == MAX_EVENTS


def test_a_bad_optional_value_is_counted_by_field() -> None:
    watches = [5, "5.5", -1, "NaN", "1:30:05", "12,5", "", None, 86_400, True, [1]]
    decoded = decode([GOOD | {"w": w} for w in watches], {"watch_ms": {"path": "w", "unit": "s"}})
    assert column(decoded, "watch_ms") == [5000, 5500, None, None, None, None, None, None, 86_400_000, None, None]
    assert decoded.unread == {("watch_ms", "bad_value"): 6}
    assert decoded.refused == []


def test_bytes_that_are_no_characters_cost_an_optional_text_a_character() -> None:
    fields = {"user_agent": "ua"}
    values = [
        b'{"t":1714564800000,"a":"Jos\xe9","v":"v1"}',
        b'{"t":1714564800000,"a":"u2","v":"v1","ua":"caf\xe9"}',
        b'{"t":1714564800000,"a":"u3","v":"v1","ua":"x","other":"\xff"}',
    ]
    decoded = decode(values, fields)
    assert column(decoded, "user_agent") == ["caf\ufffd", "x"]
    assert refusal(decoded)[0] == "invalid_utf8"


def test_ids_that_are_numbers_are_the_same_as_texts_and_large_ones_stay_exact() -> None:
    decoded = decode([GOOD | {"a": 77}, GOOD | {"a": "77"}, GOOD | {"a": 77.0}, GOOD | {"a": 900719925474099301}])
    assert column(decoded, "actor") == ["77", "77", "77", "900719925474099301"]
