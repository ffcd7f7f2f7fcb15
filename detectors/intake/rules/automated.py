"""The rules on actors that programs drive, and on replays by programs, as the role ``actors`` finds them.

The rule on actors applies to events without the age of an account, as those of sessions. An account with an age is a
person's, who may lend it to a program: what the person does must count, so its ruling is evidence about crowds and
rejects nothing. Only the views of a target that it replays by a program are invalid, by the rule on replays.

Which acts a program's are is known one by one: everything that the actor does, or all its views of one target. So no
surge of the target is needed: a driven browser gives each of forty videos one view. A ruling takes effect at its
position in the log, and applies to the ticks that close from then on: what the actor did before is in the counts,
because which events these were is not stored by target. A ruling that is taken back, or expires, ends the rule for this
actor; the events that were rejected stay invalid under their reason, as those of other rules do.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np
from numpy.typing import NDArray

from detectors.events.actor import without_account
from detectors.events.key import VIEW, Key, key_of
from detectors.intake.rules.reasons import AUTOMATED_ACTOR, AUTOMATED_REPLAY
from detectors.intake.ticks import Tick
from detectors.windows.crowd import PACKED


def reject_automated(tick: Tick, actors: NDArray[np.int64]) -> None:
    """Reject the acts of some actors (hashes without account bit, in order) that came without the age of an account.

    Acts that another rule has caught keep their reason. If this fails, nothing was rejected.
    """
    if not len(actors):
        return
    found = [
        (key_of(metric, target), places)
        for metric in tick.metrics()
        for target, places in tick.of_actors(metric, actors)
    ]
    for key, places in found:
        tick.reject_places(key, places, AUTOMATED_ACTOR)


def reject_replays(tick: Tick, targets: Mapping[str, Set[int]], actors: NDArray[np.int64]) -> None:
    """Reject the views of targets by the accounts that replay them by a program.

    ``targets`` has these actors by target, without the account bit; ``actors`` all of them with and without it, in
    order. If this fails, nothing was rejected.
    """
    if not len(actors) or VIEW not in tick.metrics():
        return
    found = []
    for target, places in tick.of_actors(VIEW, actors):
        replaying = targets.get(target)
        if replaying:
            key = key_of(VIEW, target)
            some = [place for place in places if _actor_of(tick, key, place) in replaying]
            if some:
                found.append((key, some))
    for key, some in found:
        tick.reject_places(key, some, AUTOMATED_REPLAY)


def _actor_of(tick: Tick, key: Key, place: int) -> int:
    """The actor of an act of a key, without the account bit."""
    return without_account(int(np.frombuffer(tick.row(key, place), PACKED)["actor"][0]))
