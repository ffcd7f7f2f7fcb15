"""Days that are wrong together: what is found without a surge, what is taken back, and what is spared."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.audit import Audit, AuditSettings
from detectors.catalog.drip import log_e_value
from detectors.events.event import Event
from detectors.events.key import key_of
from detectors.features import names as f
from detectors.lab.traffic.blocks import Packer
from detectors.measurement.expectation import EXPECTED_MIN, spread
from detectors.records import Outcome
from detectors.scoring.detector import Finding
from detectors.scoring.sentences import habit
from detectors.state.case import ARTIFICIAL, SUSPECT
from detectors.state.days import DAYS_MAX, HABITUAL, QUIET_DAYS, UNKNOWN, WATCHED, Day, Slow
from detectors.state.level import Level
from detectors.state.target_state import TargetState
from detectors.thresholds import DEFAULTS
from detectors.verdict.days import SUM_MAX, accumulate, artificial_of, is_wrong, known_past, opinion_of
from detectors.verdict.evidence import PART_MIN, WindowEvidence
from detectors.verdict.opinion import Opinion
from detectors.windows.crowd import Crowd
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, bought, in_order, ordinary
from tests.states import states_of

DAYS = 8
FIRST_MS = START_MS // DAY_MS * DAY_MS
DRIP_DAY = 5
HOUR_MS = 3_600_000
STEP_MS = 15 * MINUTE_MS
QUIET: tuple[float, float] = (0.0, 0.0)


def stretched(events: Iterable[Event], *, minutes: int, begin: int, days: float) -> list[Event]:
    """Events of the first minutes after START_MS, spread over days."""
    scale = days * DAY_MS / (minutes * MINUTE_MS)
    return [
        msgspec.structs.replace(event, ts=begin + round((event.ts - START_MS) * scale), id=None) for event in events
    ]


def background() -> list[Event]:
    return stretched(ordinary(1, minutes=45), minutes=45, begin=FIRST_MS, days=DAYS)


def followers(*, days: float, each_day: int = 40) -> list[Event]:
    """New accounts from three networks that follow v3 and do nothing else, a few an hour."""
    made = bought(2, "v3", begin=START_MS, minutes=1, per_minute=round(each_day * days))
    spread = stretched(made, minutes=1, begin=FIRST_MS + DRIP_DAY * DAY_MS, days=days)
    return [
        msgspec.structs.replace(event, actor=f"new{number}", metric="follow") for number, event in enumerate(spread)
    ]


def admirers() -> list[Event]:
    """As many followers of v5, who are the platform's people and have watched it just before."""
    rng = random.Random(4)
    made = []
    for view in stretched(ordinary(3, minutes=45, targets=1), minutes=45, begin=FIRST_MS, days=DAYS):
        if view.ts >= FIRST_MS + DRIP_DAY * DAY_MS:
            view.target = "v5"
            made.append(view)
            follow = msgspec.structs.replace(view, ts=view.ts + rng.randrange(HOUR_MS), metric="follow")
            made.append(follow)
    return made


def audited(events: list[Event], *, reload_at: int = -1) -> tuple[Audit, Outcome]:
    """Through one audit, a block every quarter of an hour; all keyed state is written and read again at one moment."""
    audit, outcome, packer = Audit(AuditSettings()), Outcome(), Packer(1)
    at = 0
    for position, end in enumerate(range(FIRST_MS + STEP_MS, FIRST_MS + (DAYS + 4) * DAY_MS, STEP_MS)):
        first = at
        while at < len(events) and events[at].ts < end:
            at += 1
        for _, block in packer.pack(events[first:at]):
            audit.observe(block, position, outcome)
        audit.advance(end, outcome)
        if end == reload_at:
            for key, watched in states_of(audit).items():
                audit.target_states[key] = msgspec.msgpack.decode(
                    msgspec.msgpack.encode(watched), type=TargetState, strict=False
                )
    return audit, outcome


@cache
def dripped() -> tuple[Audit, Outcome]:
    return audited(in_order(background(), followers(days=3), admirers()))


