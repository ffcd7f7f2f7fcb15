"""Lockstep bands in one window, and the features they give."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from detectors.campaigns.pairs import BAND_MIN, ActorPairs
from detectors.campaigns.visits import WEIGHT_MIN, owner_bit, weight_of
from detectors.events.key import Key, target_of
from detectors.features import names as f
from detectors.measurement.window_view import WindowView
from detectors.state.target_state import TargetState
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY, HOUR

LONGER = (HOUR, DAY)
"""Scales whose open windows give a target's events of the day so far."""

MEMBERS_PER_NETWORK = 3
"""Highest ratio of a band's members to its networks: a class, an office and a household share one address."""


class Bands:
    """Looks up the band in each small window, and collects its actors for learning pairs."""

    def __init__(self, partitions: int = 1) -> None:
        """``partitions`` is the number of partitions over which the targets are spread."""
        self.lockstep = ActorPairs(partitions)

    def find_band(self, window: WindowView, actors: Collection[int]) -> None:
        """Add the features of the band among a window's actors, if there is one. The window's count is expected."""
        crowd = window.crowd
        if len(actors) < BAND_MIN or crowd.sampled or not self.lockstep.suspects(actors):
            return
        weight = weight_of(crowd.n, window.x[f.EXPECTED], _events_of_day(window.target_state))
        band = self.lockstep.band(actors, owner_bit(crowd.owner, target_of(window.key)), window.start, weight)
        if band is None:
            return
        crowd.settle()
        members = crowd.people_among(band.members)
        networks = members["network"].tolist()
        given = [network for network in networks if network >= 0]
        different_networks = len(set(given)) + len(networks) - len(given)
        if different_networks < max(BAND_MIN, len(networks) / MEMBERS_PER_NETWORK):
            return
        window.x = {
            **window.x,
            f.PEOPLE: float(len(actors)),
            f.BAND: int(members["events"].sum()) / crowd.n,
            f.BAND_SCORE: band.score,
            f.BAND_PEOPLE: float(len(band.members)),
            f.BAND_OCCASIONS: float(band.occasions),
            f.BAND_EXPECTED: band.expected,
            f.BAND_KNOWN: float(crowd.owner >= 0 and 2 * len(given) >= len(networks)),
        }

    def note(
        self, key: Key, state: TargetState, crowd: Crowd, known: Sequence[int], expected: Callable[[], float]
    ) -> None:
        """Store the actors of a closed window of five minutes for ``ActorPairs.learn``, of a key whose state is given.

        ``known`` are at least two actors who were seen on the platform before; ``expected`` returns the expected count
        of the window.
        """
        before = _events_of_day(state)
        if weight_of(crowd.n, 0.0, before) < WEIGHT_MIN:
            return  # before the expected count is computed, which takes longer
        weight = weight_of(crowd.n, expected(), before)
        self.lockstep.note(crowd.start, owner_bit(crowd.owner, target_of(key)), weight, known)


def _events_of_day(state: TargetState) -> float:
    """A target's events of the day before the open five minutes, or those of a usual day if these are more."""
    day, before = state.levels.get(DAY), 0.0
    for name in LONGER:
        if name in state.open:
            before += state.open[name].n
    return day.mean if day is not None and day.mean > before else before
