"""Whatever a topic holds, every good event is in one count, once, and every bad record is one dead letter."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.audit import AuditSettings
from detectors.events.event import Event
from detectors.events.key import VIEW, key_of, target_of
from detectors.records import Outcome
from detectors.state.ledger import DUPLICATE_ID
from streams.log.versions import decode
from streams.settings.settings import Settings
from streams.targets import step
from streams.targets.step import PartitionAudit, audit_settings
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, bought, in_order, ordinary
from tests.states import states_of
from tests.streams.pipeline import Pipeline, audit_of, said

LATENESS_MS = 10_000
END_MS = START_MS + DAY_MS
BAD = (b"", b" ", b"{", b"nonsense", b"[]", b"\xff", b'{"ts":1}', b'{"ts":NaN}', b'{}{"a":1}')

_encode = msgspec.json.Encoder().encode


class Mixture(NamedTuple):
    """Records of each source in the order in which they are sent, and what must come of them."""

    records: list[list[bytes]]
    raw: Counter[str]
    duplicates: Counter[str]
    bad: list[bytes]


class Plan(NamedTuple):
    """What a mixture is made of."""

    seed: int
    events: int
    sources: int
    partitions: int
    duplicated: float
    late: float
    bad: float
    ids: bool
    batch: int


plans = st.builds(
    Plan,
    seed=st.integers(0, 10**6),
    events=st.integers(1, 120),
    sources=st.integers(1, 3),
    partitions=st.integers(1, 4),
    duplicated=st.sampled_from([0.0, 0.1, 0.5]),
    late=st.sampled_from([0.0, 0.1]),
    bad=st.sampled_from([0.0, 0.1, 0.5]),
    ids=st.booleans(),
    batch=st.integers(1, 40),
)
patient = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _mixed(plan: Plan) -> Mixture:
    rng = random.Random(plan.seed)
    records: list[list[bytes]] = [[] for _ in range(plan.sources)]
    raw: Counter[str] = Counter()
    duplicates: Counter[str] = Counter()
    bad: list[bytes] = []
    sent: list[tuple[int, Event]] = []
    now = START_MS
    for number in range(plan.events):
        now += rng.randrange(3000)
        source = rng.randrange(plan.sources)
        ts = now - rng.randrange(LATENESS_MS)
        if rng.random() < plan.late:
            ts -= rng.randrange(1, 3_600_000)
        event = Event(ts=ts, actor=f"a{rng.randrange(30)}", target=f"v{rng.randrange(6)}")
        event.id = f"e{number}" if plan.ids else None
        if plan.ids and sent and rng.random() < plan.duplicated:
            source, event = rng.choice(sent)
            duplicates[event.target] += 1
        sent.append((source, event))
        raw[event.target] += 1
        records[source].append(_encode(event))
        if rng.random() < plan.bad:
            wrong = rng.choice(BAD)
            bad.append(wrong)
            records[source].append(wrong)
    return Mixture(records, raw, duplicates, bad)


def _piped(plan: Plan, mixture: Mixture) -> Pipeline:
    pipe = Pipeline(sources=plan.sources, partitions=plan.partitions, lateness_seconds=LATENESS_MS / 1000)
    rng = random.Random(plan.seed)
    waiting = [list(records) for records in mixture.records]
    while any(waiting):
        source = rng.choice([n for n, records in enumerate(waiting) if records])
        pipe.send(waiting[source][: plan.batch], source)
        del waiting[source][: plan.batch]
    pipe.finish(END_MS)
    return pipe


def _check_ledgers(audits: list[PartitionAudit], mixture: Mixture) -> None:
    ledgers = {target_of(key): watched.ledger for audit in audits for key, watched in states_of(audit.audit).items()}
    assert {target: ledger.raw for target, ledger in ledgers.items()} == mixture.raw
    for target, ledger in ledgers.items():
        assert ledger.raw == ledger.valid + ledger.quarantined + sum(ledger.invalid.values())
        assert min(ledger.valid, ledger.quarantined, *ledger.invalid.values(), 0) == 0
        assert ledger.invalid.get(DUPLICATE_ID, 0) == mixture.duplicates[target]


@given(plans)
@patient
def test_any_mixture_of_records_gives_exact_ledgers_and_dead_letters(plan: Plan) -> None:
    mixture = _mixed(plan)
    pipe = _piped(plan, mixture)
    assert Counter(letter.value for letter in pipe.dead) == Counter(mixture.bad)
    assert pipe.events == sum(mixture.raw.values())
    _check_ledgers([audit_of(log)[0] for log in pipe.logs], mixture)


@given(plans)
@patient
def test_the_last_count_that_was_told_is_the_ledger(plan: Plan) -> None:
    mixture = _mixed(plan)
    last = {}
    for log in _piped(plan, mixture).logs:
        for count in audit_of(log)[1].counts:
            assert count.raw == count.valid + count.quarantined + sum(count.invalid.values())
            last[count.target] = count
    assert {target: count.raw for target, count in last.items()} == mixture.raw
    for target, count in last.items():
        assert count.invalid.get(DUPLICATE_ID, 0) == mixture.duplicates[target]


@given(plans, st.integers(0, 10**6))
@patient
def test_frames_that_are_delivered_again_change_nothing(plan: Plan, seed: int) -> None:
    mixture, rng = _mixed(plan), random.Random(seed)
    for log in _piped(plan, mixture).logs:
        repeated = []
        for place, value in enumerate(log):
            repeated.append(value)
            while rng.random() < 0.3:
                repeated.append(log[rng.randint(max(0, place - 5), place)])
        once, outcome = audit_of(log)
        audit, again = audit_of(repeated)
        assert audit.events == once.events
        assert said(again) == said(outcome)


@given(plans, st.integers(0, 10**6))
@patient
def test_a_source_that_was_read_again_in_other_batches_changes_no_count(plan: Plan, seed: int) -> None:
    """What an ingest worker does that died before it committed: its frames overlap those already in the log."""
    mixture, rng = _mixed(plan), random.Random(seed)
    pipe = Pipeline(sources=plan.sources, partitions=plan.partitions, lateness_seconds=LATENESS_MS / 1000)
    for source, records in enumerate(mixture.records):
        at = 0
        while at < len(records):
            size = rng.randint(1, plan.batch)
            pipe.send(records[at : at + size], source, first=at)
            at += size
            if rng.random() < 0.4:
                at = max(0, at - rng.randint(1, 2 * plan.batch))
    pipe.finish(END_MS)
    _check_ledgers([audit_of(log)[0] for log in pipe.logs], mixture)


def _without_log(outcome: Outcome) -> list[object]:
    """Everything an outcome says but offsets, which are the interleaving itself."""
    flags = [msgspec.to_builtins(flag) for flag in outcome.flags]
    return [[{k: v for k, v in flag.items() if k != "log"} for flag in flags], outcome.corrections, outcome.counts]


def _interleaved(logs: list[list[bytes]], seed: int) -> list[bytes]:
    """Frames of several sources in some order that keeps each source's own."""
    rng = random.Random(seed)
    waiting = [list(log) for log in logs]
    mixed = []
    while any(waiting):
        source = rng.choice([n for n, log in enumerate(waiting) if log])
        take = rng.randint(1, 12)
        mixed += waiting[source][:take]
        del waiting[source][:take]
    return mixed


