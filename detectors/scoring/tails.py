"""Tail probabilities of shares and counts."""

from __future__ import annotations

import math

ALIKE = 0.15
"""ρ: how alike the people of one honest crowd are assumed to be before windows were seen. 0.15 makes any crowd worth at
most 7 people; social clusters measure 0.01 … 0.1 (Kish 1965)."""

UNCOUNTED = 0.25
"""Part of a person up to which a share of few people is rounded up: a tenth of one expected is nobody."""


def missing(expected: float, came: int) -> float:
    """P(K ≤ ``came``) of a Poisson variable: likes and follows where so many are ``expected``.

    >>> round(missing(4.0, 0), 3), round(missing(4.0, 2), 3), missing(100.0, 20) < 1e-20, missing(1e4, 10_000) > 0.5
    (0.018, 0.238, True, True)
    """
    if came >= expected:
        return 1.0
    term = total = math.exp(-expected + came * math.log(expected) - math.lgamma(came + 1))
    for count in range(came, 0, -1):
        term *= count / expected
        total += term
    return total


def having(people: int, share: float, usual: float) -> float:
    """P(K ≥ ``share`` of ``people``) of a binomial variable, where the ``usual`` share has a mark.

    >>> round(having(8, 0.25, 0.03), 3), having(8, 1.0, 0.1) < 1e-7, having(8, 0.0, 0.1)
    (0.022, True, 1.0)
    """
    least = math.ceil(share * people - UNCOUNTED)
    if least <= usual * people:
        return 1.0
    usual = min(max(usual, 1e-3), 1.0 - 1e-3)
    log = math.lgamma(people + 1) - math.lgamma(least + 1) - math.lgamma(people - least + 1)
    term = total = math.exp(log + least * math.log(usual) + (people - least) * math.log(1.0 - usual))
    for count in range(least, people):
        term *= (people - count) / (count + 1) * usual / (1.0 - usual)
        total += term
    return min(1.0, total)


def chance_of(size: int, value: float, baseline: float) -> float:
    """Chernoff's bound on a share of ``value`` among ``size`` people who are ALIKE, where ``baseline`` is usual.

    >>> chance_of(100, 0.1, 0.1), chance_of(100, 0.9, 0.1) < 1e-4, chance_of(8, 0.3, 0.1) > 0.1
    (1.0, True, True)
    """
    if value <= baseline or size <= 0:
        return 1.0
    alone = size / (1.0 + (size - 1) * ALIKE)
    low, high = max(baseline, 1e-3), min(value, 1.0)
    divergence = high * math.log(high / low)
    if high < 1.0:
        divergence += (1.0 - high) * math.log((1.0 - high) / (1.0 - low))
    return math.exp(-alone * divergence)


def few(size: int, value: float, baseline: float) -> float:
    """P(K ≥ value · size) of a beta-binomial of mean ``baseline`` whose people are ALIKE: exact, for few people.

    Of five people with a mark that a tenth have, all five have it honestly once in six hundred times: more often than
    that independent people would, of whom that is one in a hundred thousand.

    >>> 1 / few(5, 1.0, 0.1) > 600, few(5, 0.0, 0.1), few(7, 1.0, 0.1) < few(6, 1.0, 0.1) < few(6, 0.9, 0.1)
    (True, 1.0, True)
    """
    least = math.floor(value * size + UNCOUNTED)
    mean = min(max(baseline, 1e-3), 1.0 - 1e-3)
    a, b = (share * (1.0 - ALIKE) / ALIKE for share in (mean, 1.0 - mean))
    tail = 0.0
    for having in range(max(0, least), size + 1):
        ways = float(math.comb(size, having))
        for index in range(size):
            ways *= (a + index if index < having else b + index - having) / (a + b + index)
        tail += ways
    return min(1.0, tail)
