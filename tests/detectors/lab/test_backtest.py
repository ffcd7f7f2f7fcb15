"""The backtest's accounting, and the two runs that must come out right at any stage of the detectors."""

from __future__ import annotations

from dataclasses import asdict

import msgspec
import pytest

from detectors.accounts.settings import AccountSettings
from detectors.events.event import Event
from detectors.lab.backtest import AuditRun, NoSuchDetectorError, judge_stream, run
from detectors.lab.baselines import BASELINES
from detectors.lab.measure import Alarm, Report, Truth, measure
from detectors.lab.removals import Removal, TargetMetric
from detectors.lab.scenarios.registry import QUIET
from detectors.lab.traffic.platform import Labelled
from detectors.state.level import Level

KEY = TargetMetric("t", "view")


def truth_of(artificial: int, honest: int) -> Truth:
    """One target: honest events each second, artificial ones between them from second 100 on."""
    truth = Truth()
    rows = [Labelled(Event(ts=1000 * i, actor="h", target="t", metric="view")) for i in range(honest)]
    rows += [
        Labelled(Event(ts=100_500 + 1000 * i, actor="b", target="t", metric="view"), "x", True)
        for i in range(artificial)
    ]
    truth.note(sorted(rows, key=lambda row: row.event.ts))
    return truth


def measured(removals: list[Removal], alarms: list[Alarm] | None = None) -> Report:
    return measure(Report("x", "test", 0), truth_of(50, 200), removals, alarms or [])


def test_a_removal_is_right_as_far_as_there_were_artificial_events_in_its_window() -> None:
    report = measured([Removal(KEY, 100_000, 110_000, 8), Removal(KEY, 0, 10_000, 4)])
    assert report.precision == pytest.approx(8 / 12)
    assert report.recall == pytest.approx(8 / 50)
    assert report.removed_honest == 4


def test_an_artificial_event_is_claimed_once_and_by_the_shorter_window_first() -> None:
    report = measured([Removal(KEY, 0, 200_000, 50), Removal(KEY, 100_000, 110_000, 10)])
    assert report.recall == 1.0
    assert report.removed_honest == 10


def test_time_to_detect_runs_from_the_first_artificial_event() -> None:
    late = Alarm("f", KEY, 90_000, 150_000, raised_ms=130_500, score=0.9, estimate=60)
    report = measured([Removal(KEY, 100_000, 150_000, 50, "f")], [late])
    assert report.detect_seconds == 30.0
    assert report.before_detection == pytest.approx(30 / 50)
    assert report.estimate_error == pytest.approx(0.2)
    assert report.flag_precision == 1.0


def test_a_perfect_ranking_has_an_auc_of_one_and_none_of_a_half() -> None:
    exact = [Alarm(str(i), KEY, 100_500 + 1000 * i, 100_501 + 1000 * i, 0, 0.9, 1) for i in range(50)]
    assert measured([], exact).auc == 1.0
    assert measured([], exact).average_precision == 1.0
    assert measured([], []).auc == 0.5


def test_what_a_rule_has_removed_is_ranked_first_and_no_flag_ranks_it_again() -> None:
    by_rule = [Removal(KEY, 100_000, 110_000, 15, reason="rate")]  # ten were bought
    assert measured(by_rule).average_precision == pytest.approx(0.2 * 10 / 15 + 0.8 * 50 / 250)
    flag = Alarm("f", KEY, 100_000, 150_000, raised_ms=110_000, score=0.9, estimate=40)
    both = measured(by_rule, [flag])
    assert both.average_precision == pytest.approx(0.2 * 10 / 15 + 0.8 * 50 / (50 + 50))


def test_an_honest_double_click_is_not_ranked() -> None:
    report = measured([Removal(KEY, 0, 10_000, 10, reason="double_click")])
    assert report.auc == 0.5
    assert report.average_precision == pytest.approx(50 / 240)


@pytest.mark.slow
def test_an_undisturbed_platform_gives_no_flags() -> None:
    (report,) = run(QUIET.id, 11, views=60_000)
    assert report.flags == 0
    assert report.removed_honest == 0


@pytest.mark.slow
def test_listeners_of_a_list_are_no_ring_over_eight_partitions() -> None:
    (report,) = run("playlist_followers", 311, views=60_000, partitions=8)
    assert (report.flags, report.removed_honest) == (0, 0)


@pytest.mark.slow
def test_a_ring_is_found_before_its_work_ends() -> None:
    (report,) = run("lockstep", 9001, views=60_000)
    assert report.recall is not None
    assert report.recall > 0.1
    assert report.precision == 1.0


@pytest.mark.parametrize("views", [6_000, pytest.param(60_000, marks=pytest.mark.slow)])
def test_a_run_gives_a_report_for_every_method_that_any_program_can_read(views: int) -> None:
    reports = run("botnet_burst", 12, views=views, methods=("truecount", *BASELINES))
    assert [report.method for report in reports] == ["truecount", *BASELINES]
    assert msgspec.json.decode(msgspec.json.encode([asdict(r) for r in reports]))[0]["artificial"] > views / 200
    assert reports[0].recall is not None


def test_labels_of_any_stream_are_enough() -> None:
    rows = [Labelled(Event(ts=1000 * i, actor=f"a{i}", target="t", metric="view"), "", False) for i in range(500)]
    (report,) = judge_stream(iter([rows]), "mine", quiet_until_ms=0)
    assert (report.events, report.artificial, report.flags) == (500, 0, 0)


def test_audits_know_over_how_many_partitions_targets_are_spread() -> None:
    assert [audit.settings.partitions for audit in AuditRun(partitions=3).audits] == [3, 3, 3]


def test_a_detector_in_shadow_has_no_vote_and_an_unknown_one_is_refused() -> None:
    everybody = ("accounts", "origin", "repetition", "cadence", "watch", "engagement")
    (report,) = run("botnet_burst", 3, views=20_000, shadow=everybody)
    assert report.flags == 0
    with pytest.raises(NoSuchDetectorError, match="no such detector: nobody"):
        run("botnet_burst", 3, views=20_000, shadow=("nobody",))


@pytest.mark.parametrize("accounts", [None, AccountSettings()])
def test_what_is_contained_is_in_the_report(accounts: AccountSettings | None, monkeypatch: pytest.MonkeyPatch) -> None:
    (report,) = run("botnet_burst", 3, views=6_000, accounts=accounts)
    assert (report.failures, report.first_failure) == ({}, None)

    def fail(*_: object) -> None:
        raise ValueError("the levels are broken")

    monkeypatch.setattr(Level, "learn", fail)
    if accounts is not None:
        monkeypatch.setattr("detectors.accounts.accounts.update", fail)
    (report,) = run("botnet_burst", 3, views=6_000, accounts=accounts)
    assert report.failures["learning"] > 10
    assert ("acts" in report.failures) == (accounts is not None)
    assert report.first_failure is not None
    assert report.first_failure.endswith("ValueError: the levels are broken")
