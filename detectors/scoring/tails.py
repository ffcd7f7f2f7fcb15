"""Tail probabilities of shares and counts."""

from __future__ import annotations

import math

CORRELATION = 0.15
"""ρ: assumed correlation of the people of one honest crowd before windows were learned. At 0.15 any crowd counts as at
most 7 independent people; social clusters have 0.01 … 0.1 (Kish 1965)."""

ROUNDING_PART = 0.25
"""Part of a person by which a share of few people may miss the next whole number: usual parts are subtracted from
shares."""


def poisson_lower_tail(expected: float, seen: int) -> float:
    """P(K ≤ ``seen``) of a Poisson variable: chance of so few likes and follows if ``expected`` are expected.

    >>> [round(poisson_lower_tail(4.0, seen), 3) for seen in (0, 2)]
    [0.018, 0.238]
    >>> poisson_lower_tail(100.0, 20) < 1e-20, poisson_lower_tail(1e4, 10_000) > 0.5
    (True, True)
    """
    if seen >= expected:
        return 1.0
    term = total = math.exp(-expected + seen * math.log(expected) - math.lgamma(seen + 1))
    for count in range(seen, 0, -1):
        term *= count / expected
        total += term
    return total


def gamma_poisson_lower_tail(expected: float, seen: int, shape: float) -> float:
    """P(K ≤ ``seen``) of a Poisson variable whose mean differs between targets by a gamma law around ``expected``.

    It is a negative binomial variable of size ``shape`` (Greenwood and Yule 1920).

    >>> [round(gamma_poisson_lower_tail(expected, 0, 3.0), 3) for expected in (4.0, 11.0)]
    [0.079, 0.01]
    >>> round(gamma_poisson_lower_tail(4.0, 0, 1e6), 3) == round(poisson_lower_tail(4.0, 0), 3)
    True
    """
    if seen >= expected:
        return 1.0
    repeated = expected / (expected + shape)
    log = term = -shape * math.log1p(expected / shape)
    total = math.exp(term)
    for count in range(1, seen + 1):
        log += math.log((shape + count - 1.0) / count * repeated)
        total += math.exp(log)
    return min(1.0, total)


def poisson_score(found: float, expected: float) -> float:
    """-log10 of Chernoff's bound on P(K ≥ ``found``) of a Poisson variable (Hoeffding 1963).

    0.0 if no more than expected were found.

    >>> round(poisson_score(8, 0.5), 1), poisson_score(2, 4.0)
    (6.4, 0.0)
    """
    if found <= expected:
        return 0.0
    return (found * math.log(found / expected) - found + expected) / math.log(10.0)


def geometric_tail(expected: float, seen: int) -> float:
    """P(K ≥ ``seen``) of a Poisson variable whose mean differs between targets, exponentially around ``expected``.

    >>> [round(geometric_tail(50.0, seen), 4) for seen in (0, 50, 150, 500)]
    [1.0, 0.3715, 0.0513, 0.0001]
    >>> geometric_tail(4.0, 1200) < 1e-100, geometric_tail(0.0, 5)
    (True, 0.0)
    """
    return float((expected / (1.0 + expected)) ** seen)


def binomial_tail(people: int, share: float, usual: float) -> float:
    """P(K ≥ ``share`` of ``people``) of a binomial variable with probability ``usual``.

    >>> round(binomial_tail(8, 0.25, 0.03), 3), binomial_tail(8, 1.0, 0.1) < 1e-7, binomial_tail(8, 0.0, 0.1)
    (0.022, True, 1.0)
    """
    least = math.ceil(share * people - ROUNDING_PART)
    if least <= usual * people:
        return 1.0
    usual = min(max(usual, 1e-3), 1.0 - 1e-3)
    log = math.lgamma(people + 1) - math.lgamma(least + 1) - math.lgamma(people - least + 1)
    term = total = math.exp(log + least * math.log(usual) + (people - least) * math.log(1.0 - usual))
    for count in range(least, people):
        term *= (people - count) / (count + 1) * usual / (1.0 - usual)
        total += term
    return min(1.0, total)


def chernoff_bound(size: int, value: float, baseline: float, *, correlation: float = CORRELATION) -> float:
    """Chernoff's bound on P(share ≥ ``value``) among ``size`` correlated people with the usual share ``baseline``.

    >>> chernoff_bound(100, 0.1, 0.1), chernoff_bound(100, 0.9, 0.1) < 1e-4, chernoff_bound(8, 0.3, 0.1) > 0.1
    (1.0, True, True)
    """
    if value <= baseline or size <= 0:
        return 1.0
    independent = size / (1.0 + (size - 1) * correlation)
    low, high = max(baseline, 1e-3), min(value, 1.0)
    divergence = high * math.log(high / low)
    if high < 1.0:
        divergence += (1.0 - high) * math.log((1.0 - high) / (1.0 - low))
    return math.exp(-independent * divergence)


def beta_binomial_tail(size: int, value: float, baseline: float, *, correlation: float = CORRELATION) -> float:
    """P(K ≥ value · size) of a beta-binomial variable with mean ``baseline``: exact, for some hundred people.

    If a tenth of the people have a mark, five of five have it once in 600 crowds. Five independent people would have it
    once in 100,000 crowds.

    >>> 1 / beta_binomial_tail(5, 1.0, 0.1) > 600, beta_binomial_tail(5, 0.0, 0.1)
    (True, 1.0)
    >>> beta_binomial_tail(7, 1.0, 0.1) < beta_binomial_tail(6, 1.0, 0.1) < beta_binomial_tail(6, 0.9, 0.1)
    True
    """
    least = math.floor(value * size + ROUNDING_PART)
    mean = min(max(baseline, 1e-3), 1.0 - 1e-3)
    a, b = (share * (1.0 - correlation) / correlation for share in (mean, 1.0 - mean))
    tail = 0.0
    for marked in range(max(0, least), size + 1):
        ways = float(math.comb(size, marked))
        for index in range(size):
            ways *= (a + index if index < marked else b + index - marked) / (a + b + index)
        tail += ways
    return min(1.0, tail)
