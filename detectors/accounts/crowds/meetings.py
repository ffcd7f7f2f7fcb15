"""Finds accounts that come together to one target after another, more often than chance brings them there.

A *gathering* is the accounts that came to one target within a span of two hours, as far as they acted lately and the
target is among their latest ones (``acts.recent_targets``). So nothing is stored for it, and an account with much other
conduct leaves it by itself.

Two gatherings at targets of different owners are *linked* if far more accounts came to both than if each account had
chosen its targets independently, in proportion to their visitors, in the spans in which it was active. Their number is
compared with TASTE times that expectation by Chernoff's bound for a Poisson variable (Hoeffding 1963). The expectation
by numbers of visitors is that of the bipartite configuration model (as in Pacheco et al. 2021), so popular targets
explain themselves. Where a group makes most of a span's visits, it would explain itself too: so the expectation is at
most OTHERS_FACTOR times that by the part of the other accounts of the span that came. If it makes
nearly all, no expectation is left: gatherings of the same accounts are linked then, and the group is *dominant*.
CopyCatch, too, looks for cores of accounts and targets within a span of time (Beutel et al., WWW 2013).

A list that many play in order (a playlist, autoplay, lessons) is no link: everybody needs the same time from one target
to the next.

An account is a *member* of a group if MEMBER_VISITS of its latest targets are linked with each other. So a visitor of
one attacked target is none.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.accounts.acts.recent_targets import WHEN_BITS
from detectors.accounts.block import OWNER_MASK
from detectors.accounts.storage.bits import distinct
from detectors.accounts.storage.columns import NO_OWNER, RING, Rows
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

FIND_MS = 15 * MINUTE_MS
"""How often accounts are compared."""
SPAN_MS = 2 * HOUR_MS
"""Visits of one span are of one gathering. Spans begin at even hours in one comparison and at odd ones in the next, so
what takes at most an hour is within one span every other time: the end of a span cuts it in two, of which neither may
be large enough."""
ACTED_MS = HOUR_MS
COMPARED_MIN = 8_192
"""Accounts that acted within an hour are compared, or the latest COMPARED_MIN of them if these are more. A group is
found when it comes again."""
VISITS_MS = 7 * DAY_MS
"""Visits that are older are not compared."""
GATHERING_MIN = 8
"""Least accounts of a gathering."""
SHARED_MIN = 5
"""Least accounts that two linked gatherings share."""
SHARED_PART = 0.2
"""Least part of the smaller of two linked gatherings that came to both. People of one country or of one taste share
more than chance would have it, but seldom so large a part of a span's visitors."""
SAME_PART, SAME_MIN = 0.15, 20
"""Two gatherings are of the same accounts if they share so large a part of the larger one, and so many. The part is
small because only RING targets of an account are known: of those that came to twelve, each pair shares a quarter."""
TASTE = 4.0
"""Factor by which people with a taste or a country in common meet more often than independent ones."""
LINK_SCORE = 4.0
"""Least -log10 p of a link. A member needs two of them, which are much rarer together."""
MEMBER_VISITS, MEMBER_LINKS = 3, 2
"""Least linked visits of a member, of which one is linked with two others."""
IN_ORDER_MINUTES, IN_ORDER_SHARE = 2, 0.6
"""Two gatherings are of one list if so large a share of the common accounts took the same time, to within two minutes,
from one to the other."""
LEAST_EXPECTED = 1e-3
OTHERS_FACTOR = 2.0
"""Factor by which accounts that came to one gathering are more active than others of the span."""
PAIRS = tuple((i, j) for i in range(RING) for j in range(i + 1, RING))
CELLS = 1 << 16
"""Cells in which visits are counted first: those of a cell with few visits are of no gathering."""


class Visits(NamedTuple):
    """The latest targets of accounts, as arrays with RING columns."""

    gathering: Ints
    """number of the gathering, -1 for a visit that is of none"""
    span: Ints
    """place of the visit's span among all spans, -1 for no visit"""
    owner: Ints
    minute: Ints
    sizes: Ints
    """accounts of each gathering"""
    spans: Ints
    """place of each gathering's span among all spans"""


class Links(NamedTuple):
    """Linked pairs of gatherings. Columns."""

    lower: Ints
    higher: Ints
    shared: Ints
    """accounts that came to both"""
    expected: NDArray[np.float64]
    """the number expected by chance"""


class Group(NamedTuple):
    """Accounts that come together."""

    members: NDArray[np.intp]
    """places of their rows"""
    gatherings: int
    """linked gatherings that they came to"""
    shared: float
    """median number of accounts that two of these share"""
    expected: float
    """the number expected by chance"""
    only: int
    """members that have had no more targets than these"""
    dominant: bool = False
    """whether it makes most of a span's visits, so that chance cannot be computed without it"""


