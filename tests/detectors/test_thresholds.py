"""Thresholds by metric and class: who is judged by which, and that stricter ones only take verdicts away."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from detectors.events.key import VIEW, key_of
from detectors.features import names as f
from detectors.scoring.detector import Finding
from detectors.thresholds import Rulebook, TargetClass, Thresholds
from detectors.verdict.opinion import opinion

PLAIN, LIKES, NEWS = Thresholds(), Thresholds(suspect_score=5.0), Thresholds(surge_score=6.0)
BOOK = Rulebook(
    (PLAIN, LIKES, PLAIN),
    (
        TargetClass(targets=frozenset({"v42"}), by_metric=(NEWS, NEWS, NEWS)),
        TargetClass(prefixes=("live-", "v4"), by_metric=(LIKES, LIKES, LIKES)),
        TargetClass(pattern=re.compile("[0-9]{4}$"), by_metric=(NEWS, PLAIN, PLAIN)),
    ),
)


def test_a_target_of_no_class_is_judged_by_its_metrics() -> None:
    assert (BOOK.of(key_of(VIEW, "page")), BOOK.of(key_of(1, "page")), BOOK.of(key_of(2, "page"))) == (
        PLAIN,
        LIKES,
        PLAIN,
    )


def test_the_first_class_that_has_it_decides_for_any_metric() -> None:
    assert BOOK.of(key_of(VIEW, "v42")) == BOOK.of(key_of(2, "v42")) == NEWS
    assert BOOK.of(key_of(VIEW, "v43")) == BOOK.of(key_of(VIEW, "live-1234")) == LIKES
    assert (BOOK.of(key_of(VIEW, "song1234")), BOOK.of(key_of(1, "song1234"))) == (NEWS, PLAIN)


scores = st.floats(0, 12)


@given(surge=scores, crowd=scores, share=st.floats(0, 1), count=st.integers(10, 500), limits=st.tuples(*[scores] * 4))
def test_stricter_thresholds_give_no_verdict_that_milder_ones_do_not(
    surge: float, crowd: float, share: float, count: int, limits: tuple[float, float, float, float]
) -> None:
    up = Thresholds(
        3.0 + limits[0], 1.0 + limits[1] / 6, 3.0 + limits[2], 4.0 + limits[2] + limits[3], 10 + int(limits[3]), 0.4
    )
    x = {f.COUNT: float(count), f.EXPECTED: 5.0, f.DISPERSION: 5.0}
    found = [Finding("fresh_accounts", "accounts", share, 0.05, 1e-6, share, "new accounts")]
    order = {None: 0, "suspect": 1, "artificial": 2}
    mild = opinion(x, (surge, crowd), ([], found), case=None)
    strict = opinion(x, (surge, crowd), ([], found), case=None, limits=up)
    assert order[strict.verdict] <= order[mild.verdict]
