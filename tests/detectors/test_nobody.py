"""Events without an actor: they are counted, they add to a surge, and they are no evidence about people."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.cases.explanations import EXPLAINED_PEOPLE_MIN
from detectors.events.event import Event
from detectors.events.key import VIEW, key_of
from detectors.features import names as f
from detectors.features.people import people_of
from detectors.lab.backtest import START_MS as LAB_START_MS
from detectors.lab.backtest import AuditRun, platform_for
from detectors.lab.scenarios.registry import SCENARIOS
from detectors.lab.traffic.blocks import Packer
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.state.case import EXPLAINED
from detectors.state.ledger import DUPLICATE_ID
from detectors.state.marks import Marks
from detectors.verdict.marked_share import share_with_marks
from detectors.windows.crowd import Crowd, Row, pack_row
from detectors.windows.sample import ACTOR_SAMPLE
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, bought, by_tick, in_order, ordinary, viral
from tests.features import crowd_features
from tests.states import states_of

SURGE_MS = START_MS + 75 * MINUTE_MS
TARGET = "v3"


def anonymous(events: Iterable[Event], share: float, seed: int = 1) -> list[Event]:
    """The same events, a random part of them without an actor and its traits."""
    rng = random.Random(seed)
    left = []
    for event in events:
        if rng.random() < share:
            event.actor = event.actor_created_at = None
        left.append(event)
    return left


def audited(events: list[Event], *, until: int = START_MS + DAY_MS) -> tuple[Audit, Outcome]:
    """An audit that has read events in order of time, and its outcome."""
    audit, outcome, packer = Audit(AuditSettings()), Outcome(), Packer(1)
    for position, (end, rows) in enumerate(by_tick(events)):
        for _, block in packer.pack(rows):
            audit.observe(block, position, outcome)
        audit.advance(end, outcome)
    audit.advance(until, outcome)
    return audit, outcome


def flagged(outcome: Outcome) -> set[str]:
    return {flag.target for flag in outcome.flags if flag.verdict != EXPLAINED}


# ---------------------------------------------------------------- verdicts


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_viral_hit_of_which_a_part_has_no_actor_is_not_flagged(share: float, everywhere: bool) -> None:
    hit = anonymous(viral(2, TARGET, begin=SURGE_MS), share)
    rest = anonymous(ordinary(1), share if everywhere else 0.0)
    audit, outcome = audited(in_order(rest, hit))
    assert flagged(outcome) == set()
    assert audit.target_states[key_of(VIEW, TARGET)].ledger.raw == sum(
        event.target == TARGET for event in [*rest, *hit]
    )
    assert audit.target_states[key_of(VIEW, TARGET)].surging[0] >= SURGE_MS, "it is a surge, whoever came"


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_bought_burst_of_known_people_is_found_beside_events_without_an_actor(share: float) -> None:
    rest = anonymous(ordinary(1), share)
    paid = bought(2, TARGET, begin=SURGE_MS)
    _, outcome = audited(in_order(rest, paid))
    assert flagged(outcome) == {TARGET}
    taken = sum(c.count for c in outcome.corrections if c.to == "quarantined")
    assert 0.8 * len(paid) <= taken <= len(paid), "but for double clicks, which a rule has caught"


def test_of_a_burst_half_without_actors_no_more_is_taken_than_has_them() -> None:
    paid = bought(2, TARGET, begin=SURGE_MS, per_minute=120)
    others = anonymous(viral(3, TARGET, begin=SURGE_MS, per_minute=60), 1.0)
    _, outcome = audited(in_order(ordinary(1), paid, others))
    assert flagged(outcome) == {TARGET}
    taken = sum(c.count for c in outcome.corrections if c.to == "quarantined")
    assert 0.8 * len(paid) <= taken <= 1.02 * len(paid)


def test_a_crowd_of_which_hardly_anybody_is_known_is_not_called_the_platforms_own() -> None:
    hit = anonymous(viral(2, TARGET, begin=SURGE_MS, per_minute=600), 0.9)
    _, outcome = audited(in_order(ordinary(1), hit))
    assert len({event.actor for event in hit}) > EXPLAINED_PEOPLE_MIN
    assert outcome.flags == []


@pytest.mark.parametrize("scenario", ["celebrity_share", "giveaway"])
@pytest.mark.parametrize("share", [pytest.param(0.3, marks=pytest.mark.slow), 1.0])
def test_honest_crowds_of_the_lab_are_spared_without_actors(scenario: str, share: float) -> None:
    lab, rng = SCENARIOS[scenario], random.Random(3)
    platform = platform_for(lab, 3, views=60_000)
    run = AuditRun(partitions=1)
    for chunk in lab.events(platform, seed=3, start_ms=LAB_START_MS):
        for labelled in chunk:
            if labelled.event.metric == "view" and rng.random() < share:
                labelled.event.actor = labelled.event.actor_created_at = None
        run.take(chunk)
    _, alarms = run.finish()
    assert alarms == []


# ---------------------------------------------------------------- counts and rules


def test_no_rule_compares_events_without_an_actor() -> None:
    events = [Event(ts=START_MS + n * 10, actor=None, target=TARGET) for n in range(2000)]
    audit, outcome = audited(events)
    assert audit.target_states[key_of(VIEW, TARGET)].ledger.valid == 2000
    assert outcome.hits == []


batches = st.lists(
    st.builds(
        Event,
        ts=st.integers(START_MS, START_MS + 5 * MINUTE_MS),
        actor=st.none() | st.sampled_from(["a", "b", "c"]),
        target=st.sampled_from(["v1", "v2"]),
        id=st.none() | st.sampled_from(["1", "2", "3"]),
        undo=st.sampled_from([False, False, True]),
    ),
    max_size=60,
)


@given(batches, st.integers(1, 40))
@settings(deadline=None)
def test_they_count_as_others_do_by_id_and_with_their_undo(events: list[Event], batch: int) -> None:
    """Every act has another actor, so that no rule catches any; or none has one. The counts are the same."""
    ledgers = []
    for named in (False, True):
        audit, outcome, packer = Audit(AuditSettings()), Outcome(), Packer(1)
        for position, at in enumerate(range(0, len(events), batch)):
            rows = [
                Event(e.ts, f"p{at}/{n}" if named else None, e.target, id=e.id and f"{e.target}{e.id}", undo=e.undo)
                for n, e in enumerate(events[at : at + batch])
            ]
            for _, block in packer.pack(rows):
                audit.observe(block, position, outcome)
        audit.advance(START_MS + DAY_MS, outcome)
        ledgers.append({key: state.ledger for key, state in states_of(audit).items()})
        seen = Counter((e.target, e.id, e.undo) for e in events if e.id is not None)
        assert outcome.duplicates == sum(count - 1 for count in seen.values())
    assert ledgers[0] == ledgers[1]


def test_a_duplicate_without_an_actor_is_a_duplicate() -> None:
    events = [Event(START_MS + n, None, TARGET, id="x") for n in range(3)]
    audit, _ = audited(events)
    assert audit.target_states[key_of(VIEW, TARGET)].ledger.invalid == {DUPLICATE_ID: 2}


# ---------------------------------------------------------------- crowds and features

rows = st.lists(
    st.tuples(
        st.integers(0, 400).map(lambda n: n * (1 << 52) | n % 2),
        *(st.integers(-1, 3) for _ in range(5)),
        st.integers(-1, 31),
    ),
    min_size=1,
    max_size=400,
)


@given(rows, st.integers(1, 500))
def test_a_crowd_has_the_features_of_those_who_are_known(those: list[Row], nobody: int) -> None:
    packed = b"".join(pack_row(*row) for row in those)
    known, mixed = Crowd(), Crowd()
    known.take(packed)
    mixed.take(packed, nobody)
    platform = Platform()
    assert crowd_features(mixed, platform.mixes, [platform.known]) == crowd_features(
        known, platform.mixes, [platform.known]
    )
    assert mixed.distinct_actors() == known.distinct_actors() <= ACTOR_SAMPLE * 2
    assert (mixed.n, mixed.named) == (known.n + nobody, known.n)


@given(st.lists(st.tuples(rows | st.just([]), st.integers(0, 9)), min_size=1, max_size=6))
def test_crowds_merge_with_their_events_without_an_actor(parts: list[tuple[list[Row], int]]) -> None:
    whole, merged = Crowd(), Crowd()
    for those, nobody in parts:
        packed = b"".join(pack_row(*row) for row in those)
        whole.take(packed, nobody)
        one = Crowd()
        one.take(packed, nobody)
        merged.merge(one)
    whole.settle()
    merged.settle()
    assert (merged.n, merged.nobody, merged.sample) == (whole.n, whole.nobody, whole.sample)


def test_a_crowd_without_actors_has_no_features_and_no_marks() -> None:
    crowd, platform = Crowd(), Platform()
    crowd.take(b"", 50)
    assert crowd_features(crowd, platform.mixes, [platform.known]) == {}
    assert share_with_marks(crowd, Marks(networks=[1], codes=["fresh_accounts"]), platform.mixes, 0.1) == (0.0, 0.0)
    platform.learn_people(people_of([crowd]), [crowd.named], [(0, 0)])
    assert platform.events == 0.0


def test_evidence_speaks_of_the_events_that_have_an_actor_only() -> None:
    detector = Platform().detectors["short"]["repetition"]
    x = {f.COUNT: 200.0, f.REPEATS: 0.95}
    (whole,) = detector.findings(x)
    (half,) = detector.findings({**x, f.NAMED: 0.5})
    assert half.share == pytest.approx(whole.share / 2)
    assert half.p >= whole.p