def test_followers_that_trickle_in_over_days_are_flagged_as_one_incident() -> None:
    flags = [flag for flag in dripped()[1].flags if flag.verdict != "explained"]
    assert {(flag.target, flag.metric) for flag in flags} == {("v3", "follow")}
    assert len({flag.flag_id for flag in flags}) == 1
    assert flags[-1].status == "closed"
    assert flags[-1].verdict == "artificial"
    assert "slow_drip" in {reason.code for reason in flags[-1].reasons}


def test_they_are_taken_back_to_the_first_day() -> None:
    audit, outcome = dripped()
    bought_followers = 120
    last = outcome.flags[-1]
    assert last.onset <= FIRST_MS + DRIP_DAY * DAY_MS
    assert last.artificial.low <= last.artificial.value <= last.artificial.high
    assert last.artificial.value == pytest.approx(bought_followers, rel=0.15)
    ledger = audit.target_states[key_of(2, "v3")].ledger
    assert ledger.raw == bought_followers
    assert sum(ledger.invalid.values()) == last.artificial.value


def test_as_many_followers_who_are_the_platforms_own_people_are_spared() -> None:
    ledger = dripped()[0].target_states[key_of(2, "v5")].ledger
    assert ledger.valid == ledger.raw > 30


def test_what_is_gathered_goes_on_from_stored_state() -> None:
    events = in_order(background(), followers(days=3), admirers())
    _, outcome = audited(events, reload_at=FIRST_MS + (DRIP_DAY + 1) * DAY_MS + HOUR_MS)
    assert outcome.flags == dripped()[1].flags
    assert outcome.corrections == dripped()[1].corrections


# ---------------------------------------------------------------- e-values


def test_an_e_value_is_one_at_most_on_the_average_of_honest_days() -> None:
    steps = 20_000
    e_values = (10.0 ** log_e_value(-math.log10((step + 0.5) / steps)) for step in range(steps))
    assert sum(e_values) / steps <= 1.0


@given(score=st.floats(0, 290), more=st.floats(0.01, 10))
def test_a_rarer_day_is_never_worth_less(score: float, more: float) -> None:
    assert log_e_value(score) <= log_e_value(score + more)
    assert log_e_value(score) <= score


# ---------------------------------------------------------------- gathering


def day(number: int) -> Day:
    return Day(number * DAY_MS, 50, 0.0, False, 20.0, 15.0, 25.0, 0)


def days(
    evidence: dict[str, tuple[float, float]],
    amount: int,
    past: int,
    slow: Slow | None = None,
    x: Mapping[str, float] = MappingProxyType({}),
) -> Slow | None:
    first = 0 if slow is None else slow.days[-1].start // DAY_MS + 1
    for number in range(first, first + amount):
        slow = accumulate(slow, day(number), WindowEvidence(evidence, QUIET, [], {f.ONCE: 0.0, **x}), past=past)
    return slow


WEAK = {"accounts": (2.2, 0.5), "watch": (2.2, 0.5)}
SAME_PEOPLE = {f.SAME: 3.0, f.SAME_SHARE: 0.3}
STRONG_BUT_SILENT = {"accounts": (7.0, 0.9), "engagement": (7.0, 0.9)}


def test_days_too_weak_by_themselves_add_up_where_the_targets_past_is_known() -> None:
    few, many = days(WEAK, 2, HABITUAL, x=SAME_PEOPLE), days(WEAK, 8, HABITUAL, x=SAME_PEOPLE)
    assert few is not None
    assert many is not None
    assert few.joint < 6.0 < many.joint


def test_days_of_new_people_and_of_others_who_leave_do_not_add_up() -> None:
    slow = days(WEAK, 20, HABITUAL)
    assert slow is not None
    assert slow.joint < 3.0


def test_they_do_not_where_there_is_no_past_to_stray_from() -> None:
    for past in (UNKNOWN, WATCHED):
        slow = days(WEAK, 20, past)
        assert slow is not None
        assert slow.joint < 6.0


def test_one_day_never_convicts() -> None:
    slow = days({"accounts": (30.0, 0.9), "watch": (30.0, 0.9)}, 1, HABITUAL)
    assert slow is not None
    assert slow.joint == 0.0


