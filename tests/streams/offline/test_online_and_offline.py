"""The same record with the same map is the same event or the same refusal: of a topic, a file, and a file sent on."""

from __future__ import annotations

import base64
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.events.block import EventBlock
from streams.deadletters import DeadLetter
from streams.ingest.mapping.records import Records
from streams.ingest.router import Routed, Router
from streams.log.blocks import block_of
from streams.log.versions import decode
from streams.offline.pipeline import Offline
from streams.offline.recorded.file import RecordedFile
from streams.offline.replay import Replay
from streams.settings.inputs import Input, ReplayMap
from streams.settings.settings import Settings

NOW = 1_767_634_500_000
SETTINGS = Settings.model_validate(
    {
        "partitions": 1,
        "time": {"lateness_seconds": 86_400},
        "inputs": [{"topic": "native"}],
    }
)

times = st.integers(NOW - 60_000, NOW + 120_000)
values = st.one_of(
    times,
    times.map(lambda ms: ms / 1000),
    times.map(str),
    times.map(lambda ms: ms * 1000),
    st.sampled_from(
        ["2026-01-05T17:35:00Z", "2026-01-05 17:35:00.5 UTC", "yesterday", "", None, True, False, 0, 1, -5]
    ),
    st.sampled_from(
        ["a1", "v1", "view", "like", "LIKE", "UNLIKE", "t", "no", "maybe", "0", "anonymous", "x" * 300, "é"]
    ),
    st.sampled_from(
        ["203.0.113.7", "203.0.113.7:443", "[2001:db8::1]:80", "1.2.3.4, 5.6.7.8", "nowhere", 12.5, 1e300, {}, []]
    ),
)
keys = st.sampled_from(["a", "b", "c", "d", "a.b", "ts", "actor", "target", "metric"])
documents = st.dictionaries(keys, values | st.dictionaries(keys, values, max_size=3), max_size=8)
good = st.fixed_dictionaries(
    {
        "ts": times,
        "seconds": times.map(lambda ms: ms // 1000),
        "actor": st.sampled_from(["a1", "a2", None]),
        "target": st.sampled_from(["v1", "v2"]),
        "kind": st.sampled_from(["LIKE", "UNLIKE", "view"]),
    }
)
likely = {
    "ts": {"first": [{"path": "ts"}, {"path": "seconds", "time": "s"}]},
    "actor": {"first": ["actor", {"value": "anonymous"}]},
    "target": {"path": "target"},
    "metric": {"path": "kind", "words": {"LIKE": "like", "UNLIKE": "like", "view": "view"}},
    "undo": {"path": "kind", "words": {"LIKE": False, "UNLIKE": True, "view": False}},
}
"""A map that makes events of most records, where one at random makes few."""
odd_lines = st.sampled_from(
    [
        b"{",
        b"[]",
        b"7",
        b'{"ts":NaN}',
        b'{"actor":"\xff","ts":1767634500000,"target":"v","metric":"view"}',
        b"\x00\x00\x00\x00\x01\x02",
    ]
)
records = st.one_of(
    documents.map(msgspec.json.encode),
    st.builds(lambda base, more: msgspec.json.encode(more | base), good, documents),
    odd_lines,
)

paths = st.sampled_from(["a", "b", "c", "d", "a.b", "ts", "actor", "target", "metric", "c.a"])
plain: st.SearchStrategy[Any] = paths.map(lambda path: {"path": path})
time_of: st.SearchStrategy[Any] = st.builds(
    lambda source, time: source | {"time": time}, plain, st.sampled_from(["s", "ms", "us", "iso"])
)


def first_of(source: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda *pieces: {"first": list(pieces)}, source, source)


texts: st.SearchStrategy[Any] = (
    plain
    | first_of(plain)
    | st.builds(lambda *pieces: {"join": list(pieces)}, plain, plain)
    | paths.map(lambda path: {"path": path, "none": ["0"], "pattern": "^(.*?)$"})
)
words = {"like": "like", "LIKE": "like", "UNLIKE": "like", "view": "view"}
maps: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"ts": time_of | first_of(time_of) | st.just({"path": "ts"}), "actor": texts, "target": texts},
    optional={
        "metric": plain | paths.map(lambda path: {"path": path, "words": words}),
        "undo": plain | paths.map(lambda path: {"path": path, "words": {"UNLIKE": True, "LIKE": False, "no": False}}),
        "history": plain,
        "id": texts,
        "owner": texts,
        "ip": plain,
        "user_agent": texts,
        "country": plain,
        "watch_ms": st.builds(lambda source, unit: source | {"unit": unit}, plain, st.sampled_from(["s", "ms"])),
        "duration_ms": plain,
        "actor_created_at": time_of,
    },
)
conditions = st.one_of(
    st.builds(lambda source, words: source | {"is": words}, plain, st.just(["a1", "view", "true"])),
    st.builds(lambda source, exists: source | {"exists": exists}, plain, st.booleans()),
)
configs: st.SearchStrategy[Any] = st.one_of(
    st.just({"metric": "view"}),
    st.fixed_dictionaries(
        {"metric": st.just("view"), "map": maps | maps.map(lambda fields: fields | likely)},
        optional={
            "keep": st.lists(conditions, max_size=1),
            "skip": st.lists(conditions, max_size=2),
            "placeholders": st.just(["a2"]),
        },
    ),
)