def groups_of(rows: Rows, now_ms: int) -> list[Group]:
    """The groups of accounts that come together, the largest first."""
    recent = _latest(rows["last_ms"], now_ms)
    if len(recent) < GATHERING_MIN:
        return []
    visits = _visits(rows, recent, now_ms)
    if len(visits.sizes) < MEMBER_VISITS:
        return []
    usual, dominant = _links(visits)
    groups = _groups_by(usual, visits, rows, recent)
    return groups or [group._replace(dominant=True) for group in _groups_by(dominant, visits, rows, recent)]


def _groups_by(links: Links, visits: Visits, rows: Rows, recent: NDArray[np.intp]) -> list[Group]:
    if len(links.lower) < MEMBER_LINKS:
        return []
    number = _linked(visits, links)
    found = np.flatnonzero(((number > 0).sum(axis=1) >= MEMBER_VISITS) & (number.max(axis=1) >= MEMBER_LINKS))
    return _groups(rows[recent[found]], recent[found], visits.gathering[found], number[found] > 0, links)


def _latest(last_ms: Ints, now_ms: int) -> NDArray[np.intp]:
    """Places of the accounts that are compared. Which these are does not depend on their order."""
    since = now_ms - ACTED_MS
    if len(last_ms) > COMPARED_MIN:
        since = min(since, int(np.partition(last_ms, -COMPARED_MIN)[-COMPARED_MIN]))
        return np.flatnonzero(last_ms >= since)
    return np.arange(len(last_ms))