def test_silence_is_no_conduct_of_a_target_that_nobody_knows() -> None:
    unknown, watched = days(STRONG_BUT_SILENT, 5, UNKNOWN), days(STRONG_BUT_SILENT, 5, WATCHED)
    assert unknown is not None
    assert watched is not None
    assert unknown.joint < 3.0
    assert watched.joint > 6.0


def test_one_family_of_evidence_is_kept_of_nobody() -> None:
    assert days({"accounts": (9.0, 0.9)}, 30, HABITUAL) is None
    assert not is_wrong({"watch": (9.0, 0.9), "engagement": (9.0, 0.9)}, QUIET)


def test_it_is_forgotten_when_a_week_is_in_order() -> None:
    slow = days(WEAK, 2, HABITUAL)
    assert days({}, QUIET_DAYS + 1, HABITUAL, slow) is None


@given(said=st.lists(st.tuples(st.floats(0, 50), st.floats(0, 1)), min_size=1, max_size=60))
def test_what_is_kept_is_bounded(said: list[tuple[float, float]]) -> None:
    slow: Slow | None = None
    for number, (score, share) in enumerate(said):
        evidence = {"accounts": (score, share), "watch": (score, share)}
        slow = accumulate(slow, day(number), WindowEvidence(evidence, QUIET, [], {f.ONCE: 0.0}), past=HABITUAL)
        if slow is not None:
            assert len(slow.days) <= DAYS_MAX
            assert all(0.0 < total <= SUM_MAX for total, _, _ in slow.sums.values())
            assert len(msgspec.msgpack.encode(slow)) < 2200


# ---------------------------------------------------------------- what the days say together


def two_days(
    *, artificial: float, count: int = 50, joint: float = 9.0, wrong: tuple[bool, bool] = (True, True)
) -> Slow:
    """Two days, of which so many events are artificial in each."""
    return Slow(
        days=[Day(n * DAY_MS, count, 9.0, wrong[n], artificial, artificial, artificial, 0) for n in range(2)],
        past=HABITUAL,
        joint=joint,
    )


def said_of(slow: Slow) -> Opinion | None:
    return opinion_of(slow, {f.COUNT: 50.0, f.EXPECTED: 40.0}, [], DEFAULTS)


@pytest.mark.parametrize(
    ("a_day", "verdict"), [(DEFAULTS.excess_events / 2 - 0.01, None), (DEFAULTS.excess_events / 2, ARTIFICIAL)]
)
def test_days_convict_from_the_least_excess_of_a_verdict_on_all_of_them_together(
    a_day: float, verdict: str | None
) -> None:
    said = said_of(two_days(artificial=a_day, count=20))
    assert (said and said.verdict) == verdict


def test_only_wrong_days_count_towards_it() -> None:
    assert said_of(two_days(artificial=9.0, count=20, wrong=(False, True))) is None
    assert said_of(two_days(artificial=10.0, count=20, wrong=(False, True))) is not None


def test_a_day_speaks_if_enough_of_it_is_artificial() -> None:
    assert said_of(two_days(artificial=PART_MIN * 100 - 0.01, count=100)) is None
    assert said_of(two_days(artificial=PART_MIN * 100, count=100)) is not None


def test_a_day_that_is_not_wrong_itself_opens_nothing() -> None:
    assert said_of(two_days(artificial=20.0, wrong=(True, False))) is None


@pytest.mark.parametrize(("joint", "verdict"), [(5.99, None), (6.0, SUSPECT), (6.99, SUSPECT), (7.0, ARTIFICIAL)])
def test_days_ten_times_rarer_than_a_suspects_are_artificial(joint: float, verdict: str | None) -> None:
    said = said_of(two_days(artificial=20.0, joint=joint))
    assert (said and said.verdict) == verdict


def test_what_was_expected_of_such_a_day_is_what_is_not_artificial() -> None:
    x = {f.COUNT: 50.0, f.EXPECTED: 40.0}
    said = opinion_of(two_days(artificial=20.0), x, [], DEFAULTS)
    assert said is not None
    assert (said.beside_drip, said.findings[0].value) == (30.0, 2.0)
    assert x == {f.COUNT: 50.0, f.EXPECTED: 40.0}
    assert (said.artificial, said.low, said.high) == (20.0, 20.0, 20.0)
    all_of_it = {f.COUNT: 50.0, f.EXPECTED: 40.0}
    said = opinion_of(two_days(artificial=50.0), all_of_it, [], DEFAULTS)
    assert said is not None
    assert said.beside_drip == EXPECTED_MIN


