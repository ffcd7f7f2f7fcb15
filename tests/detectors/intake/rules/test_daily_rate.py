"""Who acts on one target more often in a day than anybody does, and that nobody else is taken for such."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.events.block import EventBlock
from detectors.events.key import VIEW, key_of
from detectors.intake.rules import daily_rate as days
from detectors.intake.rules.acts import Acts, TickActs
from detectors.intake.rules.daily_rate import PAIR_BYTES, Days
from detectors.intake.rules.reasons import EXEMPT, RATE_DAY
from detectors.intake.rules.repeats import Repeats
from detectors.intake.rules.settings import RuleSettings
from detectors.records import Outcome
from detectors.windows.crowd import PACKED, Packed
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

START_MS = 1_700_006_400_000 // DAY_MS * DAY_MS
TICK_MS = 10_000
PER_DAY = 6


class Visit(NamedTuple):
    """Some acts of one pair in one tick."""

    tick: int
    pair: int
    acts: int


visits_of_some = st.lists(
    st.builds(Visit, st.integers(0, 60 * 36).map(lambda n: 10 * n), st.integers(0, 7), st.integers(1, 4)), max_size=80
)


def judged(visits: list[Visit], per_day: int = PER_DAY) -> Counter[tuple[int, int]]:
    """Acts that are caught, by tick and pair."""
    repeats, found = Repeats(0, 0, Days(per_day)), Counter[tuple[int, int]]()
    for tick in sorted({visit.tick for visit in visits}):
        pairs = [visit.pair for visit in visits if visit.tick == tick for _ in range(visit.acts)]
        start = START_MS + tick * TICK_MS
        ts = start + 1 + np.arange(len(pairs))
        keys = np.array(pairs, np.uint64) << np.uint64(59)
        rows: Packed = np.zeros(len(pairs), PACKED)
        acts = TickActs(Acts(keys, ts, np.full(len(ts), -1, np.int32)))
        hits = repeats.judge(acts, rows.copy, start, start + TICK_MS)
        found.update((tick, pairs[place]) for place in hits.get(RATE_DAY, np.empty(0, np.intp)).tolist())
    return found


def exceeding(visits: list[Visit], per_day: int, *, hours: bool) -> Counter[tuple[int, int]]:
    """The same in plain words: acts before which there were as many as are allowed in the hour at hand and 23 others.

    Without ``hours``, in the 24 hours before.
    """
    found, acts = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for visit in visits:
        acts[visit.tick, visit.pair] += visit.acts
    for (tick, pair), count in acts.items():
        at = START_MS + tick * TICK_MS
        first = (at // HOUR_MS - 23) * HOUR_MS if hours else at - DAY_MS
        before = sum(n for (t, p), n in acts.items() if p == pair and t < tick and START_MS + t * TICK_MS >= first)
        found[tick, pair] = min(count, max(0, before + count - per_day))
    return +found


@settings(deadline=None)
@given(visits_of_some)
def test_of_few_who_come_twice_at_once_everything_is_counted(visits: list[Visit]) -> None:
    twice = [visit._replace(acts=visit.acts + 1) for visit in visits]
    assert judged(twice) == exceeding(twice, PER_DAY, hours=True)


@settings(deadline=None)
@given(visits_of_some, st.integers(1, 4), st.integers(1, 9))
def test_nobody_is_caught_who_has_not_exceeded_the_bound_whoever_had_to_leave(
    visits: list[Visit], room: int, per_day: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(days, "PAIRS_MAX", room)
        assert judged(visits, per_day) <= exceeding(visits, per_day, hours=False)


@given(st.lists(st.tuples(st.integers(0, 40), st.sets(st.integers(0, 99), max_size=8)), max_size=40))
def test_what_was_saved_goes_on_as_what_was_not(steps: list[tuple[int, set[int]]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(days, "PAIRS_MAX", 20)
        whole, saved, now = Days(800), None, START_MS
        for minutes, pairs in steps:
            again = Days(800)
            if saved is not None:
                again.load(msgspec.msgpack.decode(saved))
            now += minutes * minutes * MINUTE_MS
            keys = sorted(pairs)
            for part in (whole, again):
                part.turn(now)
                part.follow(keys)
                part.count(keys, [key % 3 for key in keys])
            assert whole.counted(keys) == again.counted(keys)
            assert whole.keys.tolist() == again.keys.tolist()
            changed, other = whole.take_changed(), again.take_changed()
            assert other in {None, changed} if changed is None else other == changed
            saved = saved if changed is None else msgspec.msgpack.encode(changed)


def looped(clip_ms: int, hours: float, *, rules: RuleSettings | None = None, exempt: bool = False) -> dict[str, int]:
    """Valid and invalid views of a clip that one actor plays without a pause, on a day with ordinary events."""
    audit, outcome = Audit(AuditSettings(rules=rules or RuleSettings())), Outcome()
    at = START_MS + 7 * HOUR_MS
    end = at + round(hours * HOUR_MS)
    other = 2
    while at < end:
        block = EventBlock(target=["v"] * 3, metric=[0] * 3, ts=[at, at + 1, at + 2], actor=[0, other, other + 2])
        block.spent = [clip_ms, 5_000, 5_000]
        block.rule = [EXEMPT, 0, 0] if exempt else None
        audit.observe(block, 1, outcome)
        audit.advance(at - TICK_MS, outcome)
        at, other = at + clip_ms, other + 4
    audit.advance(end + HOUR_MS, outcome)
    ledger = audit.target_states[key_of(VIEW, "v")].ledger
    assert sum(hit.events for hit in outcome.hits) == sum(ledger.invalid.values())
    return {"raw": ledger.raw, **ledger.invalid}


@pytest.mark.parametrize("clip_seconds", [31, 61, 90, 100])
def test_a_short_clip_that_plays_day_and_night_is_caught_beyond_the_bound(clip_seconds: int) -> None:
    found = looped(clip_seconds * 1000, 26)
    beyond = found["raw"] // 3 - 800
    lost = max(0, 24 * 3600 // clip_seconds - 800) // 24
    # Not counted: what came before it was followed, five minutes at most, and in the end the hour of yesterday.
    assert beyond - 300 // clip_seconds - 3600 // clip_seconds - lost <= found["rate_day"] <= beyond
    assert set(found) == {"raw", "rate_day"}


def test_a_song_that_plays_day_and_night_is_nothing_to_it() -> None:
    assert set(looped(210_000, 60)) == {"raw"}
    assert set(looped(108_500, 30)) == {"raw"}


def test_it_can_be_off_have_another_bound_and_spare_who_is_allowed() -> None:
    assert set(looped(60_000, 15, rules=RuleSettings(off=frozenset({RATE_DAY})))) == {"raw"}
    assert set(looped(60_000, 15, rules=RuleSettings(per_day=0))) == {"raw"}
    assert set(looped(60_000, 15, exempt=True)) == {"raw"}
    assert looped(60_000, 15, rules=RuleSettings(per_day=300))["rate_day"] in range(595, 600)
    alone = RuleSettings(off=frozenset({"double_click", "rate"}))
    assert looped(60_000, 15, rules=alone) == looped(60_000, 15)


def test_times_that_are_known_to_the_day_alone_accuse_nobody() -> None:
    audit, outcome = Audit(AuditSettings()), Outcome()
    count = 1000
    audit.observe(
        EventBlock(target=["v"] * count, metric=[0] * count, ts=[START_MS] * count, actor=[0] * count), 1, outcome
    )
    audit.advance(START_MS + 5 * DAY_MS, outcome)
    assert audit.target_states[key_of(VIEW, "v")].ledger.invalid == {}


def test_memory_is_bounded_and_a_machine_stays_while_double_clickers_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "PAIRS_MAX", 64)
    followed = Days(800)
    machine = [7]
    for minute in range(60 * 20):
        followed.turn(START_MS + minute * MINUTE_MS)
        passing = range(1000 + 30 * minute, 1030 + 30 * minute)
        followed.follow(passing)
        followed.count(passing, [2] * 30)
        followed.follow(machine)
        followed.count(machine, [1])
    assert followed.memory_bytes() <= 64 * PAIR_BYTES
    assert followed.counted(machine) == [1200]


ONE = [7]


def counted_at(followed: Days, at_ms: int) -> int:
    followed.turn(at_ms)
    return followed.counted(ONE)[0]


def test_a_pair_that_does_not_act_is_followed_until_the_end_of_the_next_hour() -> None:
    for began in (START_MS, START_MS + HOUR_MS - 1):
        followed = Days(800)
        followed.turn(began)
        followed.follow(ONE)
        followed.turn(START_MS + 2 * HOUR_MS - 1)
        assert followed.keys.tolist() == [7]
        followed.turn(START_MS + 2 * HOUR_MS)
        assert followed.keys.tolist() == []


def test_acts_are_counted_in_their_hour_and_the_twenty_three_after_it() -> None:
    followed = Days(800)
    for hour, acts in ((20, 5), (21, 3)):
        followed.turn(START_MS + hour * HOUR_MS)
        followed.follow(ONE)
        followed.count(ONE, [acts])
    assert counted_at(followed, START_MS + 44 * HOUR_MS - 1) == 8
    assert counted_at(followed, START_MS + 44 * HOUR_MS) == 3
    assert counted_at(followed, START_MS + 45 * HOUR_MS - 1) == 3
    assert counted_at(followed, START_MS + 45 * HOUR_MS) == 0


@given(st.integers(600, 5000))
def test_who_exceeds_the_limit_cannot_avoid_to_act_often_in_one_of_the_five_minutes_of_a_day(per_day: int) -> None:
    met = 24 * 60 // 5 + 1  # the first and the last of them in part
    often = Days(per_day).often
    assert (often - 1) * met <= per_day < often * met


def test_two_acts_in_five_minutes_are_the_least_that_are_often() -> None:
    assert [Days(per_day).often for per_day in (1, 288, 577, 578)] == [2, 2, 2, 3]


def test_those_furthest_behind_the_pace_of_the_limit_leave_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that were followed at once the one with more acts stays, and two at the first moment are worth one."""
    monkeypatch.setattr(days, "PAIRS_MAX", 2)
    followed = Days(800)
    followed.turn(START_MS)
    pairs = [3, 9]
    followed.follow(pairs)
    followed.count(pairs, [1, 2])
    followed.count(pairs, [2, 0])
    followed.follow([5])
    assert followed.keys.tolist() == [3, 5]


