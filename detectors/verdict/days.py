"""Accumulates evidence over days, for crowds whose evidence is too weak on a single day.

A *wrong day* has evidence of *who* came and of *how* they behaved, each with p ≤ 0.1. Only keys with a wrong day have
this state: some hundred bytes, dropped after QUIET_DAYS without another one. ``detectors/catalog/drip.py`` describes
how days are combined.
"""

from __future__ import annotations

import math

from detectors.catalog.drip import Drip, log_e_value
from detectors.catalog.registry import ENGAGEMENT, ESTIMATING_CODES, HOW, REPETITION, WATCH, WHO
from detectors.features import names as f
from detectors.features.names import Features
from detectors.measurement.expectation import EXPECTED_MIN, spread
from detectors.measurement.window_view import WindowView
from detectors.scoring.detector import Finding
from detectors.scoring.normal import TWO_SIDED_95
from detectors.scoring.sentences import habit
from detectors.state.case import ARTIFICIAL, SUSPECT
from detectors.state.days import DAYS_MAX, HABITUAL, QUIET_DAYS, UNKNOWN, WATCHED, Day, Slow
from detectors.state.level import Level
from detectors.thresholds import SURGE_LEAST, Thresholds
from detectors.verdict.crowd import crowd_score, joined
from detectors.verdict.evidence import CREDIBLE_P, NO_MODELS, PART_MIN, RENTED, WITNESS_SCORE, Models, WindowEvidence
from detectors.verdict.marked_share import estimate
from detectors.verdict.opinion import Opinion
from detectors.windows.scales import DAY_MS

HINT_SCORE = 1.0
"""Least -log10 p of a detector for a wrong day."""

DAYS_MIN = 2
"""Least number of wrong days for a verdict: persistence replaces the surge."""

PAST_DAYS = 3
"""Days of history before the first wrong day that make this day a change."""

SUM_MAX = 8.0
"""Highest log10 e of one detector. So no detector can replace the second one, and the sum falls within days after a
drip ends."""

ARTIFICIAL_MORE = 1.0
"""Extra score for ``artificial`` compared with ``suspect``: ten times rarer, as for a surge's crowd."""

MARKED_MIN = 0.4
"""Least marked part of a day's excess for the whole excess to count as artificial. If each of two families marks half
of the bought events, one family alone marks half of the excess, less the noise of honest people."""

REPEATED_MIN = 0.3
"""Least share of repeats, and of odd watch times, that convict together without evidence of *who*."""


def is_wrong(evidence: dict[str, tuple[float, float]], rented: tuple[float, float], models: Models = NO_MODELS) -> bool:
    """Whether a day has weak evidence of both *who* and *how*, or of repeats together with odd watch times."""

    def hints(names: tuple[str, ...]) -> bool:
        found = [evidence[name] for name in names if name in evidence]
        return any(score >= HINT_SCORE and share >= PART_MIN for score, share in found)

    several = rented[0] >= HINT_SCORE and rented[1] >= PART_MIN
    who = several or hints((*WHO, *models[0]))
    return (who and hints((*HOW, *models[1]))) or min(_repeated(evidence)) >= HINT_SCORE


def artificial_of(x: Features, findings: list[Finding], surge: float) -> tuple[float, float, float]:
    """Estimated artificial events of a day, with lower and upper limit.

    Lower limit: the events marked by credible findings, which find only part of the bought events. Upper limit: the
    excess over the interval of the expected count, if there is a surge and MARKED_MIN of the excess is marked. An
    honest surge may be part of that excess, so the estimate is the mean of both.
    """
    count = x[f.COUNT]
    marked = max((g.share for g in findings if g.p <= CREDIBLE_P and g.code in ESTIMATING_CODES), default=0.0) * count
    excess = count - x[f.EXPECTED] - spread(x[f.EXPECTED], x[f.DISPERSION]) if surge >= SURGE_LEAST else marked
    most = excess if marked >= MARKED_MIN * excess else marked
    artificial = (marked + max(marked, most)) / 2.0
    noise = TWO_SIDED_95 * math.sqrt(max(1.0, artificial * (1.0 - artificial / count)))
    return artificial, max(0.0, marked - noise), min(count, max(marked, most) + noise)


def known_past(x: Features, level: Level | None, views_days: int) -> int:
    """Knowledge of a target's past, for the judging of one day: UNKNOWN, WATCHED or HABITUAL."""
    if any(habit(name) in x for name in f.CROWD_FEATURES):
        return HABITUAL
    own = 0 if level is None else level.windows
    return WATCHED if own >= PAST_DAYS or views_days > PAST_DAYS else UNKNOWN