def _visits(rows: Rows, recent: NDArray[np.intp], now_ms: int) -> Visits:
    when, target = (rows[name][recent].astype(np.int64) for name in ("ring_when", "ring_target"))
    minute = when >> WHEN_BITS
    shift = SPAN_MS // 2 * (now_ms // FIND_MS % 2) // MINUTE_MS
    span = (minute + shift) // (SPAN_MS // MINUTE_MS)
    used = (when > 0) & (span >= (now_ms - VISITS_MS) // SPAN_MS)
    spans, numbered = np.unique(span[used], return_inverse=True)
    place = np.full(used.shape, -1, np.int64)
    place[used] = numbered
    cell = (target * 31 + span) & CELLS - 1
    used &= np.bincount(cell[used], minlength=CELLS)[cell] >= GATHERING_MIN
    owner = rows["ring_owner"][recent].astype(np.int64)
    owner = np.where(owner == NO_OWNER, target & OWNER_MASK, owner)
    keys, number, sizes = np.unique(span[used] << 32 | target[used], return_inverse=True, return_counts=True)
    large = sizes >= GATHERING_MIN
    gathering = np.full(used.shape, -1, np.int64)
    gathering[used] = np.where(large, np.cumsum(large) - 1, -1)[number]
    return Visits(
        gathering, place, owner, minute, sizes[large].astype(np.int64), np.searchsorted(spans, keys[large] >> 32)
    )


def _pairs(visits: Visits) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """All accounts' pairs of gatherings at targets of different owners: their numbers, and the minutes between.

    Also the number of pairs of any visits, by both spans, the earlier first.
    """
    number, numbers, lags = int(visits.span.max()) + 1, [], []
    both_spans = np.zeros(number * number)
    for i, j in PAIRS:
        apart = np.flatnonzero(
            (np.minimum(visits.span[:, i], visits.span[:, j]) >= 0) & (visits.owner[:, i] != visits.owner[:, j])
        )
        early, late = (pick(visits.span[apart, i], visits.span[apart, j]) for pick in (np.minimum, np.maximum))
        both_spans += np.bincount(early * number + late, minlength=number * number)
        apart = apart[np.minimum(visits.gathering[apart, i], visits.gathering[apart, j]) >= 0]
        first, second = visits.gathering[apart, i], visits.gathering[apart, j]
        lag = visits.minute[apart, j] - visits.minute[apart, i]
        numbers.append(np.minimum(first, second) * len(visits.sizes) + np.maximum(first, second))
        lags.append(np.where(first < second, lag, -lag))
    return np.concatenate(numbers), np.concatenate(lags), both_spans.reshape(number, number)


def _links(visits: Visits) -> tuple[Links, Links]:
    """The pairs of gatherings that are linked, and those of the same accounts, whatever chance is."""
    sizes, gatherings = visits.sizes, len(visits.sizes)
    number, lag, both_spans = _pairs(visits)
    in_span = np.bincount(visits.span[visits.span >= 0], minlength=len(both_spans))
    pairs, shared = np.unique(number, return_counts=True)
    pairs, shared = pairs[shared >= SHARED_MIN], shared[shared >= SHARED_MIN].astype(np.int64)
    lower, higher = pairs // gatherings, pairs % gatherings
    early, late = visits.spans[lower], visits.spans[higher]
    expected = both_spans[early, late] * sizes[lower] * sizes[higher] / (in_span[early] * in_span[late])
    expected = np.where(early == late, 2.0, 1.0) * expected
    smaller = np.minimum(sizes[lower], sizes[higher])
    larger = np.maximum(sizes[lower], sizes[higher])
    others = np.maximum(_accounts_in_spans(visits)[np.where(sizes[lower] == larger, early, late)] - smaller, 1)
    apart = OTHERS_FACTOR * smaller * (larger - shared) / others
    expected = np.maximum(np.minimum(expected, apart), LEAST_EXPECTED)
    linked = _score(shared, TASTE * expected) >= LINK_SCORE
    linked &= shared >= SHARED_PART * smaller
    same = (shared >= SAME_PART * larger) & (shared >= SAME_MIN)
    either = linked | same
    either[either] = ~_in_order(pairs[either], number, lag)
    pair = Links(lower, higher, shared, expected)
    return _chosen(pair, linked & either), _chosen(pair, same & either)


def _chosen(links: Links, which: Flags) -> Links:
    return Links(links.lower[which], links.higher[which], links.shared[which], links.expected[which])


def _accounts_in_spans(visits: Visits) -> Ints:
    """The number of accounts with a visit in each span."""
    counted = np.zeros(int(visits.span.max()) + 1, np.int64)
    for column in range(RING):
        span = visits.span[:, column]
        new = (span >= 0) & (visits.span[:, :column] != span[:, None]).all(axis=1)
        counted += np.bincount(span[new], minlength=len(counted))
    return counted


def _score(found: Ints, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """``tails.poisson_score`` of each."""
    above = found > expected
    score = (found * np.log(found / expected) - found + expected) / math.log(10.0)
    return np.where(above, score, 0.0)


def _in_order(pairs: Ints, key: Ints, lag: Ints) -> NDArray[np.bool_]:
    """Whether most accounts of each pair took the same time from one gathering to the other."""
    place = np.searchsorted(pairs, key)
    ours = (place < len(pairs)) & (pairs[np.minimum(place, len(pairs) - 1)] == key) if len(pairs) else key < 0
    place, lag = place[ours], lag[ours]
    order = np.lexsort((lag, place))
    place, lag = place[order], lag[order]
    count = np.bincount(place, minlength=len(pairs))
    begins = np.cumsum(count) - count
    middle = lag[begins + count // 2] if len(pairs) else lag
    near = np.abs(lag - middle[place]) <= IN_ORDER_MINUTES
    within = np.bincount(place[near], minlength=len(pairs))
    return np.asarray(within >= IN_ORDER_SHARE * count)


def _linked(visits: Visits, links: Links) -> Ints:
    """For each visit, with how many of the account's others its gathering is linked."""
    gatherings = len(visits.sizes)
    known = np.sort(links.lower * gatherings + links.higher)
    found = np.zeros(visits.gathering.shape, np.int64)
    for i, j in PAIRS:
        first, second = visits.gathering[:, i], visits.gathering[:, j]
        number = np.minimum(first, second) * gatherings + np.maximum(first, second)
        at = np.minimum(np.searchsorted(known, number), len(known) - 1)
        linked = (known[at] == number) & (np.minimum(first, second) >= 0)
        linked &= visits.owner[:, i] != visits.owner[:, j]
        found[:, i] += linked
        found[:, j] += linked
    return found


def _groups(members: Rows, places: NDArray[np.intp], visited: Ints, linked: Flags, links: Links) -> list[Group]:
    """Members by the connected parts of the links between the gatherings that they came to."""
    if not len(members):
        return []
    used = np.unique(visited[linked])
    inside = np.isin(links.lower, used) & np.isin(links.higher, used)
    part = _connected(used, links.lower[inside], links.higher[inside])
    of_member = part[np.searchsorted(used, visited[np.arange(len(members)), np.argmax(linked, axis=1)])]
    of_link = part[np.searchsorted(used, links.lower[inside])]
    targets = distinct(members["targets"])
    found = [
        Group(
            members=places[of_member == each],
            gatherings=int(np.count_nonzero(part == each)),
            shared=float(np.median(links.shared[inside][of_link == each])),
            expected=float(np.median(links.expected[inside][of_link == each])),
            only=int(np.count_nonzero(targets[of_member == each] <= np.count_nonzero(part == each))),
        )
        for each in np.unique(of_member).tolist()
    ]
    return sorted(found, key=lambda group: -len(group.members))


def _connected(numbers: Ints, lower: Ints, higher: Ints) -> Ints:
    """For each of some numbers in order the least number that is connected with it by pairs."""
    part = np.arange(len(numbers))
    first, second = np.searchsorted(numbers, lower), np.searchsorted(numbers, higher)
    while True:
        least = np.minimum(part[first], part[second])
        joined = part.copy()
        np.minimum.at(joined, first, least)
        np.minimum.at(joined, second, least)
        if (joined == part).all():
            return part
        part = joined
