"""Conduct that programs show and people seldom do, compared with the platform's own accounts.

Each kind of conduct is a share in 0 … 1. Its p-value says how often the platform's other accounts go as far. Accounts
that are suspected do not teach what is usual.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.storage.columns import Rows
from detectors.scoring.calibration import BINS, HISTORY_MIN, Tail

Floats = NDArray[np.float64]

COMPARED_MIN = 20
"""Fewest comparisons for a share: with fewer, chance alone reaches any of the limits below."""
WATCHED_MIN_MS = 3_600_000
RUN_FULL_HOURS, RATE_HALF = 120.0, 2_000.0
"""A run of five days scores 1, and 2,000 acts a day score a half."""
P_MAX = 1e-2
"""A kind is evidence if at most one in a hundred of the platform's accounts goes as far."""
KINDS_MIN, JOINT_MIN, JOINT_KEEP = 2, 5.0, 2.5
"""Two kinds of evidence, jointly 10⁻⁵ or rarer: a partition judges 10⁵ accounts, and people have habits. A ruling is
kept down to half of that: harder to get than to keep."""
SCORE_MAX = 4.0
"""Most that one kind adds to the joint score (-log10 p): no kind may convince alone."""


class Kind(NamedTuple):
    """A kind of conduct."""

    code: str
    floor: float
    """least value that is evidence anywhere, even on a platform where everybody is alike"""
    text: str
    """sentence with the value and what is usual"""


KINDS = (
    Kind(
        "even_gaps",
        0.4,
        "{value:.0%} of the pauses between its acts were as long as the one before; {usual:.0%} is usual",
    ),
    Kind(
        "same_watch",
        0.6,
        "{value:.0%} of its views that were left early were left at the same point; {usual:.0%} is usual",
    ),
    Kind(
        "no_pause", 0.25, "it was active for {run:.0f} hours without a pause of three hours; {usual_run:.0f} is usual"
    ),
    Kind(
        "overlap", 0.5, "during {value:.0%} of its watch time another of its videos was playing; {usual:.0%} is usual"
    ),
    Kind("rate", 0.2, "it acted {rate:.0f} times a day; {usual_rate:.0f} is usual"),
)
"""Floors: 30 hours without a pause (more than people are awake), 500 acts a day (one a minute for eight hours)."""
REGULAR = frozenset(number for number, kind in enumerate(KINDS) if kind.code in ("even_gaps", "same_watch"))
"""Kinds that only a program shows. A household that shares an account is awake all night, plays two videos at once and
acts often."""


class Conduct(NamedTuple):
    """The conduct of accounts: for each kind a value and whether there is enough to say it."""

    values: tuple[Floats, ...]
    known: tuple[NDArray[np.bool_], ...]


def conduct_of(rows: Rows) -> Conduct:
    """Conduct of accounts whose rates are up to date."""
    compared, shares = rows["compared"].astype(np.float64), rows["shares"].astype(np.float64)
    watched = np.maximum(rows["watched_ms"], 1).astype(np.float64)
    run = np.maximum(rows["last_ms"] // 1000 - rows["run_s"], 0) / 3600.0
    rate = daily(rows["day_rate"].astype(np.float64))
    values = (
        rows["even"] / (compared + 1.0),
        rows["same_shares"] / (shares + 1.0),
        np.minimum(run / RUN_FULL_HOURS, 1.0),
        rows["overlap_ms"] / watched,
        rate / (rate + RATE_HALF),
    )
    much = rows["acts"].sum(axis=1) >= COMPARED_MIN
    known = (compared >= COMPARED_MIN, shares >= COMPARED_MIN, much, rows["watched_ms"] >= WATCHED_MIN_MS, much)
    return Conduct(values, known)


HALF_LIVES_PER_DAY = math.log(2.0)


def daily(day_rate: Any) -> Any:
    """Acts per day from a count that is decayed with a half-life of a day."""
    return day_rate * HALF_LIVES_PER_DAY


class Suspicion(NamedTuple):
    """What the conduct of one account is evidence of. ``joint`` is a sum of -log10 p."""

    joint: float
    kinds: tuple[int, ...]

    @property
    def convincing(self) -> bool:
        """Whether it is enough for a ruling."""
        return self.joint >= JOINT_MIN and len(self.kinds) >= KINDS_MIN

    @property
    def regular(self) -> bool:
        """Whether it has a kind that several people with one account do not show."""
        return not REGULAR.isdisjoint(self.kinds)


NOTHING = Suspicion(0.0, ())


class UsualConduct(msgspec.Struct):
    """What is usual of the platform's accounts: the distribution of each kind of conduct."""

    tails: list[Tail] = msgspec.field(default_factory=lambda: [Tail() for _ in KINDS])

    def learn(self, conduct: Conduct, teaches: NDArray[np.bool_], taught: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Learn from some accounts, in their order, the kinds that they have not taught yet. Returns these kinds.

        The kinds of an account are bits. Each account teaches each kind once a day, so that no account
        alone decides what is usual.
        """
        kinds = np.zeros_like(taught)
        for number, (tail, values, known) in enumerate(zip(self.tails, *conduct, strict=True)):
            bit = np.uint8(1 << number)
            chosen = teaches & known & (taught & bit == 0)
            tail.learn(values[chosen].tolist())
            kinds[chosen] |= bit
        return kinds

    def suspicion(self, conduct: Conduct, place: int) -> Suspicion:
        """What the conduct of one account is evidence of."""
        joint, kinds = 0.0, []
        for number, (kind, tail) in enumerate(zip(KINDS, self.tails, strict=True)):
            value = float(conduct.values[number][place])
            if not conduct.known[number][place] or value < kind.floor:
                continue
            p = tail.p(value)
            if p <= P_MAX:
                joint += min(SCORE_MAX, -math.log10(max(p, 1e-12)))
                kinds.append(number)
        return Suspicion(joint, tuple(kinds))

    def candidates(self, conduct: Conduct) -> NDArray[np.bool_]:
        """Accounts whose conduct may be evidence: above the floor of a kind, and in the upper tenth of the platform's.

        Below the tail of a distribution, no p-value is near P_MAX.
        """
        found = np.zeros(len(conduct.values[0]), np.bool_)
        for kind, tail, values, known in zip(KINDS, self.tails, *conduct, strict=True):
            if tail.total >= HISTORY_MIN:
                found |= known & (values >= kind.floor) & (values > (tail.cut + 1) / BINS)
        return found

    def usual(self, number: int) -> float:
        """The mean of one kind over the platform's accounts, from the histogram; 0.0 without history."""
        tail = self.tails[number]
        bins = len(tail.bins)
        return sum((at + 0.5) / bins * count for at, count in enumerate(tail.bins)) / tail.total if tail.total else 0.0

    def sentence(self, number: int, value: float) -> str:
        """The sentence on one kind of an account's conduct."""
        usual = self.usual(number)
        return KINDS[number].text.format(
            value=value,
            usual=usual,
            run=value * RUN_FULL_HOURS,
            usual_run=usual * RUN_FULL_HOURS,
            rate=_rate(value),
            usual_rate=_rate(usual),
        )


def _rate(value: float) -> float:
    return RATE_HALF * value / max(1.0 - value, 1e-3)
