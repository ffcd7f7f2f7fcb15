"""With whom, put before the judge: the band in a window's crowd, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Set

from detectors.campaigns.pairs import BAND_MIN, ActorPairs
from detectors.campaigns.visits import CROWD_MAX, WEIGHT_MIN, owner_bit, weight_of
from detectors.events.key import target_of
from detectors.features import names as f
from detectors.measurement.window_view import WindowView
from detectors.windows.scales import DAY, HOUR

LONGER = (HOUR, DAY)
"""Windows that tell how many a target has had in its day so far."""

A_PLACE = 3
"""Members of a band to a network at most: a class, an office and a household come together, and by one address."""


class Bands:
    """Asks of every small window who of its actors act together, and lets it teach afterwards."""

    def __init__(self) -> None:
        self.lockstep = ActorPairs()

    def ask(self, look: WindowView, actors: Set[int]) -> None:
        """Set the features of the band among a window's actors, if there is one."""
        crowd = look.crowd
        if len(actors) < BAND_MIN or crowd.sampled or not self.lockstep.suspects(actors):
            return
        band = self.lockstep.band(actors, owner_bit(crowd.owner, target_of(look.key)))
        if band is None:
            return
        crowd.settle()
        networks = [crowd.people[actor][0] for actor in band.members]
        given = [network for network in networks if network >= 0]
        places = len(set(given)) + len(networks) - len(given)
        if places < max(BAND_MIN, len(networks) / A_PLACE):
            return
        look.x[f.PEOPLE] = float(len(actors))
        look.x[f.BAND] = sum(crowd.actors[actor] for actor in band.members) / crowd.n
        look.x[f.BAND_SCORE] = band.score
        look.x[f.BAND_PEOPLE] = float(len(band.members))
        look.x[f.BAND_OCCASIONS] = float(band.occasions)
        look.x[f.BAND_EXPECTED] = band.expected
        look.x[f.BAND_KNOWN] = float(crowd.owner >= 0 and 2 * len(given) >= len(networks))

    def note(self, look: WindowView, actors: Set[int], unmet: Iterable[int]) -> None:
        """Keep the actors of a window of five minutes that were met before, until all of these windows are closed."""
        crowd, watched = look.crowd, look.target_state
        if not 2 <= len(actors) <= CROWD_MAX or crowd.sampled:
            return
        met = set(actors).difference(unmet)
        if len(met) < 2:
            return
        day, before = watched.levels.get(DAY), 0.0
        for name in LONGER:
            if name in watched.open:
                before += watched.open[name].n
        if day is not None and day.mean > before:
            before = day.mean
        if weight_of(crowd.n, 0.0, before) < WEIGHT_MIN:
            return  # whatever is usual, which takes a while to tell
        look.expect()
        weight = weight_of(crowd.n, look.x[f.EXPECTED], before)
        self.lockstep.note(look.start, owner_bit(crowd.owner, target_of(look.key)), weight, met)
