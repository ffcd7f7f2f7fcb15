"""History moves no time: not its source's, not that of others, wherever in a source it stands."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.events.event import Event
from detectors.events.key import VIEW, key_of
from streams.ingest.mapping.records import Records
from streams.ingest.router import WAKE_MS, Router
from streams.log.frames import Frame
from streams.log.versions import decode
from streams.offline.pipeline import Offline
from streams.settings.event_time import Time
from streams.settings.settings import Input, Settings
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, in_order, ordinary
from tests.streams.pipeline import FAR_FUTURE_MS, Pipeline, audit_of

YEARS_MS = 900 * DAY_MS
LATENESS_MS = 10_000
NOW = START_MS + DAY_MS
ROSTER = {"views": 2}


class Source:
    """One of two sources, and the frames that it wrote to a log of one partition."""

    def __init__(self, partition: int, log: list[bytes]) -> None:
        self.router = Router(config=Input(topic="views", metric="view"), partition=partition, time=Time(), partitions=1)
        self.now = NOW
        self._log = log
        self._next = 0

    def send(self, events: list[Event], *, after_ms: int = 200) -> Frame:
        """Route a batch some wall time after the last one; answers its last frame."""
        self.now += after_ms
        rows = [(self._next + n, None, msgspec.json.encode(event), FAR_FUTURE_MS) for n, event in enumerate(events)]
        self._next += len(events)
        routed = self.router.route(Records.of(rows), next_offset=self._next, now_ms=self.now, roster=ROSTER)
        self._log += [value for _, value in routed.frames]
        return decode(self._log[-1])


def past(n: int, ts: int = START_MS - YEARS_MS) -> Event:
    return Event(ts + n, f"h{n}", "v1", id=f"h{n}", history=True)


def live(n: int, ts: int = START_MS) -> Event:
    return Event(ts + n * 1000, f"a{n}", "v1")


def test_historic_events_do_not_move_their_sources_time() -> None:
    source = Source(0, [])
    source.send([live(0)])
    frame = source.send([past(1), past(2, START_MS + DAY_MS)])
    assert frame.watermark == START_MS - LATENESS_MS
    assert not frame.idle, "it has live events: its time stands, and others wait for it as for any source"


def test_a_source_that_has_read_history_only_counts_as_idle_until_a_live_event_comes() -> None:
    source = Source(0, [])
    frame = source.send([past(0), past(1)])
    assert (frame.idle, frame.watermark) == (True, -1)
    frame = source.send([past(2), live(0)])
    assert (frame.idle, frame.watermark) == (False, -1), "it has woken"
    frame = source.send([live(1)], after_ms=WAKE_MS)
    assert (frame.idle, frame.watermark) == (False, START_MS + 1000 - LATENESS_MS)


def test_a_backfill_beside_live_traffic_holds_nobody_up_and_makes_nobody_late() -> None:
    log: list[bytes] = []
    traffic, backfill = Source(0, log), Source(1, log)
    for n in range(40):
        backfill.send([past(n * 100 + i) for i in range(100)])
        traffic.send([live(n * 30 + i) for i in range(30)])
    audit, outcome = audit_of(log)
    assert outcome.late == 0
    assert outcome.historic == 4000
    assert audit.clock.now == START_MS + (40 * 30 - 1) * 1000 - LATENESS_MS
    assert audit.audit.target_states[key_of(VIEW, "v1")].ledger.valid > 4000


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20)), min_size=1, max_size=30))
@settings(deadline=None)
def test_wherever_history_stands_in_a_source_no_live_event_is_late(parts: list[tuple[bool, int]]) -> None:
    log: list[bytes] = []
    source, n = Source(0, log), 0
    expected = 0
    for historic, size in parts:
        source.send([(past if historic else live)(n + i) for i in range(size)], after_ms=3000)
        n += size
        expected += size
    audit, outcome = audit_of(log)
    assert outcome.late == 0
    assert audit.events == expected
    assert outcome.historic == sum(size for historic, size in parts if historic)


def test_a_snapshot_before_and_amid_live_traffic_changes_nothing_that_is_said_of_it() -> None:
    outcomes = []
    for snapshot in (0, 3000):
        pipe = Pipeline()
        pipe.play([past(n) for n in range(snapshot)])
        events = in_order(ordinary(1, minutes=40, targets=6))
        pipe.play(events[: len(events) // 2])
        pipe.play([past(n + snapshot, START_MS + MINUTE_MS) for n in range(snapshot)])
        pipe.play(events[len(events) // 2 :])
        pipe.finish(START_MS + DAY_MS)
        audit, outcome = audit_of(pipe.logs[0])
        assert outcome.late == 0
        assert outcome.historic == 2 * snapshot
        outcomes.append((outcome.flags, outcome.windows, outcome.judged, sum(outcome.entered) - 2 * snapshot))
        assert audit.audit.platforms[0].events < len(events)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("mixed", [False, True])
def test_a_recorded_file_of_history_is_counted_and_ends(mixed: bool) -> None:
    lines: dict[str, list[bytes]] = {}
    offline = Offline(
        Settings(inputs=(Input(topic="views"),)), lambda name, line: lines.setdefault(name, []).append(line)
    )
    events = [past(n) for n in range(5000)] + ([live(0)] if mixed else [])
    for event in events:
        event.metric = "view"
    summary = offline.run([msgspec.json.encode(event) for event in events])
    assert (summary.raw, summary.valid, summary.late, summary.historic) == (len(events), len(events), 0, 5000)
    counts = [msgspec.json.decode(line) for line in lines["audited-counts"]]
    assert counts[-1]["raw"] == len(events)
    assert counts[-1]["as_of"] >= (START_MS if mixed else START_MS - YEARS_MS)


def test_a_batch_read_again_counts_no_historic_event_twice() -> None:
    pipe = Pipeline()
    values = [msgspec.json.encode(msgspec.structs.replace(past(n), id=None)) for n in range(300)]
    pipe.send(values[:200])
    pipe.send(values[100:], first=100)
    pipe.finish(START_MS)
    audit, outcome = audit_of(pipe.logs[0])
    assert audit.audit.target_states[key_of(VIEW, "v1")].ledger.valid == outcome.historic == 300
    assert audit.skipped == 100