@given(st.lists(st.tuples(st.integers(0, 9), st.dictionaries(st.integers(0, 30), st.integers(0, 3))), max_size=30))
def test_a_full_table_has_the_pairs_at_the_pace_of_the_limit_whatever_their_places(
    steps: list[tuple[int, dict[int, int]]],
) -> None:
    """The same with a dict in order of the pace."""
    room, pace_ms, hours, due, now = 6, DAY_MS // 800, Counter[tuple[int, int]](), dict[int, int](), START_MS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(days, "PAIRS_MAX", room)
        followed = Days(800)
        for minutes, acts in steps:
            now += minutes * MINUTE_MS
            pairs = sorted(acts)
            followed.turn(now)
            followed.follow(pairs)
            before = followed.counted(pairs)
            followed.count(pairs, [acts[pair] for pair in pairs])
            due = {pair: at for pair, at in due.items() if at >= (now // HOUR_MS - 1) * HOUR_MS or hours[pair, 0]}
            fresh = [pair for pair in pairs if pair not in due][:room]
            for pair in sorted(due, key=lambda pair: (due[pair], pair))[: max(0, len(due) + len(fresh) - room)]:
                del due[pair], hours[pair, 0]
            due |= dict.fromkeys(fresh, now)
            assert before == [hours[pair, 0] for pair in pairs]
            for pair in pairs:
                if pair in due and acts[pair]:
                    due[pair] += pace_ms * (acts[pair] if hours[pair, 0] else 1)
                    hours[pair, 0] += acts[pair]
            assert followed.keys.tolist() == sorted(due)
