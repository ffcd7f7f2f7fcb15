"""Maps that are suggested for records as well-known platforms send them: each event is the one that was meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from detectors.events.event import METRICS
from streams.maps.draft import draft
from streams.maps.sample import Draft, Sample
from tests.streams.maps.test_suggestion import LATEST_MS, decoded, suggested

FIRST_MS = 1_767_634_490_000
SIZE = 60
Meant = tuple[int, str | None, str, str, bool]
"""Time, actor, target, metric, undo."""
Record = Callable[[str, int, dict[str, Any]], dict[str, Any]]
"""Makes a record of an operation on a row."""


def people() -> list[tuple[int, int, int, int]]:
    """(number, epoch ms, person 1 to 20, thing 1 to 7)."""
    return [(n, FIRST_MS + 7000 * n, 1 + n * 7 % 20, 1 + n * 5 % 7) for n in range(SIZE)]


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat().replace("+00:00", "Z")


def events(read: dict[str, Any], documents: list[Any]) -> list[Meant]:
    found = decoded(read, documents)
    assert found.refused == []
    good = found.good
    assert good is not None
    columns = good.ts.tolist(), good.fields["actor"], good.fields["target"], good.metric.tolist(), good.fields["undo"]
    return [
        (ts, actor, target, METRICS[metric], bool(undo))
        for ts, actor, target, metric, undo in zip(*columns, strict=True)
    ]


def check(documents: list[Any], meant: Sequence[Meant]) -> Draft:
    made, read = suggested(documents)
    assert made.missing == []
    assert events(read, documents) == list(meant)
    return made


# -------------------------------------------------------------------- change data capture


def maxwell(kind: str, ms: int, row: dict[str, Any]) -> dict[str, Any]:
    return {"database": "app", "table": "likes", "type": kind, "ts": ms // 1000, "data": row}


def canal(kind: str, ms: int, row: dict[str, Any]) -> dict[str, Any]:
    types = {"id": "bigint", "user_id": "bigint"}
    return {"data": [row], "isDdl": False, "mysqlType": types, "table": "likes", "ts": ms, "type": kind.upper()}


def mongo(kind: str, ms: int, row: dict[str, Any]) -> dict[str, Any]:
    place = "fullDocumentBeforeChange" if kind == "delete" else "fullDocument"
    stamp = {"$timestamp": {"t": ms // 1000, "i": 1}}
    return {"operationType": kind, "clusterTime": stamp, "ns": {"db": "app", "coll": "likes"}, place: row}


def dynamo(kind: str, ms: int, row: dict[str, Any]) -> dict[str, Any]:
    keys = {"userId": {"N": str(row["user_id"])}, "postId": {"N": str(row["post_id"])}}
    name = {"insert": "INSERT", "update": "MODIFY", "delete": "REMOVE"}[kind]
    change = {"ApproximateCreationDateTime": ms // 1000, "Keys": keys}
    return {"eventName": name, "awsRegion": "eu-west-1", "dynamodb": change}


def dms(kind: str, ms: int, row: dict[str, Any]) -> dict[str, Any]:
    return {"data": row, "metadata": {"timestamp": iso(ms), "operation": kind, "table-name": "likes"}}


def golden_gate(kind: str, ms: int, row: dict[str, Any]) -> dict[str, Any]:
    place = "before" if kind == "delete" else "after"
    return {"table": "APP.LIKES", "op_type": kind[0].upper(), "op_ts": iso(ms), place: row}


def change_feed(kind: str, ms: int, row: dict[str, Any]) -> dict[str, Any]:
    name = "update_postimage" if kind == "update" else kind
    return {**row, "_change_type": name, "_commit_timestamp": iso(ms)}


KINDS = ("insert", "insert", "update", "delete")


@pytest.mark.parametrize("record", [maxwell, canal, mongo, dynamo, dms, golden_gate, change_feed])
def test_a_deleted_row_undoes_its_act_and_an_update_is_none(record: Record) -> None:
    rows = [(n, ms, {"id": n, "user_id": who, "post_id": what}) for n, ms, who, what in people()]
    documents = [record(KINDS[n % 4], ms, row) for n, ms, row in rows]
    meant = [
        (ms, str(row["user_id"]), str(row["post_id"]), "like", KINDS[n % 4] == "delete")
        for n, ms, row in rows
        if KINDS[n % 4] != "update"
    ]
    made = check(documents, meant)
    assert "country" not in made.choices
    assert made.notes == [note for note in made.notes if "several acts" not in note]
    found = decoded({**made.mapping()}, documents).good
    assert found is not None
    ids = [ident for ident in found.fields["id"] if ident is not None]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("record", [maxwell, canal, dynamo, dms, change_feed])
def test_a_deletion_undoes_its_act_if_the_sample_has_none(record: Record) -> None:
    rows = [(ms, {"id": n, "user_id": who, "post_id": what}) for n, ms, who, what in people()]
    _, read = suggested([record("insert", ms, row) for ms, row in rows])
    later = events(read, [record("delete", ms, row) for ms, row in rows])
    assert later == [(ms, str(row["user_id"]), str(row["post_id"]), "like", True) for ms, row in rows]


def test_only_rows_of_tables_of_acts_are_events() -> None:
    documents = [
        {**maxwell("insert", ms, {"user_id": who, "post_id": what}), "table": ("likes", "users", "follows")[n % 3]}
        for n, ms, who, what in people()
    ]
    metrics = ("like", "", "follow")
    check(documents, [(ms, str(a), str(v), metrics[n % 3], False) for n, ms, a, v in people() if n % 3 != 1])


# -------------------------------------------------------------------- undos without a word for them


def test_minus_one_undoes_plus_one() -> None:
    documents = [
        {"ts": ms, "user_id": a, "video_id": v, "metric": "likes", "delta": -1 if n % 4 == 3 else 1}
        for n, ms, a, v in people()
    ]
    made = check(documents, [(ms, str(a), str(v), "like", n % 4 == 3) for n, ms, a, v in people()])
    assert not made.choices["undo"].sure


def test_a_time_of_removal_undoes_the_act_at_that_time() -> None:
    documents = [
        {"user_id": a, "post_id": v, "liked_at": iso(ms), "deleted_at": iso(ms + 900) if n % 4 == 3 else None}
        for n, ms, a, v in people()
    ]
    gone = [n % 4 == 3 for n in range(SIZE)]
    made = check(documents, [(ms + 900 * gone[n], str(a), str(v), "like", gone[n]) for n, ms, a, v in people()])
    assert made.choices["undo"].source == {"path": "deleted_at", "exists": True}


# -------------------------------------------------------------------- which field is whose


def test_a_value_that_all_records_share_identifies_nothing() -> None:
    documents = [
        {
            "event_vendor": "com.example",
            "device": "desktop",
            "created_at": iso(FIRST_MS),
            "session_id": f"s{a}",
            "page_url": f"/p/{v}",
            "seen_at": iso(ms),
        }
        for _, ms, a, v in people()
    ]
    made = check(documents, [(ms, f"s{a}", f"/p/{v}", "view", False) for _, ms, a, v in people()])
    assert not made.choices["actor"].sure


def test_a_topic_of_one_target_is_read() -> None:
    documents = [{"ts": ms, "user_id": a, "video_id": "v1", "type": "view"} for _, ms, a, _ in people()]
    check(documents, [(ms, str(a), "v1", "view", False) for _, ms, a, _ in people()])


def test_a_time_is_no_id_and_the_id_of_each_record_is_no_target() -> None:
    follows = [
        {"type": "channel.follow", "event": {"user_id": a, "broadcaster_user_id": v, "followed_at": iso(ms)}}
        for _, ms, a, v in people()
    ]
    check(follows, [(ms, str(a), str(v), "follow", False) for _, ms, a, v in people()])
    pages = [
        {"visitorId": f"w{a}", "pageId": f"x{n}", "pageIdAction": v, "requestId": f"r{n}", "timestamp": ms // 1000}
        for n, ms, a, v in people()
    ]
    made = check(pages, [(ms, f"w{a}", str(v), "view", False) for _, ms, a, v in people()])
    assert made.choices["id"].source == {"path": "requestId"}


def test_the_id_of_a_person_or_a_thing_is_better_than_what_else_is_known_of_them() -> None:
    documents = [
        {
            "id": n,
            "type": "favourite",
            "created_at": iso(ms),
            "account": {"username": f"name{a % 3}", "id": a},
            "status": {"content": f"<p>{v % 2}</p>", "id": v},
        }
        for n, ms, a, v in people()
    ]
    check(documents, [(ms, str(a), str(v), "like", False) for _, ms, a, v in people()])


def test_a_subject_may_be_a_text_or_an_object() -> None:
    documents = [
        {
            "did": f"did:plc:{a}",
            "time_us": ms * 1000,
            "commit": {
                "operation": "create",
                "collection": "app.bsky.graph.follow" if n % 5 == 0 else "app.bsky.feed.like",
                "record": {"subject": f"did:plc:t{v}" if n % 5 == 0 else {"cid": f"c{v}", "uri": f"at://{v}"}},
            },
        }
        for n, ms, a, v in people()
    ]
    meant = [
        (ms, f"did:plc:{a}", *((f"did:plc:t{v}", "follow") if n % 5 == 0 else (f"at://{v}", "like")), False)
        for n, ms, a, v in people()
    ]
    check(documents, meant)


def test_records_without_an_actor_are_events_of_nobody() -> None:
    documents = [
        {"ts": ms, "uid": (a, 0, "anonymous", None, "")[n % 5], "video": v, "event": "play"} for n, ms, a, v in people()
    ]
    check(documents, [(ms, None if n % 5 else str(a), str(v), "view", False) for n, ms, a, v in people()])


def test_the_start_of_a_playback_is_a_view_and_its_heartbeats_are_none() -> None:
    kinds = ("start", "heartbeat", "heartbeat", "end")
    documents = [{"ts": ms, "user": a, "video": v, "type": kinds[n % 4]} for n, ms, a, v in people()]
    check(documents, [(ms, str(a), str(v), "view", False) for n, ms, a, v in people() if n % 4 == 0])


# -------------------------------------------------------------------- what a map cannot make events of


def test_totals_are_no_actors() -> None:
    documents = [
        {"video_id": v, "at": iso(ms), "view_count": 1000 + n, "likes": n, "note": "all"} for n, ms, _, v in people()
    ]
    made, _ = suggested(documents)
    assert made.missing == ["actor"]
    assert any("view_count, likes: these seem to be totals" in note for note in made.notes)


def test_a_quantity_is_noted() -> None:
    documents = [{"ts": ms, "user": a, "video": v, "event": "view", "count": 1 + n % 5} for n, ms, a, v in people()]
    made = check(documents, [(ms, str(a), str(v), "view", False) for _, ms, a, v in people()])
    assert any("count has numbers up to 5" in note for note in made.notes)


def test_a_document_in_a_text_is_no_id() -> None:
    documents = [{"ts": ms, "user": a, "properties": f'{{"url": "/v/{v}"}}'} for _, ms, a, v in people()]
    made, _ = suggested(documents)
    assert made.missing == ["target"]
    assert any("properties is a document in a text" in note for note in made.notes)


def test_a_list_of_ids_is_noted_where_no_target_is_found() -> None:
    documents = [{"ts": ms, "user": a, "seen": [f"v{v}", "v9"]} for _, ms, a, v in people()]
    made, _ = suggested(documents)
    assert any('each = "seen" and path = "$"' in note for note in made.notes)


def test_ticks_are_no_milliseconds() -> None:
    documents = [
        {"ts": ms, "user": a, "item_id": v, "PlaybackPositionTicks": 3 * 10**10 + n, "RunTimeTicks": 72 * 10**9}
        for n, ms, a, v in people()
    ]
    made = check(documents, [(ms, str(a), str(v), "view", False) for _, ms, a, v in people()])
    assert not {"watch_ms", "duration_ms"} & set(made.choices)


def test_a_first_line_that_may_be_a_row_is_noted() -> None:
    rows = [{"1767634490": str(ms // 1000), "u3": f"u{a}", "v1": f"v{v}"} for _, ms, a, v in people()]
    made = draft(Sample(rows, "likes.csv", LATEST_MS, tabular=True))
    assert any("a column has the name 1767634490" in note for note in made.notes)


@pytest.mark.parametrize(
    ("day", "clock"),
    [("%Y-%m-%d", "%H:%M:%S"), ("%Y-%m-%d", "%I:%M:%S %p"), ("%d.%m.%Y", "%H:%M:%S"), ("%m/%d/%Y", "%I:%M:%S %p")],
)
def test_a_day_and_a_time_of_day_in_two_columns_are_the_time(day: str, clock: str) -> None:
    moments = [datetime.fromtimestamp(ms / 1000 + 86_400 * 15 * (n % 2), UTC) for n, ms, _, _ in people()]
    documents = [
        {"date": moment.strftime(day), "time": moment.strftime(clock), "user_id": a, "video_id": v}
        for moment, (_, _, a, v) in zip(moments, people(), strict=True)
    ]
    times = [int(moment.timestamp() * 1000) for moment in moments]
    check(documents, [(ts, str(a), str(v), "view", False) for ts, (_, _, a, v) in zip(times, people(), strict=True)])


def test_a_day_is_a_worse_time_than_a_moment_and_never_sure() -> None:
    documents = [
        {"event_date": "20260105", "event_timestamp": str(ms * 1000), "user_id": a, "page": v}
        for _, ms, a, v in people()
    ]
    check(documents, [(ms, str(a), str(v), "view", False) for _, ms, a, v in people()])
    made, _ = suggested([{"event_date": "20260105", "user_id": a, "page": v} for _, _, a, v in people()])
    assert not made.choices["ts"].sure
    assert "all events of a day have the same time" in made.choices["ts"].why


@pytest.mark.parametrize("nothing", ["\\N", "NULL", "0000-00-00 00:00:00"])
def test_words_for_no_removal_are_no_removal(nothing: str) -> None:
    documents = [
        {"user_id": a, "post_id": v, "liked_at": iso(ms), "deleted_at": nothing if n % 4 else iso(ms + 900)}
        for n, ms, a, v in people()
    ]
    gone = [n % 4 == 0 for n in range(SIZE)]
    check(documents, [(ms + 900 * gone[n], str(a), str(v), "like", gone[n]) for n, ms, a, v in people()])


def test_ids_that_a_spreadsheet_has_rounded_are_noted() -> None:
    documents = [{"ts": ms, "user_id": f"8.0351{a}E+16", "video": v, "event": "play"} for _, ms, a, v in people()]
    made, _ = suggested(documents)
    assert any("a spreadsheet has rounded them" in note for note in made.notes)


def test_durations_in_hours_are_left_out() -> None:
    documents = [{"ts": ms, "user": a, "video": v, "watch time (hours)": 12.5} for _, ms, a, v in people()]
    assert "watch_ms" not in suggested(documents)[0].choices
