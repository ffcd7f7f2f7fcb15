"""The rule on actors that programs drive, by rulings of the role ``actors``.

It applies to events without the age of an account, as those of sessions. An account with an age is a person's, who may
lend it to a program: what the person does must count, so its ruling is evidence about crowds and rejects nothing.

Which acts a program's are is known one by one: everything that the actor does. So no surge of the target is needed: a
driven browser gives each of forty videos one view. A ruling takes effect at its position in the log, and applies to the
ticks that close from then on: what the actor did before is in the counts, because which events these were is not stored
by target. A ruling that is taken back, or expires, ends the rule for this actor; the events that were rejected stay
invalid under their reason, as those of other rules do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.events.key import key_of
from detectors.intake.rules.reasons import AUTOMATED_ACTOR
from detectors.intake.ticks import Tick


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
