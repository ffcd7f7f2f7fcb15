"""What a closed window is reduced to. Every feature is a named constant with its meaning and range.

A feature whose input was not given is absent from the dict: missing fields are no evidence. Shares of *people* count
each actor of a window once, so that somebody who returns fifty times is not fifty people of one network.
"""

from __future__ import annotations

EVENTS_MIN = 8
"""Windows with fewer events have no composition to speak of."""

Features = dict[str, float]

COUNT = "count"
"""Events in the window, ≥ 1."""
NAMED = "named"
"""Share of the events that have an actor, 0 … 1; absent where all have one."""
PEOPLE = "people"
"""Different actors in the window, ≥ 1 (estimated above 256); absent where no event has an actor."""
EXPECTED = "expected"
"""Events the target's own baseline expects in such a window at that hour, > 0."""
DISPERSION = "dispersion"
"""Size r of the negative binomial around EXPECTED, 0.15 … 50; small is bursty."""
REPEATS = "repeats"
"""Share of events that are not their actor's first in the window, 0 … 1."""
EVEN = "even"
"""How much less than chance the parts of the window differ in count, 0 … 1: 1 - variance/mean of its parts."""
PARTS = "parts"
"""Equally long parts that EVEN compares, ≥ 2."""
STRANGERS = "strangers"
"""Share of the actors that the platform had not met before, 0 … 1. Visitors without account are always new."""
FRESH = "fresh"
"""Share of the people whose account is younger than FRESH_ACCOUNT_MS at the event, 0 … 1."""
COHORT = "cohort"
"""Share of the people whose accounts were made within a few days, beyond the platform's mix, 0 … 1."""
DORMANT = "dormant"
"""Share of the accounts (actors that come with an account's age) that the platform had not met before, 0 … 1."""
RULED = "ruled"
"""Share of the people who were taken out of another target's count before, 0 … 1; absent while nobody was."""
NETWORK = "network"
"""Share of the people in networks (IPv4 /24, IPv6 /48) beyond what their countries send from there, 0 … 1. Absent
where countries are not given."""
SPREAD = "spread"
"""The same without the one network that exceeds most, 0 … 1: a school is one place, a seller rents several."""
AGENT = "agent"
"""Share of the people with user agents beyond the platform's mix, 0 … 1."""
REFERRER = "referrer"
"""The same of referring hosts, 0 … 1."""
NO_REFERRER = "direct"
"""Share of the people who came without a referrer, 0 … 1."""
UNUSUAL_REFERRERS = "elsewhere"
"""Share of a view window's people whose referrer is beyond the platform's mix of referrers and none, 0 … 1. Absent
where referrers are hardly ever given."""
COUNTRY = "country"
"""The same of countries, 0 … 1."""
WATCH = "watch"
"""Share of the events that were watched for less than whole unlike the platform's viewers of such lengths, 0 … 1."""
SILENT = "silent"
"""Share of a view window's people whom the platform's rate of likes and follows leaves unaccounted for, 0 … 1."""
INTERACTIONS = "interactions"
"""Likes and follows that the platform's rate has such a crowd bring, ≥ INTERACTIONS_MIN; beside SILENT."""
LONELY = "lonely"
"""Share of likes or follows by people who did not view, and that the target's views do not account for either, even at
a multiple of the platform's rate."""
VIEWED_FIRST = "viewed_first"
"""Share of the platform's likes by people who had viewed what they like by the end of such a window, 0 … 1. Given
beside LONELY of closed minutes and hours of likes, where whoever opens a target is told as a view
(``Platform.tells_every_view``)."""
ONCE = "once"
"""1.0 if an actor can honestly do this to a target only once (like, follow), 0.0 if often (view)."""

SAME = "same"
"""-log10 p that the people with such accounts and those who watch so oddly are the same only by chance, ≥ 0; absent
unless both are found."""
SAME_SHARE = "same_share"
"""Share of the people who are both, 0 … 1."""

ASKED = "asked"
"""How often the crowd of this surge was judged lately, ≥ 1; absent once it has a case."""

DRIP = "drip"
"""log10 of the e-value that the target's days so far are those of an honest crowd, ≥ 0 (detectors/verdict/days.py)."""
DAYS = "days"
"""Days since the first wrong one on which somebody wrong did something wrong, ≥ 1."""
BAND = "band"
"""Share of the events that are of actors who act together on target after target (lockstep), 0 … 1."""
BAND_SCORE = "band_score"
"""-log10 p of that band, ≥ 0."""
BAND_PEOPLE = "band_people"
"""How many they are, ≥ 3."""
BAND_OCCASIONS = "band_occasions"
"""On how many other owners' targets (other targets, where owners are not given) they met, ≥ 4."""
BAND_EXPECTED = "band_expected"
"""On how many chance would have them meet, > 0."""
BAND_KNOWN = "band_known"
"""1.0 if owners and networks are told, so that neither one channel's fans nor one household can be taken for a band."""

CROWD_FEATURES: tuple[str, ...] = (
    *(REPEATS, EVEN, STRANGERS, FRESH, COHORT, DORMANT, NETWORK, SPREAD),
    *(AGENT, REFERRER, COUNTRY, WATCH, SILENT, LONELY),
)
PEOPLE_FEATURES = frozenset(
    {FRESH, COHORT, DORMANT, RULED, NETWORK, SPREAD, AGENT, REFERRER, COUNTRY, STRANGERS, SILENT}
)
"""Features of which one person is one observation, however often he came."""
UNNAMED_FEATURES = frozenset({EVEN})
"""Features of which every event is an observation, whether it has an actor or not. Of all others an event with an actor
is one."""

GIVEN_SHARE = 0.5
"""An optional field counts as given if half of the window's events carry it, of those that have an actor."""

PEOPLE_MIN = 8
"""Different actors under which nothing is said of a crowd's people; in one of fewer events each must be another."""

FEW_MIN = 5
"""Events under which a window has no crowd at all. From here to PEOPLE_MIN a crowd is *few*: it is judged before its
end only, by exact tests, and what is not given of one of them is not given."""

EVEN_PARTS_MIN = 8
"""Parts of a window under which its evenness says nothing."""

EVEN_EVENTS_MIN = 24
"""Events under which the evenness of a window's parts says nothing."""

INTERACTIONS_MIN = 4.0
"""Likes and follows that must be expected before their absence says anything."""

LONELY_FACTOR = 4.0
"""A crowd may honestly like or follow four times as readily as the platform's does: fans, a call to subscribe."""


def observations(name: str, x: Features) -> int:
    """How many people or events a feature is observed on.

    >>> observations(FRESH, {COUNT: 90.0, PEOPLE: 40.0}), observations(REPEATS, {COUNT: 90.0, NAMED: 0.5, PEOPLE: 40.0})
    (40, 45)
    """
    if name in PEOPLE_FEATURES:
        return int(x.get(PEOPLE, 0.0))
    return round(x.get(COUNT, 0.0) * part_observed(name, x))


def part_observed(name: str, x: Features) -> float:
    """Part of a window's events that a feature can speak of, 0 … 1."""
    return 1.0 if name in UNNAMED_FEATURES else x.get(NAMED, 1.0)