def _events(logs: list[list[bytes]]) -> list[Counter[tuple[Any, ...]]]:
    """What the events of each partition's frames are for the detectors."""
    found = []
    for log in logs:
        events: Counter[tuple[Any, ...]] = Counter()
        for value in log:
            block = block_of(decode(value), 0)
            if block is not None:
                columns = [_column(block, name) for name in block.__struct_fields__]
                events.update(zip(*columns, strict=True))
        found.append(events)
    return found


def _column(block: EventBlock, name: str) -> list[Any]:
    """A column as numbers; one that is None as a whole is one in which nothing is given."""
    column = getattr(block, name)
    if column is None:
        return [False if name in ("undo", "history") else 0 if name == "rule" else -1] * len(block.target)
    return [value.item() if isinstance(value, np.generic) else value for value in column]


Letters = list[tuple[str, str, bytes]]


def _online(config: dict[str, Any], lines: list[bytes], size: int) -> tuple[list[list[bytes]], Letters, Routed]:
    """As a worker with this map reads a topic, in batches of a size."""
    topic = Input.model_validate({"topic": "t", **config})
    router = Router(config=topic, partition=0, time=SETTINGS.time, partitions=SETTINGS.partitions)
    logs: list[list[bytes]] = [[] for _ in range(SETTINGS.partitions)]
    total, letters = Routed(), []
    for begin in range(0, len(lines), size):
        part = lines[begin : begin + size]
        batch = Records.of([(begin + n, None, line, NOW) for n, line in enumerate(part)])
        routed = router.route(batch, next_offset=begin + len(part), now_ms=NOW, roster={"t": 1})
        for place, frame in routed.frames:
            logs[place].append(frame)
        letters += [(str(n.reason), n.message, n.value or b"") for n in routed.dead]
        total.events += routed.events
        for reason, count in routed.skipped.items():
            total.skipped[reason] = total.skipped.get(reason, 0) + count
        for key, count in routed.unread.items():
            total.unread[key] = total.unread.get(key, 0) + count
    return logs, letters, total


class Sender:
    """Keeps what a replay sends."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.letters: Letters = []

    def send(self, metric: str, value: bytes) -> None:
        self.values.append(value)

    def send_letter(self, letter: DeadLetter) -> None:
        self.letters.append((str(letter.reason), letter.message, letter.value or b""))

    def flush(self) -> None:
        pass


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configs, st.lists(records, min_size=1, max_size=12), st.integers(1, 12))
def test_a_topic_a_file_and_a_file_that_is_sent_on_give_the_same(
    config: dict[str, Any], lines: list[bytes], size: int
) -> None:
    # A file that begins with something else may be recognised as another format, or refused as a whole.
    lines = [msgspec.json.encode({"ts": NOW, "actor": "a1", "target": "v1"}), *lines]
    logs, letters, routed = _online(config, lines, size)
    layout = ReplayMap.model_validate({"file": {"format": "ndjson"}, **config})
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "records.ndjson"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        recorded = RecordedFile(path, layout)
        found: Letters = []

        def sink(name: str, line: bytes) -> None:
            if name == "dead-letters":
                letter = json.loads(line)
                found.append((letter["reason"], letter["message"], base64.b64decode(letter["value_base64"])))

        offline = Offline(SETTINGS, sink, config=recorded.input, clock_ms=NOW)
        offline.log = [[] for _ in range(SETTINGS.partitions)]
        offline.replay(recorded.rows())
        sender = Sender()
        replay = Replay(SETTINGS, recorded, sender, speed=0, clock_ms=NOW)  # type: ignore[arg-type]  # a fake
        sent = replay.run()

    assert _events(offline.log) == _events(logs)
    assert found == letters
    unread: dict[str, dict[str, int]] = {}
    for (name, why), count in routed.unread.items():
        unread.setdefault(name, {})[why] = count
    assert (offline.summary.skipped, offline.summary.unread) == (routed.skipped, unread)

    assert sorted(sender.letters) == sorted(letters)
    assert sent.events == routed.events
    sent_logs, refused, again = _online({}, sender.values, size)
    assert refused == []
    assert _events(sent_logs) == _events(logs)
    assert (again.skipped, again.unread) == ({}, {})
