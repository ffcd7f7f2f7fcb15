"""Feature names. A judged window is a mapping of them; each constant has its meaning and range.

If the input of a feature was not given, the feature is absent: missing fields are no evidence. Shares of
*people* count each actor of a window once, so one actor with fifty events is not fifty people of one network.
"""

from __future__ import annotations

from collections.abc import Mapping

EVENTS_MIN = 8
"""Least events of a window whose composition is measured."""

Features = Mapping[str, float]
"""Features by name. They are complete when they are made, and do not change afterwards."""

COUNT = "count"
"""Events in the window, ≥ 1."""
NAMED = "named"
"""Share of the events that have an actor, 0 … 1; absent if all have one."""
PEOPLE = "people"
"""Different actors in the window, ≥ 1 (estimated above 256); absent if no event has an actor."""
ACCOUNT_HOLDERS = "account_holders"
"""People of the crowd whose account age is given, ≥ 0 (estimated above 256); absent if no event has an actor."""
EXPECTED = "expected"
"""Expected events in such a window at that hour by the target's own baseline, > 0."""
DISPERSION = "dispersion"
"""Size r of the negative binomial around EXPECTED, 0.15 … 50; small is bursty."""
REPEATS = "repeats"
"""Share of events that are not their actor's first in the window, 0 … 1."""
EVEN = "even"
"""Evenness of the counts of the window's parts, 0 … 1: 1 - variance/mean. 0 is chance (Poisson)."""
PARTS = "parts"
"""Equally long parts that EVEN compares, ≥ 2."""
STRANGERS = "strangers"
"""Share of the actors not seen on the platform before, 0 … 1. Visitors without an account are always new."""
FRESH = "fresh"
"""Share of the people whose account is younger than FRESH_ACCOUNT_MS at the event, 0 … 1."""
COHORT = "cohort"
"""Share of the people whose accounts were created within the same few days, beyond the platform's mix, 0 … 1."""
DORMANT = "dormant"
"""Share of the accounts (actors with an account age) not seen on the platform before, 0 … 1."""
RULED = "ruled"
"""Share of the people who were removed from another target's count before, 0 … 1."""
SUSPECTED = "suspected"
"""Share of the people whom the role ``actors`` holds to be automated, empty or a seller's, each by the score of that
ruling, 0 … 1. Absent if it never sent one."""
NETWORK = "network"
"""Share of the people in networks (IPv4 /24, IPv6 /48) beyond the usual share of these networks in their countries,
0 … 1. Absent if countries are not given."""
SPREAD = "spread"
"""NETWORK without the network that exceeds most, 0 … 1: a school is one network, a seller rents several."""
AGENT = "agent"
"""Share of the people with user agents beyond the platform's mix, 0 … 1."""
REFERRER = "referrer"
"""Share of the people with referring hosts beyond the platform's mix, 0 … 1."""
NO_REFERRER = "direct"
"""Share of the people without a referrer, 0 … 1."""
UNUSUAL_REFERRERS = "elsewhere"
"""Share of a view window's people whose referrer (or lack of one) is beyond the platform's mix, 0 … 1. Absent if the
platform seldom sends referrers."""
COUNTRY = "country"
"""Share of the people from countries beyond the platform's mix, 0 … 1."""
WATCH = "watch"
"""Share of the events with incomplete watch times beyond the platform's mix for targets of such lengths, 0 … 1."""
SILENT = "silent"
"""Share of the expected likes and follows that are missing in a view window, 0 … 1."""
INTERACTIONS = "interactions"
"""Likes and follows expected from such a crowd at the platform's rate, ≥ INTERACTIONS_MIN; given with SILENT."""
OWN_INTERACTIONS = "own_interactions"
"""INTERACTIONS at the target's own rate, as far as that is known, > 0; given with SILENT."""
INTERACTION_SHAPE = "interaction_shape"
"""Shape of the gamma law of the target's own rate, > 0: the better it is known, the larger; given with SILENT."""
LONELY = "lonely"
"""Share of likes or follows by people who did not view, and that the target's views do not account for even at
LONELY_FACTOR times the platform's rate, 0 … 1."""
VIEWED_FIRST = "viewed_first"
"""Share of the platform's likes by people who had viewed the target by the end of such a window, 0 … 1. Given with
LONELY for closed windows of likes, if every view that starts is emitted (``Lessons.emits_every_view``)."""
UNVIEWED = "unviewed"
"""Share of the new followers of an hour or a day who had viewed nothing of the target's owner, 0 … 1.

Absent if the role ``actors`` does not report it, or if most of the platform's followers had not either."""
ONCE = "once"
"""1.0 if an honest actor can do this to a target only once (like, follow), 0.0 if repeatedly (view)."""

