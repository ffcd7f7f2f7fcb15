"""From evidence to verdicts: a surge whose crowd is wrong. Neither half is enough alone."""

from __future__ import annotations

import hashlib
import math

import msgspec

from detectors import features as f
from detectors.detector import Features, Finding
from detectors.evidence import JUDGING_CODES
from detectors.windows import MINUTE_MS

SUSPECT = "suspect"
ARTIFICIAL = "artificial"

SURGE_SCORE = 3.0
CROWD_SCORE_SUSPECT = 3.0
CROWD_SCORE_ARTIFICIAL = 4.0
"""-log10 p. One in a thousand on *both* counts, by evidence that does not share its data, opens a case;
the crowd must be a one-in-ten-thousand one to be called artificial."""

EXCESS_MIN = 20
"""Events beyond expectation under which there is nothing to correct."""

SHARE_MIN = 0.3
"""Part of the crowd that must be unaccounted for: a difference can be significant and still be small."""

LEFT_SHARE = 0.25
"""A longer window that holds events of a closed case opens another only if this much more is left unexplained."""

CREDIBLE_P = 0.01
"""A finding helps to estimate the artificial part only below this."""

REVISE_GROWTH = 1.25
"""A flag is revised when its artificial part has grown by a quarter, when its verdict changes, and at its end."""

QUIET_MS = 5 * MINUTE_MS
QUIET_WINDOWS = 2
"""A case closes after five minutes, or two windows of the scale that last saw it, without evidence."""


class Evidence(msgspec.Struct, array_like=True):
    """A reason as the case keeps it."""

    code: str
    detector: str
    value: float
    baseline: float
    p: float
    text: str


class Step(msgspec.Struct, array_like=True):
    """A tick since the onset of a surge that is not (yet) a case."""

    start: int
    count: int
    expected: float
    quarantined: int
    log_from: int


class Case(msgspec.Struct):
    """One incident on one target and metric while it is open."""

    flag_id: str
    onset: int
    until: int
    close_at: int
    verdict: str
    reason: str
    purity: float
    """artificial events per event in excess, when last estimated"""
    surge: float = 0.0
    crowd: float = 0.0
    observed: int = 0
    expected: float = 0.0
    low: float = 0.0
    high: float = 0.0
    artificial: int = 0
    artificial_low: float = 0.0
    artificial_high: float = 0.0
    revision: int = 0
    said: int = 0
    """artificial events when the flag was last revised"""
    corrections: int = 0
    log_from: int = -1
    log_to: int = -1
    reasons: list[Evidence] = []

    def score(self) -> int:
        """0 … 100, from the joined strength of surge and crowd."""
        return round(100.0 * (1.0 - math.exp(-(min(self.surge, 30.0) + self.crowd) / 4.0)))


class Opinion(msgspec.Struct):
    """What the judge holds of one window."""

    verdict: str | None
    surge: float
    crowd: float
    findings: list[Finding]
    artificial: float
    low: float
    high: float


def opinion(
    x: Features,
    scores: tuple[float, float],
    findings: tuple[list[Finding], list[Finding]],
    *,
    case: Case | None,
    already: int = 0,
) -> Opinion:
    """Judge a window by its features, the scores (-log10 p) of surge and crowd, and the findings behind each.

    ``already`` of its events are in quarantine or invalid by a shorter window: what they explain opens nothing.
    """
    surge, crowd = scores
    surge_findings, crowd_findings = findings
    count, expected = x[f.COUNT], x[f.EXPECTED]
    excess = count - expected
    credible = [c.share for c in crowd_findings if c.p <= CREDIBLE_P and c.code in JUDGING_CODES]
    share = max(credible, default=0.0)
    verdict = None
    left = min(excess, share * count) - already
    enough = left >= max(EXCESS_MIN, LEFT_SHARE * already) if case is None else excess >= EXCESS_MIN
    if surge >= SURGE_SCORE and enough and share >= SHARE_MIN and crowd >= CROWD_SCORE_SUSPECT:
        verdict = ARTIFICIAL if crowd >= CROWD_SCORE_ARTIFICIAL else SUSPECT
    elif case is not None and surge >= 1.0 and excess > 0 and crowd >= 1.0:
        verdict = case.verdict
        share = max(share, case.purity * excess / count)
    if verdict is None:
        return Opinion(None, surge, crowd, [], 0.0, 0.0, 0.0)
    artificial = min(excess, share * count)
    noise = 1.96 * math.sqrt(max(1.0, artificial * (1.0 - artificial / count) + expected))
    low = max(0.0, min([artificial, *(s * count for s in credible if s >= SHARE_MIN)]) - noise)
    high = min(count, artificial + noise)
    return Opinion(verdict, surge, crowd, surge_findings + crowd_findings, artificial, low, high)


def spread(expected: float, dispersion: float) -> float:
    """Half width of the 95 % interval of a count."""
    return 1.96 * math.sqrt(expected + expected * expected / dispersion)


def flag_id(target: str, metric: str, detectors: str, onset_ms: int) -> str:
    """Deterministic id of an incident: never clock, worker or score."""
    return _digest("flag", target, metric, detectors, str(onset_ms))


def correction_id(flag: str, number: int) -> str:
    """Deterministic id of a case's n-th correction."""
    return _digest("correction", flag, str(number))


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()


def close_time(until_ms: int, span_ms: int) -> int:
    """When a case last seen in a window of ``span_ms`` that ended at ``until_ms`` may be closed."""
    return until_ms + max(QUIET_MS, QUIET_WINDOWS * span_ms)