def _by_two_sources() -> list[list[bytes]]:
    """History and a bought burst, half of the events by each of two sources: the frames of either."""
    events = in_order(ordinary(1, minutes=70), bought(2, "v3", begin=START_MS + 55 * MINUTE_MS, minutes=4))
    rng = random.Random(1)
    shuffled = sorted(events, key=lambda e: e.ts + rng.randrange(LATENESS_MS))
    logs = []
    for source in range(2):
        pipe = Pipeline(sources=2)
        pipe.play([e for n, e in enumerate(shuffled) if n % 2 == source], source=source, batch=30)
        pipe.finish(END_MS)
        mine = [value for value in pipe.logs[0] if msgspec.msgpack.decode(value)[1] == f"views/{source}"]
        logs.append(mine)
    return logs


TWO_SOURCES = _by_two_sources()


@given(st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_the_order_in_which_two_sources_interleave_does_not_change_what_is_said(seed: int) -> None:
    _, one = audit_of(_interleaved(TWO_SOURCES, 0))
    _, other = audit_of(_interleaved(TWO_SOURCES, seed))
    assert one.late == other.late == 0
    assert any(flag.target == "v3" for flag in one.flags)
    assert _without_log(other) == _without_log(one)


def test_a_late_event_is_counted_and_no_closed_window_learns_from_it() -> None:
    pipe = Pipeline()
    pipe.play([Event(ts=START_MS + n * MINUTE_MS, actor=f"a{n}", target="v1") for n in range(30)], batch=1)
    pipe.play([Event(ts=START_MS, actor="late", target="v1")] * 5, batch=1)
    pipe.finish(END_MS)
    audit, outcome = audit_of(pipe.logs[0])
    assert outcome.late == 5
    assert audit.audit.target_states[key_of(VIEW, "v1")].ledger.valid == 35
    assert outcome.entered == [35, 0, 0]


def test_an_undo_takes_one_back_and_one_without_its_event_takes_nothing() -> None:
    pipe = Pipeline()
    given_ = [Event(ts=START_MS, actor=f"a{n}", target="v1") for n in range(3)]
    undone = [Event(ts=START_MS + 1000, actor="a1", target="v1", undo=True)]
    never = [Event(ts=START_MS + 1000, actor="a1", target="v2", undo=True)]
    pipe.play([*undone, *given_, *never])
    pipe.finish(END_MS)
    audit, outcome = audit_of(pipe.logs[0])
    assert audit.audit.target_states[key_of(VIEW, "v1")].ledger.invalid == {"undone": 1}
    assert audit.audit.target_states[key_of(VIEW, "v1")].ledger.raw == 3
    assert outcome.unmatched_undos == 1


def test_a_record_that_is_no_frame_is_counted_and_passed_over() -> None:
    pipe = Pipeline()
    pipe.play(ordinary(1, minutes=5, targets=3))
    pipe.finish(END_MS)
    log: list[bytes] = [b"\xc1", *pipe.logs[0][:2], b"", *pipe.logs[0][2:]]
    audit, outcome = audit_of(log)
    assert audit.broken == 2
    assert said(outcome) == said(audit_of(pipe.logs[0])[1])


def test_the_same_log_says_the_same_byte_for_byte() -> None:
    log = _interleaved(TWO_SOURCES, 3)
    assert said(audit_of(log)[1]) == said(audit_of(log)[1])


def test_time_never_goes_back_on_the_way() -> None:
    audit = PartitionAudit(AuditSettings())
    times = []
    for offset, value in enumerate(_interleaved(TWO_SOURCES, 5)):
        audit.apply(value, offset, Outcome())
        times.append(audit.audit.now)
    assert all(before <= after for before, after in pairwise(times))


def test_a_record_whose_events_cannot_be_judged_is_counted_and_known_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipeline()
    pipe.play([Event(ts=START_MS + n, actor=f"a{n}", target="v1") for n in range(3)])
    pipe.finish(END_MS)
    whole, _ = audit_of(pipe.logs[0])
    assert (whole.counted_only, whole.unjudged.ranges()) == (0, [])
    bearing = [offset for offset, value in enumerate(pipe.logs[0]) if decode(value).target]

    def unreadable(*_: object) -> None:
        raise ValueError("columns of different lengths")

    monkeypatch.setattr(step, "block_of", unreadable)
    audit, outcome = audit_of(pipe.logs[0])
    assert audit.audit.target_states[key_of(VIEW, "v1")].ledger.raw == 3
    assert audit.counted_only == len(pipe.logs[0])
    assert set(bearing) <= {at for first, last in audit.unjudged.ranges() for at in range(first, last + 1)}
    assert outcome.failures["step"] == len(pipe.logs[0])


def test_an_audit_knows_over_how_many_partitions_targets_are_spread() -> None:
    assert audit_settings(Settings(partitions=5), 3).partitions == 5
