"""Recorded files into topics: the worker counts what the offline audit counts, and both refuse the same rows."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.testbed.brokers import BrokerAddress
from bench.testbed.workers import Installation, install, run_cli
from tests.streams.recorded_files import map_of

T0 = 1767634490
QUOTE_NEVER_CLOSED = (
    't,user,item,agent\n1767634490,u1,v1,"multi\nline, agent"\n1767634491,u2,v1,x\n'
    '1767634492,u3,v1,"unclosed\n1767634493,u4,v1,x\n1767634494,u5,v1,x\n'
)
FILES: dict[str, tuple[bytes, str]] = {
    "quotes.tsv": (
        ("ts\tactor\tpage\n" + "".join(f'{T0 + n}\tu{n}\t"Heroes"_(album){n % 3}\n' for n in range(163))).encode(),
        map_of("ts", "actor", "page"),
    ),
    "dotted.csv": (
        (
            b"uuid,timestamp,properties.$current_url,viewer.account_id\n"
            b"e1,2026-01-05T17:30:00.000Z,/v/42,77\ne2,2026-01-05T17:31:00.000Z,/v/42,78\n"
        ),
        map_of("timestamp", "viewer.account_id", "properties.$current_url", "iso", 'id = "uuid"\n'),
    ),
    "latin1.csv": (
        b"t,user,item,agent\n1767634490,Jos\xe9,l1,x\n1767634491,u2,l1,caf\xe9\n1767634492,u3,l1,x\n",
        map_of("t", "user", "item", more='user_agent = "agent"\n'),
    ),
    "unclosed.csv": (QUOTE_NEVER_CLOSED.encode(), map_of("t", "user", "item", more='user_agent = "agent"\n')),
    "refused.ndjson": (
        (
            b'{"ts":1767634490,"actor":"a1","target":"r1","metric":"view"}\n'
            b'{"ts":1767634491000,"actor":"a2","target":"r1","metric":"view"}\n'
            b'{"ts":1767634493,"actor":"a4","target":"r1","metric":"view","watched":"n/a"}\n'
            b'{"ts":"yesterday","actor":"a5","target":"r1","metric":"view"}\n'
            b'{"ts":1767634495,"actor":"a6","target":"r1","metric":"share"}\n'
            b'{"ts":1767634497,"actor":"a8","target":"r1","kind":"view"}\n'
        ),
        map_of("ts", "actor", "target", more='watch_ms = "watched"\n').replace('{value = "view"}', '"metric"'),
    ),
    "backwards.csv": (
        b"t,user,item\n" + b"".join(b"%d,u%d,b1\n" % (T0 + 60 * n, n) for n in reversed(range(200))),
        map_of("t", "user", "item"),
    ),
}
Letter = tuple[str, int, int, str, str, bytes]


def replayed(truecount: Installation, directory: Path, name: str, *options: str) -> dict[str, Any]:
    """What a replay of one of the files answers."""
    content, layout = FILES[name]
    path, map_file = directory / name, directory / f"{name}.toml"
    path.write_bytes(content)
    map_file.write_text(layout)
    config = ("--config", str(truecount.config))
    done = run_cli("replay", str(path), "--map", str(map_file), *config, *options, "--allow-bad", "--json", seconds=100)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def letters_online(truecount: Installation) -> list[Letter]:
    """Dead letters of the topic."""
    found: list[Letter] = []
    for record in truecount.records(truecount.topics.dead_letters):
        headers = {name: value.decode() for name, value in record.headers}
        assert headers["line"] == headers["offset"]
        place = headers["topic"], int(headers["partition"]), int(headers["line"])
        found.append((*place, headers["reason"], headers["message"], record.value))
    return sorted(found)


def letters_offline(out: Path) -> list[Letter]:
    """Dead letters of an offline audit."""
    return [
        (
            letter["topic"],
            letter["partition"],
            letter["line"],
            letter["reason"],
            letter["message"],
            base64.b64decode(letter["value_base64"]),
        )
        for letter in map(json.loads, (out / "dead-letters.ndjson").read_text().splitlines())
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_replay_into_topics_gives_what_the_offline_audit_gives(
    broker: BrokerAddress, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    truecount = install(broker, tmp_path, unique)
    offline: list[Letter] = []
    raw: dict[str, int] = {}
    for name in FILES:
        summary = replayed(truecount, tmp_path, name, "--offline", "--out", str(tmp_path / "out"))
        offline += letters_offline(tmp_path / "out")
        for line in (tmp_path / "out" / "audited-counts.ndjson").read_text().splitlines():
            count = json.loads(line)
            raw[count["target"]] = count["raw"]
        assert summary["late"] == 0
    assert raw["v1"] == raw["l1"] == raw["r1"] == raw["/v/42"] == 2
    assert (raw["b1"], sum(raw.values())) == (200, 163 + 200 + 8)

    with truecount.worker():
        answers = {name: replayed(truecount, tmp_path, name) for name in FILES}
        truecount.wait_drained(sum(raw.values()))

    assert {target: count["raw"] for (target, _), count in truecount.counts().items()} == raw
    assert letters_online(truecount) == sorted(offline)
    assert {name for name, answer in answers.items() if answer["sorted"]} == {"backwards.csv"}
    assert answers["refused.ndjson"]["refused"] == {"bad_time": 2, "unknown_metric": 1, "missing_field": 1}
    assert answers["latin1.csv"]["most_frequent"]["value"] == "1767634490,Jos\\xe9,l1,x"
