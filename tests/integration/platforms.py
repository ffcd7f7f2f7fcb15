"""Three invented platforms: what their producers write, and what it must add up to.

Each platform makes its records and its truth from the same acts, without any code of truecount's.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
ROBOT = "Googlebot/2.1 (+http://www.google.com/bot.html)"


@dataclass
class Record:
    """One record of a topic."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass
class Truth:
    """What the records of a platform must become."""

    records: list[Record] = field(default_factory=list)
    raw: Counter[tuple[str, str]] = field(default_factory=Counter)
    """by target and metric"""
    invalid: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """by target, metric and reason"""
    dead: list[bytes] = field(default_factory=list)
    """values of records that are planted as bad"""
    skipped: Counter[str] = field(default_factory=Counter)
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)

    def plant(self, record: Record) -> None:
        """Add a record that must become a dead letter."""
        assert record.value is not None
        self.records.append(record)
        self.dead.append(record.value)


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def video_site(seed: int, now_ms: int) -> Truth:
    """See deploy/examples/video_site.toml."""
    rng, truth = random.Random(seed), Truth()
    topic = "player.events.v4"
    for n in range(900):
        at, video = now_ms - 900_000 + n * 900, f"v{rng.randrange(40)}"
        agent = ROBOT if n % 50 == 7 else AGENT
        viewer = {"account": None if n % 3 else 1000 + n, "device": None if n % 7 == 0 else f"d-{n}", "agent": agent}
        clock = {"sent_us": at * 1000 + 456} if n % 4 else {}
        media = {"seconds": 15.5, "watched": -1 if n % 100 == 3 else 15.5}
        client = clock | {"hops": [f"203.0.{n % 250}.9:443", "10.0.0.7"]}
        play = {"type": "play", "client": client, "received_at": _iso(at), "viewer": viewer, "media": media}
        headers = [("x-synthetic", b"true")] if n % 90 == 11 else [("trace", b"\xff")]
        truth.records.append(Record(topic, _json(play), video.encode(), headers))
        if n % 90 == 11:
            truth.skipped["filtered"] += 1
        else:
            truth.raw[video, "view"] += 1
            truth.invalid[video, "view", "declared_robot"] += agent == ROBOT
            truth.unread["watch_ms", "bad_value"] += n % 100 == 3
        for kind in rng.sample(["heartbeat", "pause", "seek", "complete"], rng.randrange(3)):
            truth.records.append(Record(topic, _json({"type": kind, "received_at": _iso(at)}), video.encode()))
            truth.skipped["filtered"] += 1
    good = {"type": "play", "received_at": _iso(now_ms), "viewer": {"account": 1}, "media": {}}
    truth.plant(Record(topic, _json(good), None))
    truth.plant(Record(topic, _json(good | {"client": {"sent_us": now_ms}}), b"v1"))
    truth.plant(Record(topic, b'{"type":"play",', b"v1"))
    _batches(rng, truth, now_ms)
    return truth


def _batches(rng: random.Random, truth: Truth, now_ms: int) -> None:
    topic = "engagement.batches"
    for n in range(200):
        at, account, actions = now_ms - 900_000 + n * 4000, 5000 + n, []
        videos = rng.sample(range(40), 3)
        for kind in ("LIKE", "SHARE", "SUBSCRIBE")[: rng.randrange(4)]:
            video = f"v{videos.pop()}"
            actions.append({"kind": kind, "on": video, "at": at})
            if kind == "SHARE":
                truth.skipped["filtered"] += 1
                continue
            metric = {"LIKE": "like", "SUBSCRIBE": "follow"}[kind]
            truth.raw[video, metric] += 1
            if n % 10 == 0:
                actions.append({"kind": f"UN{kind}", "on": video, "at": at + 1000})
                truth.invalid[video, metric, "undone"] += 1
        batch = _json({"batch": f"b-{n}", "account": account, "actions": actions})
        truth.skipped["no_elements"] += not actions
        truth.records.append(Record(topic, batch))
        if n % 20 == 5:  # the producer sends it again: the same ids
            truth.records.append(Record(topic, batch))
            truth.skipped["no_elements"] += not actions
            for action in actions:
                if action["kind"] in ("LIKE", "SUBSCRIBE"):
                    metric = {"LIKE": "like", "SUBSCRIBE": "follow"}[str(action["kind"])]
                    truth.raw[str(action["on"]), metric] += 1
                    truth.invalid[str(action["on"]), metric, "duplicate_id"] += 1
                else:
                    truth.skipped["filtered"] += 1
    half = {
        "batch": "b-half",
        "account": 9000,
        "actions": [{"kind": "LIKE", "on": "v1", "at": now_ms}, {"kind": "LIKE"}],
    }
    truth.plant(Record(topic, _json(half)))
    truth.raw["v1", "like"] += 1