# ---------------------------------------------------------------- one day


@pytest.mark.parametrize(
    ("evidence", "rented", "wrong"),
    [
        ({"accounts": (1.0, 0.15), "watch": (1.0, 0.15)}, QUIET, True),
        ({"accounts": (0.99, 0.15), "watch": (1.0, 0.15)}, QUIET, False),
        ({"accounts": (1.0, 0.149), "watch": (1.0, 0.15)}, QUIET, False),
        ({"accounts": (1.0, 0.15), "watch": (0.99, 0.15)}, QUIET, False),
        ({"watch": (1.0, 0.15)}, (1.0, 0.15), True),
        ({"watch": (1.0, 0.15)}, (0.99, 0.15), False),
        ({"watch": (1.0, 0.15)}, (1.0, 0.149), False),
        ({"repetition": (1.0, 0.3), "watch": (1.0, 0.3)}, QUIET, True),
        ({"repetition": (0.99, 0.3), "watch": (1.0, 0.3)}, QUIET, False),
        ({"repetition": (1.0, 0.3), "watch": (1.0, 0.299)}, QUIET, False),
    ],
)
def test_a_day_is_wrong_if_somebody_wrong_came_and_did_something_wrong(
    evidence: dict[str, tuple[float, float]], rented: tuple[float, float], *, wrong: bool
) -> None:
    assert is_wrong(evidence, rented) == wrong


def finding(share: float, p: float = 0.01) -> Finding:
    return Finding("fresh_accounts", "accounts", share, 0.0, p, share, "new accounts")


DAY_OF_100 = {f.COUNT: 100.0, f.EXPECTED: 20.0, f.DISPERSION: 50.0}
BEYOND = 80.0 - spread(20.0, 50.0)
"""Of such a day: what exceeds the upper end of what is expected."""


@pytest.mark.parametrize(
    ("findings", "surge", "artificial"),
    [
        ([finding(0.2)], 0.99, 20.0),
        ([finding(0.2)], 1.0, 20.0),
        ([finding(0.4)], 1.0, (40.0 + BEYOND) / 2.0),
        ([finding(0.9)], 1.0, 90.0),
        ([finding(0.4), finding(0.8, p=0.011)], 0.0, 40.0),
        ([], 5.0, 0.0),
    ],
    ids=["no surge", "too little is marked", "half of what is not marked", "all of it", "not credible", "nothing"],
)
def test_of_a_day_that_is_artificial_which_is_marked_and_half_of_what_else_is_too_much(
    findings: list[Finding], surge: float, artificial: float
) -> None:
    assert artificial_of(DAY_OF_100, findings, surge)[0] == pytest.approx(artificial)


def test_the_least_is_what_is_marked_and_the_most_what_is_too_much() -> None:
    artificial, low, high = artificial_of(DAY_OF_100, [finding(0.4)], 1.0)
    noise = 1.96 * math.sqrt(artificial * (1.0 - artificial / 100.0))
    assert (low, high) == pytest.approx((40.0 - noise, BEYOND + noise))
    assert artificial_of(DAY_OF_100, [finding(1.0)], 1.0)[1:] == pytest.approx((100.0 - 1.96, 100.0))
    assert artificial_of(DAY_OF_100, [], 0.0)[1] == 0.0


@pytest.mark.parametrize(
    ("x", "own_days", "views_days", "past"),
    [
        ({f.FRESH: 0.5, habit(f.FRESH): 0.1}, 0, 0, HABITUAL),
        ({f.FRESH: 0.5}, 2, 3, UNKNOWN),
        ({f.FRESH: 0.5}, 3, 0, WATCHED),
        ({f.FRESH: 0.5}, 0, 4, WATCHED),
    ],
)
def test_a_past_of_three_days_is_one(x: dict[str, float], own_days: int, views_days: int, past: int) -> None:
    assert known_past(x, Level(windows=own_days), views_days) == past


