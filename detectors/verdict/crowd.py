"""Score of a crowd: the highest score among the rules that convict it. A verdict also needs a surge."""

from __future__ import annotations

import math

from detectors.features.names import Features
from detectors.verdict.crowd_rules import RULES, Rule
from detectors.verdict.evidence import NO_MODELS, CrowdEvidence, Models


def crowd_score(
    x: Features,
    evidence: dict[str, tuple[float, float]],
    rented: tuple[float, float],
    models: Models = NO_MODELS,
) -> float:
    """-log10 p of a crowd, from the (score, share of the crowd) of each detector of *who* and *how*.

    ``rented`` is the pair for the evidence kind RENTED. ``models`` are the names of the operator's own models.
    """
    crowd = CrowdEvidence(x, evidence, rented, models)
    return max(_score(rule, crowd) for rule in RULES)


def _score(rule: Rule, crowd: CrowdEvidence) -> float:
    """-log10 p by one rule, 0 if the rule does not convict."""
    first = crowd.score(*rule.first.kinds, least_share=rule.first.least_share)
    if rule.second is None:
        score = min(rule.score_max, first)
    elif first < crowd.least_score:
        return 0.0
    else:
        second = crowd.score(*rule.second.kinds, least_share=rule.second.least_share)
        if second < crowd.least_score:
            return 0.0
        score = joined(first, second)
    return 0.0 if rule.unless is not None and rule.unless.applies(crowd) else score


def joined(first: float, second: float) -> float:
    """Score of two independent p-values p and q combined (Fisher 1932): -log10 of pq·(1 - ln pq).

    >>> round(joined(2.0, 2.0), 1), round(joined(4.0, 2.0), 1)
    (3.0, 4.8)
    """
    both = first + second
    return both - math.log10(1.0 + both * math.log(10.0))
