"""After a restore, rules that compare events know what they knew, wherever it stops; time comes from many sources."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.audit import AuditSettings
from detectors.events.event import Event
from detectors.events.key import VIEW, key_of
from detectors.intake.rules import daily_rate as days
from detectors.intake.rules.settings import RuleSettings
from detectors.records import Outcome
from streams.targets.changelog import dump_changes, load
from streams.targets.step import PartitionAudit
from tests.crowds import START_MS
from tests.states import states_of
from tests.streams.pipeline import Pipeline, said

END_MS = START_MS + 1_200_000


def log_of(seed: int, sources: int = 1) -> list[bytes]:
    """Seven minutes of a few actors who repeat themselves, some ids and undos among it, some of it late."""
    rng = random.Random(seed)
    events = []
    for n in range(400):
        ts = START_MS + n * 1000 + rng.randrange(-15_000, 5_000) * (rng.random() < 0.3)
        event = Event(ts=max(ts, START_MS), actor=f"a{rng.randrange(12)}", target=f"v{rng.randrange(3)}")
        event.metric = "view" if rng.random() < 0.8 else "like"
        event.id = f"e{rng.randrange(n + 1)}" if rng.random() < 0.5 else None
        event.watch_ms = rng.choice([None, 500, 4_000])
        event.undo = event.metric == "like" and rng.random() < 0.2
        events.append(event)
    pipe = Pipeline(sources=sources, lateness_seconds=5)
    for at in range(0, len(events), 8):
        pipe.play(events[at : at + 8], source=rng.randrange(sources))
    pipe.finish(END_MS)
    return pipe.logs[0]


def _apply(audit: PartitionAudit, log: list[bytes], start: int, end: int) -> list[bytes]:
    outcome = Outcome()
    for offset in range(start, end):
        audit.apply(log[offset], offset, outcome)
    return [*said(outcome), *(repr(hit).encode() for hit in outcome.hits)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 5), st.integers(1, 3), st.integers(20, 200), st.data())
def test_a_restore_at_any_position_changes_nothing(seed: int, sources: int, ids: int, data: st.DataObject) -> None:
    log, told = log_of(seed, sources), AuditSettings(dedupe_ids=ids, rules=RuleSettings(per_day=8))
    whole = PartitionAudit(told)
    stops = sorted(data.draw(st.sets(st.integers(1, len(log) - 1), min_size=1, max_size=3)))
    audit, saved = PartitionAudit(told), dict[bytes, bytes]()
    at = 0
    for stop in [*stops, len(log)]:
        assert _apply(audit, log, at, stop) == _apply(whole, log, at, stop)
        saved |= dict(dump_changes(audit, stop))
        assert audit.dump(stop) == whole.dump(stop)
        audit = PartitionAudit(told)
        restored = load(audit, saved)
        assert restored is not None
        for offset in range(restored.replay_from, stop):
            audit.replay(log[offset], offset)
        at = stop
    invalid = [watched.ledger.invalid for watched in states_of(whole.audit).values()]
    assert any("double_click" in reasons for reasons in invalid)
    assert any("rate_day" in reasons for reasons in invalid)


def _looped(hours: float) -> list[bytes]:
    """Two who play a clip again and again, one of them with pauses of some hours, and others who clicked twice."""
    rng = random.Random(1)
    events = []
    for n in range(round(hours * 60)):
        ts = START_MS + n * 60_000
        events.append(Event(ts=ts, actor="day and night", target="v", watch_ms=60_000))
        if n // 200 % 3:
            events.append(Event(ts=ts + 9_000, actor="with pauses", target="v", watch_ms=50_000))
        if rng.random() < 0.2:
            events += [Event(ts=ts + 20_000 + 90 * k, actor=f"a{n}", target=f"v{n % 7}") for k in range(2)]
    pipe = Pipeline()
    pipe.play(events, batch=50)
    return pipe.logs[0]


def test_what_is_counted_for_a_day_is_the_same_after_any_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "PAIRS_MAX", 8)
    log, told = _looped(40), AuditSettings()
    whole, audit, saved = PartitionAudit(told), PartitionAudit(told), dict[bytes, bytes]()
    at = 0
    for stop in [*sorted(random.Random(2).sample(range(1, len(log)), 12)), len(log)]:
        assert _apply(audit, log, at, stop) == _apply(whole, log, at, stop)
        saved |= dict(dump_changes(audit, stop))
        audit = PartitionAudit(told)
        restored = load(audit, saved)
        assert restored is not None
        for offset in range(restored.replay_from, stop):
            audit.replay(log[offset], offset)
        at = stop
    assert whole.audit.target_states[key_of(VIEW, "v")].ledger.invalid["rate_day"] > 1_500
    # Under a configuration without the rule the state is let be.
    off = PartitionAudit(AuditSettings(rules=RuleSettings(per_day=0)))
    assert load(off, saved) is not None
    assert not list(off.audit.intake.days())