def test_a_target_without_a_level_has_no_past_of_its_own() -> None:
    assert known_past({}, None, 3) == UNKNOWN


def test_what_a_detector_says_adds_up_from_day_to_day_and_its_share_is_the_mean() -> None:
    slow = days({"accounts": (3.0, 0.2), "watch": (2.0, 0.5)}, 1, HABITUAL)
    slow = days({"accounts": (2.0, 0.6), "watch": (2.0, 0.5)}, 1, HABITUAL, slow)
    assert slow is not None
    total, share, spoke = slow.sums["accounts"]
    assert total == pytest.approx(log_e_value(3.0) + log_e_value(2.0))
    assert (share, spoke) == pytest.approx((0.4, 2))


def test_a_detector_that_falls_silent_loses_what_it_had_and_begins_again() -> None:
    slow = days({"accounts": (2.0, 0.5), "watch": (6.0, 0.5)}, 1, HABITUAL)
    before = log_e_value(2.0)
    silent = days({"watch": (6.0, 0.5)}, 1, HABITUAL, slow)
    assert silent is not None
    assert silent.sums["accounts"][0] == pytest.approx(before + log_e_value(0.0))
    assert silent.sums["accounts"][1:] == (0.5, 1)
    gone = days({"watch": (6.0, 0.5)}, 3, HABITUAL, silent)
    assert gone is not None
    assert "accounts" not in gone.sums


def test_where_nothing_is_known_of_the_past_the_second_rarest_wrong_day_speaks() -> None:
    slow: Slow | None = None
    for number, score in enumerate([9.0, 4.0, 6.0]):
        evidence = {"accounts": (score, 0.9), "watch": (score, 0.9)}
        slow = accumulate(slow, day(number), WindowEvidence(evidence, QUIET, [], {f.ONCE: 0.0}), past=WATCHED)
    assert slow is not None
    assert slow.joint == sorted(d.score for d in slow.days)[-2]


@pytest.mark.parametrize(("quiet", "kept"), [(QUIET_DAYS, True), (QUIET_DAYS + 1, False)])
def test_a_week_without_a_wrong_day_is_the_end(quiet: int, *, kept: bool) -> None:
    strong = {"accounts": (30.0, 0.9), "watch": (30.0, 0.9)}
    slow = days(strong, 2, HABITUAL)
    only_who = {"accounts": (30.0, 0.9)}
    assert (days(only_who, quiet, HABITUAL, slow) is not None) == kept


def test_a_drip_that_goes_on_teaches_nothing_until_it_is_decided() -> None:
    slow = days({"accounts": (30.0, 0.9), "watch": (30.0, 0.9)}, 2, UNKNOWN)
    assert slow is not None
    slow.joint = 3.0
    assert slow.blocks_learning()
    slow.joint = 2.99
    assert not slow.blocks_learning()
    slow.joint = 9.0
    slow.days[-1].start = slow.days[0].start + DAYS_MAX * DAY_MS - 1
    assert slow.blocks_learning()
    slow.days[-1].start += 1
    assert not slow.blocks_learning()


def test_past_days_are_those_from_the_first_wrong_one_to_the_day_before_the_last() -> None:
    slow = Slow(days=[Day(n, 1, 0.0, n in {1, 3}, 0.0, 0.0, 0.0, 0) for n in range(5)])
    assert [d.start for d in slow.past_days()] == [1, 2, 3]
    assert slow.wrong_days() == 2
    assert Slow(days=[Day(0, 1, 0.0, False, 0.0, 0.0, 0.0, 0)]).past_days() == []


def test_what_became_of_a_day_is_noted_of_the_last_one_alone() -> None:
    slow = Slow(days=[day(0), day(1)])
    slow.close_day(0, Crowd(quarantined=5, cased=7))
    assert (slow.days[1].quarantined, slow.days[1].cased) == (0, 0)
    slow.close_day(DAY_MS, Crowd(quarantined=5, cased=7))
    assert (slow.days[0].quarantined, slow.days[1].quarantined, slow.days[1].cased) == (0, 5, 7)