SAME = "same"
"""-log10 p that marked accounts and odd watch times belong to the same people only by chance, ≥ 0; absent unless both
are found."""
SAME_SHARE = "same_share"
"""Share of the people with both marks, 0 … 1."""

TIMES_JUDGED = "asked"
"""How often this surge was judged recently, ≥ 1; absent if it has a case."""

DRIP = "drip"
"""log10 of the e-value against the hypothesis that the target's recent days are honest, ≥ 0 (``verdict/days.py``)."""
DAYS = "days"
"""Wrong days among the target's recent days, ≥ 1 (see ``verdict/days.py``)."""
BAND = "band"
"""Share of the events by a band: actors who act together on target after target (lockstep), 0 … 1."""
BAND_SCORE = "band_score"
"""-log10 p of that band, ≥ 0."""
BAND_PEOPLE = "band_people"
"""Members of that band, ≥ 3."""
BAND_OCCASIONS = "band_occasions"
"""Other owners' targets (other targets, if owners are not given) on which they met, ≥ 3."""
BAND_EXPECTED = "band_expected"
"""Number of such targets expected by chance, > 0."""
BAND_KNOWN = "band_known"
"""1.0 if owners and networks are given, so that one channel's fans or one household cannot be mistaken for a band."""

SELLERS = "sellers"
"""Sampled people of a closed hour or day that are a seller's accounts by rulings, ≥ SELLERS_MIN; absent below that."""
SELLERS_AMONG = "sellers_among"
"""All sampled people of that window."""
SELLERS_EXPECTED = "sellers_expected"
"""The number of these accounts expected by chance, > 0."""
SELLERS_WATCH = "sellers_watch"
"""WATCH of their views alone. Absent if they have no watch times."""
SELLERS_VIEWS = "sellers_views"
"""Their views with a watch time."""

CROWD_FEATURES: tuple[str, ...] = (
    *(REPEATS, EVEN, STRANGERS, FRESH, COHORT, DORMANT, NETWORK, SPREAD),
    *(AGENT, REFERRER, COUNTRY, WATCH, SILENT, LONELY),
)
PEOPLE_FEATURES = frozenset(
    {FRESH, COHORT, DORMANT, RULED, SUSPECTED, NETWORK, SPREAD, AGENT, REFERRER, COUNTRY, STRANGERS, SILENT, UNVIEWED}
)
"""Features observed once per person, however many events the person has."""
UNNAMED_FEATURES = frozenset({EVEN})
"""Features observed on every event, with or without an actor. All other features need an actor."""

GIVEN_SHARE = 0.5
"""An optional field counts as given if at least half of the window's events with an actor have it."""

PEOPLE_MIN = 8
"""Least different actors for features of people. In a crowd of fewer events, every event must have another actor."""

FEW_MIN = 5
"""Least events of a crowd. A crowd below PEOPLE_MIN is *few*: it is judged only before the window's end, by exact
tests, and an optional field counts as given only if all of them have it."""

SELLERS_MIN = PEOPLE_MIN
"""Least accounts of sellers in a window whose views are condemned by rulings."""

EVEN_PARTS_MIN = 8
"""Least parts of a window for its evenness."""

EVEN_EVENTS_MIN = 24
"""Least events of a window for the evenness of its parts."""

INTERACTIONS_MIN = 4.0
"""Least expected likes and follows for their absence to be measured."""

LONELY_FACTOR = 4.0
"""Honest crowds may like or follow up to four times as often as the platform's people: fans, a call to subscribe."""


def observations(name: str, x: Features) -> int:
    """Number of people or events on which a feature is observed.

    >>> observations(FRESH, {COUNT: 90.0, PEOPLE: 40.0}), observations(REPEATS, {COUNT: 90.0, NAMED: 0.5, PEOPLE: 40.0})
    (40, 45)
    """
    if name in PEOPLE_FEATURES:
        return int(x.get(PEOPLE, 0.0))
    return round(x.get(COUNT, 0.0) * part_observed(name, x))


def part_observed(name: str, x: Features) -> float:
    """Share of a window's events on which a feature is observed, 0 … 1."""
    return 1.0 if name in UNNAMED_FEATURES else x.get(NAMED, 1.0)
