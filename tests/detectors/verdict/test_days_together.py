"""How evidence that is weak on each day convicts over all of them, and for how long it is kept."""

from __future__ import annotations

import pytest

from detectors.catalog.drip import log_e_value
from detectors.features import names as f
from detectors.state.days import HABITUAL, WATCHED, Day, Slow
from detectors.thresholds import DEFAULTS
from detectors.verdict import days
from detectors.verdict.crowd import joined
from detectors.verdict.days import accumulate, opinion_of
from detectors.verdict.evidence import WindowEvidence
from detectors.windows.scales import DAY_MS

NOTHING: tuple[float, float] = (0.0, 0.0)
Found = dict[str, tuple[float, float]]


def day(number: int) -> Day:
    return Day(number * DAY_MS, 50, 9.0, True, 20.0, 15.0, 25.0, 0)


def joint(repetition: tuple[float, float], watch: tuple[float, float]) -> float:
    """The joint score after a day without news, of what repeats and watch times have summed up to by then."""
    loss = log_e_value(0.0)
    sums = {
        name: (total - loss, share, 3) for name, (total, share) in {"repetition": repetition, "watch": watch}.items()
    }
    slow = Slow(sums=sums, days=[day(0), day(1)], past=HABITUAL)
    after = accumulate(slow, day(2), WindowEvidence({}, NOTHING, [], {f.ONCE: 0.0}), past=HABITUAL)
    assert after is not None
    return after.joint


def test_repeats_and_odd_watch_times_of_a_part_of_the_views_convict_together() -> None:
    assert joint((3.0, 0.3), (4.0, 0.3)) == pytest.approx(joined(3.0, 4.0))
    assert joint((2.01, 0.3), (2.01, 0.3)) == pytest.approx(joined(2.01, 2.01))


@pytest.mark.parametrize(
    ("repetition", "watch"),
    [((6.0, 0.3), (1.99, 0.3)), ((1.99, 0.3), (6.0, 0.3)), ((6.0, 0.299), (6.0, 0.3)), ((6.0, 0.3), (6.0, 0.299))],
    ids=["watch times are weak", "repeats are weak", "few repeat", "few are odd"],
)
def test_where_one_of_the_two_is_weak_they_do_not(repetition: tuple[float, float], watch: tuple[float, float]) -> None:
    assert joint(repetition, watch) <= 2.5


def test_each_of_the_two_needs_one_day_in_a_hundred_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    both = (3.0 - log_e_value(0.0)) + log_e_value(0.0)
    monkeypatch.setattr(days, "WITNESS_SCORE", both)
    assert joint((3.0, 0.3), (3.0, 0.3)) == pytest.approx(joined(3.0, 3.0))


def test_days_that_convict_do_so_by_their_own_evidence() -> None:
    slow = Slow(days=[day(0), day(1)], past=HABITUAL, joint=9.0)
    said = opinion_of(slow, {f.COUNT: 50.0, f.EXPECTED: 40.0}, [], DEFAULTS)
    assert said is not None
    assert (said.own_evidence, said.surge, said.crowd) == (True, 0.0, 9.0)


STRONG: Found = {"accounts": (30.0, 0.9), "watch": (30.0, 0.9)}
WHO_ALONE: Found = {"accounts": (30.0, 0.9)}


@pytest.mark.parametrize(("quiet_days", "kept"), [(7, True), (8, False)])
def test_evidence_is_dropped_after_a_week_without_a_wrong_day(quiet_days: int, *, kept: bool) -> None:
    slow: Slow | None = None
    for number, found in enumerate([STRONG] * 2 + [WHO_ALONE] * quiet_days):
        slow = accumulate(slow, day(number), WindowEvidence(found, NOTHING, [], {f.ONCE: 0.0}), past=WATCHED)
    assert (slow is not None) == kept


def test_no_more_than_four_weeks_are_kept() -> None:
    slow: Slow | None = None
    for number in range(40):
        slow = accumulate(slow, day(number), WindowEvidence(STRONG, NOTHING, [], {f.ONCE: 0.0}), past=HABITUAL)
    assert slow is not None
    assert [each.start // DAY_MS for each in slow.days] == list(range(12, 40))
    assert all(total == 8.0 for total, _, _ in slow.sums.values())
