"""Opinion on a window by evidence of one kind, where the other kind cannot be seen.

A verdict needs *who* came and *how* they behaved. A platform that has only likes, or follows of channels and views of
videos, shows nothing of *how*, so 87 accounts of one day out of 90 would mean nothing. Such evidence counts alone if
it is beyond anything that the platform's own windows of a similar size have shown, and accounts for nearly all of the
surge. At the end of a day no surge is needed. Surge and evidence together must be as rare as ``joint_score`` asks, less
what the settlement adds: with the default thresholds such evidence always is, and higher ones make it stricter.

An honest wave of sign-ups may look the same. So the verdict is ``suspect``, and what the accounts do besides settles it
(``cases.settlements``). The bound of false discoveries limits the number of such cases. Where conduct is seen and is
not odd, it is evidence that the crowd is honest, and evidence of one kind opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from detectors.catalog.registry import ACCOUNTS
from detectors.features import names as f
from detectors.features.names import Features
from detectors.scoring.detector import Finding, score_of
from detectors.scoring.empty_accounts import SETTLED_P
from detectors.scoring.sentences import TEXTS, usual
from detectors.state.case import SUSPECT, Case
from detectors.thresholds import Thresholds
from detectors.verdict.crowd_rules import NEARLY_ALL
from detectors.verdict.evidence import MOST
from detectors.verdict.marked_share import EstimatedShare, share_beyond
from detectors.verdict.opinion import LEFT_SHARE, Opinion, artificial_events, required_excess_events

ALONE = frozenset(TEXTS[name][0] for name in (f.FRESH, f.COHORT))
"""Reason codes that count alone: accounts that are new, or of one age. The others were measured and do not
(docs/detection.md)."""

SETTLED_SCORE = score_of(SETTLED_P)
"""-log10 p that the conduct of the accounts must reach when it settles the case. So evidence that is 10⁻⁴ or rarer
opens a case, and both together are as rare as two kinds of evidence."""

SEEN_CONDUCT = (f.WATCH, f.SILENT, f.LONELY)
"""Features of conduct that nearly every crowd has, as far as the platform sends what they need. Followers who mostly
had viewed (``UNVIEWED``) are seen conduct too."""


def overwhelming(findings: Iterable[Finding], limits: Thresholds) -> Finding | None:
    """The strongest finding that counts alone, if any: rare enough for ``artificial``, of a large enough share.

    >>> new = Finding("fresh_accounts", "accounts", 0.97, 0.02, 1e-6, 0.97, "97 % …", beyond_all=True)
    >>> overwhelming([new], Thresholds()) is new
    True
    >>> new.beyond_all = False
    >>> overwhelming([new], Thresholds()) is None
    True
    """
    for finding in findings:
        if (
            finding.code in ALONE
            and finding.detector == ACCOUNTS
            and finding.beyond_all
            and finding.share >= limits.artificial_share
            and score_of(finding.p) >= limits.artificial_score
        ):
            return finding
    return None


def conduct_is_seen(x: Features) -> bool:
    """Whether a window shows how its people behaved. Likes (follows) without views do not, if most come without.

    >>> conduct_is_seen({f.FRESH: 1.0}), conduct_is_seen({f.WATCH: 0.0})
    (False, True)
    >>> conduct_is_seen({f.LONELY: 1.0, usual(f.LONELY): 1.0}), conduct_is_seen({f.LONELY: 0.0, usual(f.LONELY): 0.1})
    (False, True)
    """
    viewed = f.UNVIEWED in x and x[f.UNVIEWED] < MOST
    return viewed or any(name in x and x.get(usual(name), 0.0) < MOST for name in SEEN_CONDUCT)


def alone_opinion(
    x: Features,
    surge: tuple[float, list[Finding]],
    finding: Finding,
    *,
    case: Case | None,
    already: int,
    limits: Thresholds,
    marked: EstimatedShare,
) -> Opinion | None:
    """The opinion on a window by one overwhelming finding, None if the surge is too weak or something else explains it.

    The estimate is not limited to the events beyond expectation: hardly any of the marked people are usual, however
    many others come. All of them are quarantined, without a margin: what is honest among them is given back when the
    case is settled. ``surge`` is the score of the surge and its findings; for the other parameters see ``opinion``.
    """
    score, surge_findings = surge
    count, rarity = x[f.COUNT], score_of(finding.p)
    if score + rarity < limits.joint_score - SETTLED_SCORE:
        return None
    left = finding.share * count - (already if case is None else 0)
    least = max(float(f.PEOPLE_MIN), required_excess_events(limits, crowd=rarity, share=finding.share))
    if case is None:
        least = max(least, LEFT_SHARE * already)
    if round(left) < least or finding.share * count < NEARLY_ALL * (count - x[f.EXPECTED]):
        return None
    estimate = max(marked, share_beyond(finding.share, 0.0, round(count)))
    artificial, low, high, _ = artificial_events({**x, f.EXPECTED: 0.0}, estimate, [finding.share])
    return Opinion(
        *(SUSPECT, score, rarity, [*surge_findings, finding], artificial, low, min(count, high), True),
        settles=True,
    )
