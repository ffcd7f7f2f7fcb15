"""Which replays are a program's, and which are those of people and their players."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.accounts.accounts import Accounts
from detectors.accounts.acts.replays import TIMED_MIN
from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.rulings import replays as rulings
from detectors.accounts.rulings.replays import KEPT_MS, Replays
from detectors.controls import Forgotten, Replayed
from detectors.windows.scales import HOUR_MS
from tests.detectors.accounts.traffic import LIKE, START_MS, Act, accounts_with, actor_hash, block_of, hash_of, play

SECOND = 1_000
CROWD = 40
"""Other active accounts: fewer than one in twenty replays then."""


def program(
    gap: int, watch: int, duration: int, *, actor: str = "bot", times: int = 60, jitter: float = 0.02, seed: int = 1
) -> list[Act]:
    """Views of one target whose starts follow a clock."""
    rng, at, acts = np.random.default_rng(seed), 0.0, []
    for _ in range(times):
        seen = min(duration, int(watch + rng.normal(0, 300)))
        acts.append(Act(int(at), actor, "v7", watch=seen, duration=duration))
        at += gap * rng.normal(1.0, jitter)
    return acts


def player(
    duration: int, waits: Iterable[int], *, actor: str = "fan", target: str = "v7", begin: int = 0, seen: float = 1.0
) -> list[Act]:
    """Views by a player that starts again ``waits`` ms after the end of the track."""
    at, acts = begin, []
    for wait in waits:
        acts.append(Act(at, actor, target, watch=int(duration * seen), duration=duration))
        at += duration + wait
    return acts


def crowd() -> list[Act]:
    return [
        Act(7 * SECOND * number, f"p{number}", f"v{number}", watch=9_000, duration=60_000) for number in range(CROWD)
    ]


def found(acts: Iterable[Act]) -> set[tuple[str, str]]:
    """Actor and target of the replays that the targets are informed of."""
    acts = list(acts)
    names = {actor_hash(act.actor): act.actor for act in acts}
    outcome = play(accounts_with(), [*crowd(), *acts], step=300_000)
    assert not outcome.failures
    return {
        (names[actor], record.target)
        for _, record in outcome.controls
        if isinstance(record, Replayed)
        for actor in record.actors
    }


class TestPrograms:
    @pytest.mark.parametrize(
        ("gap", "watch", "duration"),
        [
            (90_000, 20_000, 20_000),  # a short clip to its end, and nothing for a minute
            (120_000, 31_000, 31_500),
            (33_000, 31_000, 90_000),  # broken off and started again
            (75_000, 31_000, 90_000),
            (180_000, 31_000, 600_000),
            (10_000, 31_000, 31_000),  # in many tabs
            (10_000, 31_000, 200_000),
        ],
    )
    def test_a_clip_that_is_started_by_a_clock(self, gap: int, watch: int, duration: int) -> None:
        assert found(program(gap, watch, duration)) == {("bot", "v7")}

    @given(st.integers(45, 800), st.integers(6, 22), st.integers(0, 2**32))
    @settings(max_examples=25, deadline=None)
    def test_whatever_the_clip_and_the_clock_if_most_of_the_time_nothing_plays(
        self, gap: int, clip: int, seed: int
    ) -> None:
        gap = max(gap, clip + 32, round(2.2 * clip))
        assert found(program(gap * SECOND, clip * SECOND, clip * SECOND, seed=seed)) == {("bot", "v7")}

    def test_a_session_is_found_as_an_account_is_and_an_address_is_not(self) -> None:
        for actor, replaying in (("session-9", True), ("203.0.113.9", False)):
            acts = [
                Act(act.at, actor, "v7", created=None, watch=20_000, duration=20_000) for act in program(90_000, 1, 1)
            ]
            assert bool(found(acts)) == replaying

    def test_a_like_between_two_views_does_not_begin_a_new_row(self) -> None:
        acts = program(90_000, 20_000, 20_000, times=TIMED_MIN + 6)
        acts.append(Act(acts[8].at + 30_000, "bot", "v7", LIKE))
        assert found(acts) == {("bot", "v7")}

    def test_fewer_than_ten_are_not_enough(self) -> None:
        assert not found(program(90_000, 20_000, 20_000, times=TIMED_MIN + 1, jitter=0.005))
        assert found(program(90_000, 20_000, 20_000, times=TIMED_MIN + 2, jitter=0.005))


waits = st.lists(st.integers(200, 30_000), min_size=30, max_size=120)
tracks = st.integers(6_000, 600_000)


class TestPeople:
    @given(tracks, waits)
    @settings(max_examples=30, deadline=None)
    def test_a_player_on_repeat(self, duration: int, waits: list[int]) -> None:
        assert not found(player(duration, waits))

    @given(tracks, st.integers(200, 30_000), st.floats(0.0, 0.02))
    @settings(max_examples=30, deadline=None)
    def test_a_player_on_repeat_with_always_the_same_wait(self, duration: int, wait: int, short: float) -> None:
        assert not found(player(duration, [wait] * 120, seen=1.0 - short))

    @given(st.integers(6_000, 60_000), st.integers(0, 30))
    @settings(max_examples=25, deadline=None)
    def test_a_short_clip_that_an_app_loops_hundreds_of_times(self, duration: int, wait: int) -> None:
        assert not found(player(duration, [wait] * 250))

    @given(st.integers(12, 600), st.integers(200, 2_000))
    @settings(max_examples=25, deadline=None)
    def test_a_player_that_reports_watch_times_in_steps_of_ten_seconds(self, seconds: int, wait: int) -> None:
        duration = seconds * SECOND + 500
        acts = [
            Act(act.at, "fan", "v7", watch=act.watch // 10_000 * 10_000, duration=duration)
            for act in player(duration, [wait] * 60)
        ]
        assert not found(acts)

    @given(tracks, st.integers(0, 2**32), st.floats(0.0, 1.0))
    @settings(max_examples=30, deadline=None)
    def test_two_devices_of_one_account(self, duration: int, seed: int, phase: float) -> None:
        rng = np.random.default_rng(seed)
        first = player(duration, rng.integers(200, 900, 60).tolist())
        second = player(duration, rng.integers(200, 900, 60).tolist(), begin=int(phase * duration))
        assert not found([*first, *second])

    def test_a_sleeper_who_pauses_each_night(self) -> None:
        nights = [player(240_000, [500] * 100, begin=night * 24 * HOUR_MS) for night in range(4)]
        assert not found([act for night in nights for act in night])

    @given(st.integers(20_000, 600_000), st.integers(0, 2**32))
    @settings(max_examples=25, deadline=None)
    def test_a_child_that_starts_the_same_cartoon_forty_times(self, duration: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        assert not found(player(duration, rng.lognormal(np.log(20_000), 1.0, 40).astype(int).tolist()))

    @given(st.lists(st.integers(6_000, 300_000), min_size=2, max_size=5), st.integers(0, 20_000))
    @settings(max_examples=25, deadline=None)
    def test_a_playlist_or_the_screen_of_a_shop_that_plays_it_all_day(self, lengths: list[int], wait: int) -> None:
        at, acts = 0, []
        for _ in range(80):
            for number, duration in enumerate(lengths):
                acts.append(Act(at, "shop", f"v{number}", watch=duration, duration=duration))
                at += duration + wait
        assert not found(acts)

    @given(st.integers(15_000, 60_000), st.integers(0, 2**32))
    @settings(max_examples=25, deadline=None)
    def test_a_dancer_who_practises_to_a_clip(self, duration: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        assert not found(player(duration, rng.lognormal(np.log(90_000), 0.6, 60).astype(int).tolist()))

    @given(st.integers(2, 40))
    @settings(max_examples=20, deadline=None)
    def test_a_player_that_sends_the_time_watched_so_far_at_even_intervals(self, interval: int) -> None:
        acts = [
            Act(n * interval * SECOND, "fan", "v7", watch=n * interval * SECOND, duration=3_600_000)
            for n in range(1, 60)
        ]
        assert not found(acts)

    def test_advertisements_before_each_repeat(self) -> None:
        assert not found(player(200_000, [40_000] * 60))

    def test_views_without_watch_time(self) -> None:
        assert not found([Act(act.at, "fan", "v7") for act in program(90_000, 1, 1)])


def test_where_many_accounts_do_so_it_says_nothing() -> None:
    """A platform whose own application sends a view each minute and a half."""
    acts = [act for n in range(CROWD) for act in program(90_000, 20_000, 20_000, actor=f"p{n}", seed=n)]
    assert not found(acts)


def test_who_is_allowed_is_left_out() -> None:
    acts = [*crowd(), *program(90_000, 20_000, 20_000)]
    outcome = play(accounts_with(allow=frozenset({"bot"})), acts)
    assert not [record for _, record in outcome.controls if isinstance(record, Replayed)]


def test_the_target_is_informed_once_and_again_only_if_it_goes_on() -> None:
    acts = [*crowd(), *program(90_000, 20_000, 20_000, times=1_200)]
    outcome = play(accounts_with(), acts)
    sent = [(place, record) for place, record in outcome.controls if isinstance(record, Replayed)]
    assert {place for place, _ in sent} == {hash_of("v7") % 4}
    assert 2 <= len(sent) <= 4, "thirty hours"
    assert sent[0][1].at <= START_MS + (TIMED_MIN + 7) * 90_000
    assert all(record.until > record.at + KEPT_MS // 2 for _, record in sent)


def test_a_profile_says_so_in_a_sentence() -> None:
    accounts = accounts_with()
    play(accounts, [*crowd(), *program(90_000, 20_000, 20_000)])
    profile = accounts.profile(actor_hash("bot"))
    assert profile is not None
    (replay,) = profile.replays
    assert replay.target == "v7"
    assert replay.text.startswith("it replayed v7 ")
    assert "90 s apart" in replay.text.replace("89 s", "90 s").replace("91 s", "90 s").replace("88 s", "90 s")
    accounts.control(Forgotten(actor_hash("bot"), "bot"), AccountsOutcome())
    accounts.advance(START_MS + 9 * HOUR_MS, AccountsOutcome())
    assert b"bot" not in msgspec.msgpack.encode(accounts.dump())


def test_findings_expire_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulings, "FOUND_MAX", 2)
    accounts = accounts_with()
    play(accounts, [*crowd(), *(act for n in range(4) for act in program(90_000, 20_000, 20_000, actor=f"b{n}"))])
    assert stored(accounts) == 2
    accounts.advance(START_MS + 2 * 24 * HOUR_MS, AccountsOutcome())
    assert stored(accounts) == 0


def stored(accounts: Accounts) -> int:
    return len(dict(accounts.dump())["accounts/head"].replays)


def test_the_counts_of_what_is_rare_follow_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulings, "COUNTED_MAX", 100)
    replays = Replays(accounts_with()._settings)
    replays.counted = 10, 101
    replays.note_active(1)
    assert replays.counted == (5, 50)
    assert not replays.are_rare


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(["v1"] * 19 + ["v2"]), st.sampled_from([0] * 19 + [LIKE])),
        min_size=20,
        max_size=80,
    ),
    st.lists(st.integers(1, 12), min_size=1, max_size=8),
)
@settings(max_examples=30, deadline=None)
def test_blocks_may_be_cut_anywhere(acts: list[tuple[int, str, int]], cuts: list[int]) -> None:
    at, rows = 0, []
    for number, (step, target, metric) in enumerate(acts):
        at += 45_000 * (1 + step // 3)
        rows.append(Act(at, f"a{number % 2}", target, metric, watch=9_000, duration=9_000))
    whole, parts = accounts_with(), accounts_with()
    whole.observe(block_of(rows), AccountsOutcome())
    begin, place = 0, 0
    while begin < len(rows):
        size = cuts[place % len(cuts)]
        parts.observe(block_of(rows[begin : begin + size]), AccountsOutcome())
        begin, place = begin + size, place + 1
    outcomes = AccountsOutcome(), AccountsOutcome()
    for accounts, outcome in zip((whole, parts), outcomes, strict=True):
        accounts.advance(START_MS + at + HOUR_MS, outcome)
    assert outcomes[0].controls == outcomes[1].controls
    assert msgspec.msgpack.encode(whole.dump()) == msgspec.msgpack.encode(parts.dump())
