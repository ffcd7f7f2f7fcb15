"""Verdict on a closed hour or day from the accounts of sellers in it, by rulings that were made since.

A ruling is evidence of *who*, whenever it is made. So the views that such accounts made before are condemned when their
window closes, if

* far more of these accounts are there than chance brings: their number is compared with TASTE times the usual one by
  Chernoff's bound for a Poisson variable (Hoeffding 1963), and
* their views are odd by themselves: *how* they watched is judged as if they were the crowd.

Each must be as rare as a crowd that is suspect, and both together as rare as a surge and a crowd that convict. No surge
is needed, since the events are known one by one. *How* is needed because people may have been ruled wrongly together,
as fans of an attacked channel: they come together again, and watch as others do.
"""

from __future__ import annotations

from detectors.catalog.registry import RECORD, SELLERS_CODE, WATCH
from detectors.features import names as f
from detectors.measurement.measuring import HABIT_WINDOWS_MIN
from detectors.measurement.window_view import WindowView
from detectors.scoring.detector import Finding
from detectors.scoring.normal import TWO_SIDED_95
from detectors.scoring.sentences import habit
from detectors.scoring.tails import poisson_score
from detectors.state.case import ARTIFICIAL
from detectors.thresholds import Thresholds
from detectors.verdict.crowd import joined
from detectors.verdict.evidence import MOST
from detectors.verdict.marked_share import share_with_rulings
from detectors.verdict.opinion import Opinion
from detectors.windows.scales import HOUR

TASTE = 4.0
"""Factor by which people with a taste or a country in common meet more often than independent ones."""

EVENTS_MIN = 3
"""Least events to correct. It is small because the actors of these events are known."""


def with_sellers(window: WindowView, view: Opinion | None, limits: Thresholds) -> Opinion | None:
    """The opinion of a window, or that by the sellers' accounts in it if it takes out more events."""
    found = sellers_opinion(window, limits)
    if found is None or (view is not None and view.verdict is not None and _certain(view) >= _certain(found)):
        return view
    return found


def _certain(view: Opinion) -> float:
    return view.artificial if view.certain_artificial is None else view.certain_artificial


def sellers_opinion(window: WindowView, limits: Thresholds) -> Opinion | None:
    """The opinion on a window from the sellers' accounts among its people, None if they may be there by chance.

    The estimate is not limited to the events beyond expectation, because nobody else's events are in it.
    """
    x, crowd = window.x, window.crowd
    who = poisson_score(x[f.SELLERS], TASTE * x[f.SELLERS_EXPECTED])
    how = _conduct(window)
    if min(who, how) < limits.suspect_score or joined(who, how) < limits.joint_score:
        return None
    estimate = share_with_rulings(crowd, window.sellers)
    artificial = estimate.share * crowd.n
    certain = max(0.0, estimate.share - estimate.standard_error) * crowd.n
    if round(certain) - crowd.quarantined < EVENTS_MIN:
        return None
    noise = TWO_SIDED_95 * estimate.standard_error * crowd.n
    finding = Finding(
        *(SELLERS_CODE, RECORD, x[f.SELLERS], x[f.SELLERS_EXPECTED], 10.0**-who, estimate.share, _sentence(window))
    )
    return Opinion(
        _verdict(window, certain),
        window.surge,
        joined(who, how),
        [finding],
        artificial,
        max(0.0, artificial - noise),
        min(crowd.n, artificial + noise),
        own_evidence=True,
        certain_artificial=certain,
        sellers=sorted(window.sellers),
    )


def _verdict(window: WindowView, certain: float) -> str:
    """``artificial``; that of the open case, if these views are a small part of it: they say nothing of the others."""
    case = window.target_state.case
    if case is None or certain >= MOST * (case.artificial + certain - window.crowd.quarantined):
        return ARTIFICIAL
    return case.verdict


def _conduct(window: WindowView) -> float:
    """-log10 p of the watch times of the sellers' accounts, as if they were the crowd of an hour.

    Of a day too: they are as many as an hour has, and hours are known after the first one.
    """
    x = window.x
    if f.SELLERS_WATCH not in x:
        return 0.0
    own = {f.COUNT: x[f.SELLERS_VIEWS], f.WATCH: x[f.SELLERS_WATCH]}
    known = window.target_state.habits.get(HOUR, {}).get(f.WATCH)
    if known is not None and known[1] >= HABIT_WINDOWS_MIN:
        own[habit(f.WATCH)] = known[0]
    return window.platform.detectors[HOUR][WATCH].score_one(own)


def _sentence(window: WindowView) -> str:
    x = window.x
    return (
        f"{x[f.SELLERS]:,.0f} of the {x[f.SELLERS_AMONG]:,.0f} people are accounts that have been found to be a"
        f" seller's since; chance would bring {x[f.SELLERS_EXPECTED]:.2g}; {x[f.SELLERS_WATCH]:.0%} of them watched"
        " unlike the platform's viewers"
    )