def social_network(seed: int, now_ms: int) -> Truth:
    """See deploy/examples/social_network.toml."""
    rng, truth = random.Random(seed), Truth()
    likes, follows = "db.public.favourites", "db.public.follows"
    schema = b"\x00" + (71).to_bytes(4)
    rows: list[dict[str, int]] = []

    def envelope(op: str, before: object, after: object, at: int) -> bytes:
        return schema + _json(
            {"before": before, "after": after, "op": op, "ts_ms": at, "source": {"table": "favourites"}}
        )

    for n in range(800):
        status = 900719925474099300 + rng.randrange(30)
        row = {"id": n, "account_id": 100 + n, "status_id": status, "created_at": now_ms * 1000}
        rows.append(row)
        op = "r" if n < 300 else "c"
        at = now_ms - 800_000 if op == "r" else now_ms - 800_000 + n * 1000
        key = _json({"id": n})
        truth.records.append(Record(likes, envelope(op, None, row, at), key))
        truth.raw[str(status), "like"] += 1
        if n % 9 == 0:
            truth.records.append(Record(likes, envelope("u", row, row | {"seen": True}, at + 10), key))
            truth.skipped["filtered"] += 1
        if n % 13 == 0:
            truth.records.append(Record(likes, envelope("d", row, None, at + 500), key))
            truth.records.append(Record(likes, None, key))
            truth.skipped["tombstone"] += 1
            truth.invalid[str(status), "like", "undone"] += 1
    truth.plant(Record(likes, schema + b"\x02\x04avro", b"{}"))
    truth.plant(Record(likes, envelope("c", None, {"id": 9999, "account_id": 5}, now_ms), b"{}"))
    for n in range(500):
        target, at = f"{rng.randrange(20)}", now_ms - 700_000 + n * 1000
        key = _json({"target_account_id": int(target)})
        flat = {"id": n, "account_id": 7000 + n, "__deleted": "false", "__op": "c", "__ts_ms": at}
        truth.records.append(Record(follows, _json(flat), key))
        truth.raw[target, "follow"] += 1
        if n % 11 == 0:
            truth.records.append(Record(follows, _json(flat | {"__op": "u"}), key))
            truth.skipped["filtered"] += 1
        if n % 8 == 0:
            gone = flat | {"__deleted": "true", "__op": "d", "__ts_ms": at + 500}
            truth.records += [
                Record(follows, _json(gone), key),
                Record(follows, _json(gone), key),
                Record(follows, None, key),
            ]
            truth.skipped["tombstone"] += 1
            truth.invalid[target, "follow", "undone"] += 1
    truth.plant(
        Record(
            follows,
            _json({"id": 1, "account_id": 1, "__deleted": "maybe", "__op": "c", "__ts_ms": now_ms}),
            b'{"target_account_id":1}',
        )
    )
    return truth


def podcast_host(seed: int, now_ms: int) -> Truth:
    """See deploy/examples/podcast_host.toml."""
    rng, truth = random.Random(seed), Truth()
    topic = "edge.access"
    apps = ["AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5 like Mac OS X)", "Podcast App/7.1 (Android 14)", AGENT]

    def line(n: int, **changed: object) -> dict[str, object]:
        at = datetime.fromtimestamp((now_ms - 900_000 + n * 800) / 1000, UTC)
        return {
            "@timestamp": f"{at:%Y-%m-%dT%H:%M:%S},{at.microsecond // 1000:03d}+0000",
            "http.request.method": "GET",
            "http.response.status": rng.choice([200, 206]),
            "http.response.bytes": 1_840_021,
            "url.path": f"/shows/s{n % 4}/e{rng.randrange(6)}.mp3",
            "client.address": f"203.0.{n % 250}.{n // 250}:{rng.randrange(1024, 65536)}",
            "user_agent.original": rng.choice(apps),
            "http.request.referrer": "-",
        } | changed

    for n in range(1000):
        document = line(n)
        changes: dict[int, dict[str, object]] = {
            1: {"http.request.method": "HEAD"},
            2: {"http.response.status": 404},
            3: {"url.path": "/robots.txt"},
            4: {"http.response.bytes": 2},
        }
        other = changes.get(n % 40)
        if n % 40 == 5:
            document["user_agent.original"] = ROBOT
        if n % 40 == 6:
            document["client.address"] = f"[2001:db8:{n:x}::1]:{n}"
        document = document | (other or {})
        truth.records.append(Record(topic, _json(document), None, [("request-id", f"r-{n}".encode())]))
        if other is not None:
            truth.skipped["filtered"] += 1
            continue
        target = str(document["url.path"]).removeprefix("/shows/").rpartition(".")[0]
        truth.raw[target, "view"] += 1
        truth.invalid[target, "view", "declared_robot"] += n % 40 == 5
        if n % 50 == 0:  # the shipper sends it again
            truth.records.append(truth.records[-1])
            truth.raw[target, "view"] += 1
            truth.invalid[target, "view", "duplicate_id"] += 1
    unclean = (
        _json(line(1)).replace(b"Mozilla", b"Caf\xe9").replace(b"AppleCore", b"Caf\xe9").replace(b"Podcast", b"Caf\xe9")
    )
    truth.plant(Record(topic, unclean, None, [("request-id", b"r-unclean")]))
    truth.plant(Record(topic, _json(line(2) | {"@timestamp": "yesterday"}), None))
    truth.plant(Record(topic, b'203.0.113.9 - - "GET /shows/s1/e1.mp3 HTTP/1.1" 200', None))
    return truth