def accumulate(
    slow: Slow | None, day: Day, found: WindowEvidence, *, past: int, models: Models = NO_MODELS
) -> Slow | None:
    """Add a closed day to the evidence of earlier days. None if no evidence is left.

    ``past`` is the knowledge of the target's past with which the first wrong day can be compared.
    """
    evidence, rented, x = found.evidence, found.rented, found.x
    day.wrong = is_wrong(evidence, rented, models)
    past = past if slow is None else slow.past
    if past == UNKNOWN:  # missing likes are no evidence: new accounts are shown the same few targets, and do not like
        evidence = {name: pair for name, pair in evidence.items() if name != ENGAGEMENT}
    day.score = crowd_score(x, evidence, rented, models)
    if slow is None:
        if not day.wrong:
            return None
        slow = Slow(past=past)
    _add(slow.sums, {**evidence, RENTED: rented})
    slow.days = [*slow.days, day][-DAYS_MAX:]
    last_wrong = max((d.start for d in slow.days if d.wrong), default=-1)
    if not slow.sums or last_wrong < day.start - QUIET_DAYS * DAY_MS:
        return None
    slow.joint = _joint(slow, x, models)
    return slow


def with_past_days(
    window: WindowView, found: WindowEvidence, view: Opinion | None, limits: Thresholds, models: Models
) -> Opinion | None:
    """Add a closed day to the past days. Returns their joint opinion if it finds more than the day's own ``view``."""
    crowd, state = window.crowd, window.target_state
    artificial = artificial_of(found.x, found.findings, window.surge)
    day = Day(window.start, crowd.n, 0.0, False, *artificial, crowd.log_from)
    past = known_past(found.x, state.levels.get(window.scale.name), window.views_days)
    state.slow = slow = accumulate(state.slow, day, found, past=past, models=models)
    over_days = None if slow is None else opinion_of(slow, found.x, found.findings, limits)
    if over_days is None:
        return view
    if view is not None and view.artificial > over_days.artificial:
        if view.verdict == ARTIFICIAL or over_days.verdict != ARTIFICIAL:
            view.beside_drip = over_days.beside_drip
            return view
        over_days.artificial, over_days.low, over_days.high = view.artificial, view.low, view.high
    over_days.marks, _ = estimate(window, found.findings, convicted=True)
    return over_days


def opinion_of(slow: Slow, x: Features, findings: list[Finding], limits: Thresholds) -> Opinion | None:
    """The opinion on the day added last, by the evidence of all days."""
    day = slow.days[-1]
    if slow.joint < limits.joint_score or not day.wrong or day.artificial < PART_MIN * day.count:
        return None
    if sum(d.artificial for d in slow.days if d.wrong) < limits.excess_events:
        return None
    verdict = ARTIFICIAL if slow.joint >= limits.joint_score + ARTIFICIAL_MORE else SUSPECT
    reasons = [*Drip().findings({f.DRIP: slow.joint, f.DAYS: float(slow.wrong_days())}), *findings]
    return Opinion(
        *(verdict, 0.0, slow.joint, reasons, day.artificial, day.low, day.high, True),
        beside_drip=min(x[f.EXPECTED], max(EXPECTED_MIN, day.count - day.artificial)),
    )


def _add(sums: dict[str, tuple[float, float, int]], evidence: dict[str, tuple[float, float]]) -> None:
    for name in sorted({*sums, *evidence}):
        score, share = evidence.get(name, (0.0, 0.0))
        before, mean, days = sums.get(name, (0.0, 0.0, 0))
        total = min(SUM_MAX, before + log_e_value(score))
        if total <= 0.0:
            sums.pop(name, None)
            continue
        if share > 0.0:
            days += 1
            mean += (share - mean) / days
        sums[name] = total, mean, days


def _joint(slow: Slow, x: Features, models: Models) -> float:
    wrong = [day.score for day in slow.days if day.wrong]
    if len(wrong) < DAYS_MIN:
        return 0.0
    if slow.past != HABITUAL:
        return sorted(wrong)[-DAYS_MIN]
    evidence = {name: (total, share) for name, (total, share, _) in slow.sums.items()}
    several = evidence.pop(RENTED, (0.0, 0.0))
    repeated = _repeated(evidence)
    score = crowd_score(x, evidence, several, models)
    return max(score, joined(*repeated)) if min(repeated) >= WITNESS_SCORE else score


def _repeated(evidence: dict[str, tuple[float, float]]) -> tuple[float, float]:
    """Scores of repeats and of odd watch times if both shares reach REPEATED_MIN, else zeros.

    A rule of one window requires MOST; a drip is only part of the target's views.
    """
    few, watch = (evidence.get(name, (0.0, 0.0)) for name in (REPETITION, WATCH))
    return (few[0], watch[0]) if min(few[1], watch[1]) >= REPEATED_MIN else (0.0, 0.0)
