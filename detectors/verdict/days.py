"""What is wrong with a target's crowds from day to day: evidence too weak for one day, gathered over many.

Kept only of keys that have had a *wrong day*, one on which somebody wrong came and something was done wrong, each with
p ≤ 0.1; some hundred bytes, dropped when a week has brought no other. See ``detectors/catalog/drip.py`` for how days
add up.
"""

from __future__ import annotations

import math

from detectors.catalog.drip import Drip, log_e_value
from detectors.catalog.registry import ENGAGEMENT, ESTIMATING_CODES, HOW, REPETITION, WATCH, WHO
from detectors.features import names as f
from detectors.features.names import Features
from detectors.measurement.expectation import EXPECTED_MIN, spread
from detectors.scoring.detector import Finding
from detectors.scoring.normal import TWO_SIDED_95
from detectors.scoring.sentences import habit
from detectors.state.case import ARTIFICIAL, SUSPECT
from detectors.state.days import DAYS_MAX, HABITUAL, QUIET_DAYS, UNKNOWN, WATCHED, Day, Slow
from detectors.state.level import Level
from detectors.thresholds import SURGE_LEAST, Thresholds
from detectors.verdict.crowd import crowd_score, joined
from detectors.verdict.evidence import CREDIBLE_P, NO_MODELS, PART_MIN, RENTED, WITNESS_SCORE, Models, WindowEvidence
from detectors.verdict.opinion import Opinion
from detectors.windows.scales import DAY_MS

HINT_SCORE = 1.0
"""-log10 p from which a detector's word makes a day a wrong one, if a second one says so too."""

DAYS_MIN = 2
"""Days that must agree: persistence is what stands in for a surge."""

PAST_DAYS = 3
"""Days a target must have been watched for before the first wrong one, so that this one is a change."""

SUM_MAX = 8.0
"""log10 e at which a detector's sum stops: two of them must speak, and a drip that ends is over within days."""

ARTIFICIAL_MORE = 1.0
"""A drip is artificial from ten times rarer than a suspect one, as a surge's crowd is."""

MARKED_MIN = 0.4
"""Part of a day's excess that must be marked for all of it to be artificial: with two families of which either marks
half of what was bought, one alone sees half of it, less what honest people blur."""

REPEATED_MIN = 0.3
"""Part of the crowd that must repeat, and part that must not watch, for both to convict without a *who*."""


def is_wrong(evidence: dict[str, tuple[float, float]], rented: tuple[float, float], models: Models = NO_MODELS) -> bool:
    """Whether somebody wrong came and something was done wrong, or few came again and did not watch, however weakly."""

    def hints(names: tuple[str, ...]) -> bool:
        said = [evidence[name] for name in names if name in evidence]
        return any(score >= HINT_SCORE and share >= PART_MIN for score, share in said)

    several = rented[0] >= HINT_SCORE and rented[1] >= PART_MIN
    who = several or hints((*WHO, *models[0]))
    return (who and hints((*HOW, *models[1]))) or min(_repeated(evidence)) >= HINT_SCORE


def artificial_of(x: Features, findings: list[Finding], surge: float) -> tuple[float, float, float]:
    """Artificial events of a day, and the least and the most that there may be.

    Credible findings mark only some of what was bought: that is the least. The most is what exceeds the upper end of
    what the target's own level expects, if there is a surge at all and much of it is marked; an honest one may be among
    it, so half of what is not marked is taken.
    """
    count = x[f.COUNT]
    marked = max((g.share for g in findings if g.p <= CREDIBLE_P and g.code in ESTIMATING_CODES), default=0.0) * count
    excess = count - x[f.EXPECTED] - spread(x[f.EXPECTED], x[f.DISPERSION]) if surge >= SURGE_LEAST else marked
    most = excess if marked >= MARKED_MIN * excess else marked
    artificial = (marked + max(marked, most)) / 2.0
    noise = TWO_SIDED_95 * math.sqrt(max(1.0, artificial * (1.0 - artificial / count)))
    return artificial, max(0.0, marked - noise), min(count, max(marked, most) + noise)


def known_past(x: Features, level: Level | None, views_days: int) -> int:
    """What is known of a target's past whose day is judged by ``x``: UNKNOWN, WATCHED or HABITUAL."""
    if any(habit(name) in x for name in f.CROWD_FEATURES):
        return HABITUAL
    own = 0 if level is None else level.windows
    return WATCHED if own >= PAST_DAYS or views_days > PAST_DAYS else UNKNOWN


def gather(
    slow: Slow | None, day: Day, x: Features, said: WindowEvidence, *, past: int, models: Models = NO_MODELS
) -> Slow | None:
    """Add a closed day to what has been gathered; None if nothing is.

    ``past`` says what of the target's past this day can be compared with.
    """
    evidence, rented = said.evidence, said.rented
    day.wrong = is_wrong(evidence, rented, models)
    past = past if slow is None else slow.past
    if past == UNKNOWN:  # its silence is no conduct: new accounts are shown the same few targets, and do not like
        evidence = {name: said for name, said in evidence.items() if name != ENGAGEMENT}
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


def opinion_of(slow: Slow, x: Features, findings: list[Finding], limits: Thresholds) -> Opinion | None:
    """What the days so far say together of the one that has just been added, whose features ``x`` are told of it."""
    day = slow.days[-1]
    if slow.joint < limits.joint_score or not day.wrong or day.artificial < PART_MIN * day.count:
        return None
    if sum(d.artificial for d in slow.days if d.wrong) < limits.excess_events:
        return None
    x[f.DRIP], x[f.DAYS] = slow.joint, float(slow.wrong_days())
    x[f.EXPECTED] = min(x[f.EXPECTED], max(EXPECTED_MIN, day.count - day.artificial))
    verdict = ARTIFICIAL if slow.joint >= limits.joint_score + ARTIFICIAL_MORE else SUSPECT
    reasons = [*Drip().findings(x), *findings]
    return Opinion(verdict, 0.0, slow.joint, reasons, day.artificial, day.low, day.high, True)


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
    """Scores of few actors and of odd watch times, if both speak of enough of the crowd: half of it is asked in one
    window, but a drip stands among the target's own views."""
    few, watch = (evidence.get(name, (0.0, 0.0)) for name in (REPETITION, WATCH))
    return (few[0], watch[0]) if min(few[1], watch[1]) >= REPEATED_MIN else (0.0, 0.0)
