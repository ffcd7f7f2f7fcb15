"""Which accounts replay which targets by a program, and what the targets are informed of.

An account that replays a clip by a program may be a person's, who does other things that must count. So this is no
ruling on the account: it names one target, and only the views of that target by that account are invalid.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.acts.replays import Timed
from detectors.accounts.acts.updates import Sorted
from detectors.accounts.addresses import is_address
from detectors.accounts.block import ActorBlock
from detectors.accounts.settings import AccountSettings
from detectors.controls import Replayed
from detectors.windows.scales import DAY_MS, HOUR_MS

KEPT_MS = DAY_MS
"""How long a finding is in force after the last timed replay: a night's pause ends none, and the person behind the
account may come to the target again on another day."""
RENEWED_MS = 12 * HOUR_MS
"""A finding that is confirmed is sent again when it has less time than this."""
FOUND_MAX = 16_384
"""Findings that are stored; further ones are not made until some have expired."""
RARE_SHARE = 0.05
"""Largest share of the active accounts with timed replays. On a platform whose own players send a view at even
intervals, everybody has them, and they say nothing."""
COUNTED_MAX = 1_000_000
"""Accounts at which the counts of the share are halved, so that they follow the platform."""


class Replay(msgspec.Struct, array_like=True):
    """An account and a target that it replays by a program. Fields are added at the end."""

    actor: int
    target: str
    name: str
    """text of the actor"""
    since: int
    """first timed replay that was enough, epoch ms"""
    last: int
    """latest one"""
    number: int
    """timed replays in a row"""
    gap_ms: int
    watch_ms: int
    until: int = 0
    """when what the target was informed of expires; 0 if it was not"""
    day: int = -1
    """last day on which it was counted"""

    @property
    def text(self) -> str:
        """The sentence on it."""
        return (
            f"it replayed {self.target} {self.number} times in a row at even intervals, {self.gap_ms / 1000:.0f} s"
            f" apart at last with {self.watch_ms / 1000:.0f} s watched: no player on repeat does so"
        )


class Replays:
    """The findings of one partition of accounts."""

    def __init__(self, settings: AccountSettings) -> None:
        self._settings = settings
        self.found: dict[tuple[int, str], Replay] = {}
        """by actor and target, in the order in which they were found"""
        self.counted: tuple[int, int] = (0, 0)
        """accounts with timed replays, and all that were active, each once a day"""

    def note(self, timed: Timed, events: Sorted, block: ActorBlock, order: NDArray[np.intp]) -> None:
        """Note the timed replays of a block. ``order`` has the place in it of each of the sorted events."""
        for at in np.argsort(order[timed.places]).tolist():  # in log order
            place = int(timed.places[at])
            source = int(order[place])
            actor, ts, target = int(block.actor[source]), int(events.ts[place]), block.target_name[source]
            replay = self.found.get((actor, target))
            if replay is None:
                if len(self.found) >= FOUND_MAX or is_address(block.name[source]):
                    continue
                replay = self.found[actor, target] = Replay(actor, target, block.name[source], ts, ts, 0, 0, 0)
            replay.last = max(replay.last, ts)
            replay.number, replay.gap_ms = int(timed.number[at]), int(timed.gaps[at])
            replay.watch_ms = int(events.watch[place])

    def note_active(self, accounts: int) -> None:
        """Count accounts that are active for the first time on a day."""
        replaying, active = self.counted
        self.counted = replaying, active + accounts
        if active > COUNTED_MAX:
            self.counted = replaying // 2, active // 2

    @property
    def are_rare(self) -> bool:
        """Whether few of the active accounts have timed replays."""
        replaying, active = self.counted
        return replaying <= RARE_SHARE * active

    def take(self, now_ms: int) -> list[Replayed]:
        """What the targets must be informed of, in the order of targets. Drops what has expired."""
        self._count()
        self.found = {pair: replay for pair, replay in self.found.items() if replay.last + KEPT_MS > now_ms}
        if not self.are_rare:
            return []
        actors: dict[tuple[str, int], list[int]] = {}
        for replay in self.found.values():
            until = replay.last + KEPT_MS
            if replay.until - now_ms < RENEWED_MS and until > replay.until and replay.name not in self._settings.allow:
                replay.until = until
                actors.setdefault((replay.target, until), []).append(replay.actor)
        return [Replayed(now_ms, target, until, sorted(some)) for (target, until), some in sorted(actors.items())]

    def _count(self) -> None:
        """Count the accounts with timed replays, each once a day."""
        before = {(replay.actor, replay.day) for replay in self.found.values()}
        for replay in self.found.values():
            replay.day = max(replay.day, replay.last // DAY_MS)
        after = {(replay.actor, replay.day) for replay in self.found.values()}
        self.counted = self.counted[0] + len(after - before), self.counted[1]

    def of(self, actor: int) -> list[Replay]:
        """The findings on an account that are in force, the latest first."""
        return sorted(
            (replay for replay in self.found.values() if replay.actor == actor and replay.until),
            key=lambda replay: (-replay.last, replay.target),
        )

    def forget(self, actor: int) -> None:
        """Delete what is known of an actor."""
        self.found = {pair: replay for pair, replay in self.found.items() if replay.actor != actor}
