"""Small inputs that a real bus or export has, with what is right for each.

Each stands for a class of faults that was met in public reports. Ids are made up; every case has targets of its own, so
that all of them can go through one worker.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"


@dataclass(frozen=True)
class Case:
    """An input and what it must become. ``fields`` is the map, as TOML; none is native."""

    name: str
    content: bytes
    counts: dict[tuple[str, str], tuple[int, int]]
    """target and metric → raw and valid"""
    fields: str = ""
    suffix: str = "ndjson"
    dead: dict[str, int] = field(default_factory=dict)
    """dead letters by reason"""
    skipped: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)
    """optional values left out, by field"""


def _lines(*documents: object) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


LONG: list[dict[str, object]] = [
    {"referrer": "https://ads.example/aclk?gclid=" + "x" * 2300},
    {"session": "eyJhbGciOi." + "x" * 3000},
    {"user_agent": "Mozilla/5.0 " + "y" * 3000},
    {"id": "urn:uuid:" + "0" * 160},
    {"actor": "https://social.example/users/" + "n" * 140},
    {"country": "", "owner": None},
]


def _follow(seconds: int, actor: str, target: str, **more: object) -> dict[str, object]:
    return {
        "ts": 1767634500000 + seconds * 1000,
        "actor": actor,
        "target": target,
        "metric": "follow",
        "ua": AGENT,
        **more,
    }


FOLLOWS = """
[map]
ts = "ts"
actor = "actor"
target = "target"
metric = "metric"
user_agent = "ua"
undo = "undo"
id = "id"
"""
CDC = """
metric = "like"
keep = [{{path = "{op}", is = ["r", "c", "d"]}}]
[map]
ts = {{path = "{ts}", time = "ms"}}
actor = {{first = ["{after}account_id", "{before}account_id"]}}
target = {{first = ["{after}status_id", "{before}status_id"]}}
undo = {{path = "{op}", words = {{r = false, c = false, d = true}}}}
history = {{path = "{op}", words = {{r = true, c = false, d = false}}}}
"""


def _row(number: int, status: int) -> dict[str, int]:
    return {"id": number, "account_id": 10 + number, "status_id": status, "created_at": 1767634490000000}


def _change(op: str, before: object, after: object, ts: int) -> dict[str, object]:
    return {"payload": {"before": before, "after": after, "op": op, "ts_ms": ts}}


def _flat(number: int, op: str, ts: int) -> dict[str, object]:
    deleted = "true" if op == "d" else "false"
    return {"id": number, "account_id": 10 + number, "status_id": 9102, "__deleted": deleted, "__op": op, "__ts_ms": ts}


LIKE = {"type": "Like", "object": "https://b.example/p/9"}
TITLES = ['"Weird_Al"_Yankovic', '"Heroes"_(album)', '12"_single', "Main_Page", "Cat", "Dog"]

CASES = [
    Case(
        "short_clips",
        _lines(
            *(
                {
                    "ts": 1767634490000 + n * 1000,
                    "actor": f"a{n}",
                    "target": "clip",
                    "metric": "view",
                    "watch_ms": 15000,
                    "duration_ms": 15000,
                }
                for n in range(12)
            )
        ),
        {("clip", "view"): (12, 12)},
    ),
    Case(
        "refused_by_map",
        _lines(
            {"ts": 1767634490, "actor": "a1", "target": "r1", "metric": "view"},
            {"ts": 1767634491000, "actor": "a2", "target": "r1", "metric": "view"},
            {"ts": 1767634492, "actor": "a3", "target": "r1", "metric": "view", "watched": -5},
            {"ts": 1767634493, "actor": "a4", "target": "r1", "metric": "view", "watched": "n/a"},
            {"ts": "yesterday", "actor": "a5", "target": "r1", "metric": "view"},
            {"ts": 1767634495, "actor": "a6", "target": "r1", "metric": "share"},
            {"ts": 1767634496, "actor": "", "target": "r1", "metric": "view"},
            {"ts": 1767634497, "actor": "a8", "target": "r1", "kind": "view"},
        ),
        {("r1", "view"): (3, 3)},
        '[map]\nts = {path = "ts", time = "s"}\nactor = "actor"\ntarget = "target"\nmetric = "metric"\n'
        'watch_ms = "watched"',
        dead={"bad_time": 2, "unknown_metric": 1, "missing_field": 2},
        unread={"watch_ms": 2},
    ),
    Case(
        "tsv_quotes",
        ("ts\tactor\tpage\n" + "".join(f"{1767634491 + n}\tu{n}\t{TITLES[n % 6]}\n" for n in range(163))).encode(),
        {(title, "view"): ((163 - place + 5) // 6,) * 2 for place, title in enumerate(TITLES)},
        '[map]\nmetric = {value = "view"}\nts = {path = "ts", time = "s"}\nactor = "actor"\ntarget = "page"',
        "tsv",
    ),
    Case(
        "dotted_columns",
        b"uuid,timestamp,properties.$current_url,properties.$ip,viewer.account_id\n"
        b"e1,2026-01-05T17:30:00.000Z,/d/42,203.0.113.9,77\ne2,2026-01-05T17:31:00.000Z,/d/42,203.0.113.10,78\n"
        b"e3,2026-01-05T17:32:00.000Z,/d/43,203.0.113.11,79\n",
        {("/d/42", "view"): (2, 2), ("/d/43", "view"): (1, 1)},
        '[map]\nmetric = {value = "view"}\nts = {path = "timestamp", time = "iso"}\nactor = "viewer.account_id"\n'
        'target = "properties.$current_url"\nip = "properties.$ip"\nid = "uuid"',
        "csv",
    ),
    Case(
        "dotted_keys",
        _lines(
            {
                "uuid": "e1",
                "timestamp": "2026-01-05T17:30:00.000Z",
                "viewer.account_id": 77,
                "properties.$current_url": "/k/42",
            }
        ),
        {("/k/42", "view"): (1, 1)},
        'metric = "view"\n[map]\nts = {path = "timestamp", time = "iso"}\nactor = "viewer.account_id"\n'
        'target = "properties.$current_url"',
    ),
    Case(
        "undo_words",
        b"created_at,account_id,status_id,removed\n"
        + b"".join(b"2026-01-05 17:3%d:00+00,u%d,u-s1,f\n" % (n, n) for n in range(4))
        + b"".join(b"2026-01-05 17:3%d:00+00,u%d,u-s1,t\n" % (n + 4, n) for n in range(3))
        + b"2026-01-05 17:38:00+00,u9,u-s1,maybe\n",
        {("u-s1", "like"): (4, 1)},
        '[map]\nmetric = {value = "like"}\nts = {path = "created_at", time = "iso"}\nactor = "account_id"\n'
        'target = "status_id"\nundo = "removed"',
        "csv",
        dead={"unknown_word": 1},
    ),
    Case(
        "undo_twiceid",
        _lines(
            _follow(10, "a", "twice", id="fa"),
            _follow(30, "b", "twice", id="fb"),
            _follow(50, "c", "twice", id="fc"),
            *(_follow(51 + n, "a", "twice", id="u1", undo=True) for n in range(3)),
        ),
        {("twice", "follow"): (3, 2)},
        FOLLOWS,
    ),
    Case(
        "undo_stranger",
        _lines(
            *(_follow(10 + 20 * n, actor, "strangers") for n, actor in enumerate("abc")),
            *(_follow(70 + 20 * n, actor, "strangers", undo=True) for n, actor in enumerate("xyz")),
        ),
        {("strangers", "follow"): (3, 3)},
        FOLLOWS,
    ),
    Case(
        "undo_twice",
        _lines(
            *(_follow(10 + 20 * n, actor, "twice without id") for n, actor in enumerate("abc")),
            *(_follow(51 + n, "a", "twice without id", undo=True) for n in range(3)),
        ),
        {("twice without id", "follow"): (3, 2)},
        FOLLOWS,
    ),
    Case(
        "undo_before",
        _lines(
            _follow(10, "b", "before"),
            _follow(30, "a", "before", undo=True),
            _follow(29, "a", "before"),
        ),
        {("before", "follow"): (2, 1)},
        FOLLOWS,
    ),
    Case(
        "cdc_envelope",
        _lines(
            _change("r", None, _row(1, 9101), 1767634490123),
            _change("c", None, _row(2, 9101), 1767634520123),
            _change("u", _row(2, 9101), _row(2, 9101) | {"seen": 1}, 1767634550123),
            _change("d", _row(1, 9101), None, 1767634580123),
        ),
        {("9101", "like"): (2, 1)},
        CDC.format(op="payload.op", ts="payload.ts_ms", after="payload.after.", before="payload.before."),
        skipped={"filtered": 1},
    ),
    Case(
        "cdc_flat",
        _lines(
            _flat(1, "c", 1767634490123),
            _flat(2, "c", 1767634520123),
            _flat(2, "u", 1767634550123),
            _flat(1, "d", 1767634580123),
        ),
        {("9102", "like"): (2, 1)},
        CDC.format(op="__op", ts="__ts_ms", after="", before=""),
        skipped={"filtered": 1},
    ),
    Case(
        "player_events",
        _lines(
            *(
                {"at": 1767634490.1 + n * 10, "user": user, "media": "mixed", "event": kind}
                for n, (user, kind) in enumerate(
                    [
                        ("u1", "play"),
                        ("u1", "heartbeat"),
                        ("u1", "heartbeat"),
                        ("u1", "pause"),
                        ("u2", "play"),
                        ("u2", "complete"),
                    ]
                )
            )
        ),
        {("mixed", "view"): (2, 2)},
        'metric = "view"\nkeep = [{path = "event", is = "play"}]\n[map]\nts = {path = "at", time = "s"}\n'
        'actor = "user"\ntarget = "media"',
        skipped={"filtered": 4},
    ),
    Case(
        "activities",
        _lines(
            LIKE
            | {"id": "https://a.example/l/1", "actor": "https://a.example/u/1", "published": "2026-01-05T17:30:00Z"},
            LIKE
            | {"id": "https://a.example/l/2", "actor": "https://a.example/u/2", "published": "2026-01-05T17:31:00Z"},
            {
                "id": "https://a.example/u/1",
                "type": "Undo",
                "actor": "https://a.example/u/1",
                "object": LIKE | {"id": "https://a.example/l/1"},
                "published": "2026-01-05T17:32:00Z",
            },
            {
                "id": "https://a.example/a/1",
                "type": "Announce",
                "actor": "x",
                "object": "y",
                "published": "2026-01-05T17:33:00Z",
            },
        ),
        {("https://b.example/p/9", "like"): (2, 1)},
        'keep = [{path = "type", is = ["Like", "Undo"]}]\n[map]\n'
        'ts = {path = "published", time = "iso"}\nactor = "actor"\n'
        'target = {first = ["object.object", "object"]}\nid = {first = ["object.id", "id"]}\n'
        'metric = {path = "type", words = {Like = "like", Undo = "like"}}\n'
        'undo = {path = "type", words = {Like = false, Undo = true}}',
        skipped={"filtered": 1},
    ),
    Case(
        "long_fields",
        _lines(
            *(
                {"ts": 1767634491000 + n * 1000, "actor": f"a{n}", "target": "long", "metric": "view", **more}
                for n, more in enumerate(LONG)
            ),
            {"ts": 1767634498000, "actor": "a8", "target": "Ж" * 127, "metric": "view"},
        ),
        {("long", "view"): (6, 6), ("Ж" * 127, "view"): (1, 1)},
        unread={"referrer": 1, "session": 1, "user_agent": 1},
    ),
    Case(
        "watch_times",
        b"DateCreated\tUserId\tItemId\tPlayDuration\tRunTime\n"
        b"2024-09-21 22:38:54.10625\tuser-1\titem-1\t5400\t5700\n"
        b"2024-09-27 22:38:56.5013082\tuser-2\titem-1\t-2147483648\t5700\n"
        b"2024-09-27 22:41:15.6367694\tuser-3\titem-1\t-5\t5700\n2024-09-28 10:00:00\tuser-4\titem-1\t0\t5700\n"
        b"2024-09-28 11:00:00\tuser-5\titem-1\t86400\t5700\n2024-09-28 12:00:00\tuser-6\titem-1\tNaN\t5700\n"
        b"2024-09-28 13:00:00\tuser-7\titem-1\t\t0\n2024-09-28 14:00:00\tuser-8\titem-1\t1:30:05\t5700\n"
        b"2024-09-28 15:00:00\tuser-9\titem-1\t12,5\t5700\n",
        {("item-1", "view"): (9, 9)},
        '[map]\nmetric = {value = "view"}\nts = {path = "DateCreated", time = "iso"}\n'
        'actor = "UserId"\ntarget = "ItemId"\n'
        'watch_ms = {path = "PlayDuration", unit = "s"}\nduration_ms = {path = "RunTime", unit = "s"}',
        "tsv",
        unread={"watch_ms": 5},
    ),
    Case(
        "watched_seconds",
        b"ts,user,clip,watched,length\n"
        + b"".join(
            b"%d.5,u%d,again,15,15\n%d.5,u%d,again,15,15\n" % (1767634490 + 60 * n, n, 1767634508 + 60 * n, n)
            for n in range(5)
        ),
        {("again", "view"): (10, 10)},
        '[map]\nmetric = {value = "view"}\nts = {path = "ts", time = "s"}\nactor = "user"\ntarget = "clip"\n'
        'watch_ms = {path = "watched", unit = "s"}\nduration_ms = {path = "length", unit = "s"}',
        "csv",
    ),
    Case(
        "latin1",
        b"t,user,item,agent\n1767634490,Jos\xe9,latin,x\n1767634491,u2,latin,caf\xe9\n1767634492,u3,latin,x\n",
        {("latin", "view"): (2, 2)},
        '[map]\nmetric = {value = "view"}\nts = {path = "t", time = "s"}\nactor = "user"\ntarget = "item"\n'
        'user_agent = "agent"',
        "csv",
        dead={"invalid_utf8": 1},
        unread={"user_agent": 1},
    ),
    Case(
        "quote_never_closed",
        b't,user,item,agent\n1767634490,u1,quoted,"multi\nline, agent"\n1767634491,u2,quoted,x\n'
        b'1767634492,u3,quoted,"unclosed\n1767634493,u4,quoted,x\n1767634494,u5,quoted,x\n',
        {("quoted", "view"): (2, 2)},
        '[map]\nmetric = {value = "view"}\nts = {path = "t", time = "s"}\nactor = "user"\ntarget = "item"\n'
        'user_agent = "agent"',
        "csv",
        dead={"bad_row": 1},
    ),
    Case(
        "units_of_time",
        b"t,user,item\n1767634490123456,u1,micro\n1767634491123456,u2,micro\n",
        {("micro", "view"): (2, 2)},
        '[map]\nmetric = {value = "view"}\nts = {path = "t", time = "us"}\nactor = "user"\ntarget = "item"',
        "csv",
    ),
]
"""``doubled_column`` is refused as a whole: see tests/streams/offline/recorded/test_cases.py."""
