"""A small stand-in for ``detectors.accounts``: it stores all acts of every account and answers questions about them."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.controls import Answered, Asked, ToActors
from detectors.events.actor import without_account
from detectors.events.block import EventBlock
from detectors.events.key import Key, target_of

GRID_MS = 300_000
NEW_MS = 30 * 86_400_000


class Conduct:
    """The acts of all accounts, by the hash without the account bit."""

    def __init__(self, *, partitions: int = 1) -> None:
        """Questions are answered by ``partitions`` records each, as by so many partitions of ``by-actor``."""
        self._partitions = partitions
        self._acts: dict[int, set[str]] = {}
        self._fresh: set[int] = set()
        self._asked: list[Asked] = []

    def observe(self, block: EventBlock) -> None:
        """Store the acts of a block."""
        for place, actor in enumerate(block.actor):
            if actor >= 0:
                bare = without_account(actor)
                self._acts.setdefault(bare, set()).add(block.target[place])
                if block.account is not None and block.account[place] >= 0 and block.account[place] & 1:
                    self._fresh.add(bare)

    def ask(self, requests: Iterable[ToActors]) -> None:
        """Take the questions among the requests of an audit."""
        self._asked += [request for request in requests if isinstance(request, Asked)]

    def answers(self, now_ms: int) -> list[tuple[int, Answered]]:
        """(asking partition, answer) for the questions that are due."""
        due = [asked for asked in self._asked if asked.due <= now_ms]
        self._asked = [asked for asked in self._asked if asked.due > now_ms]
        return [(asked.partition, answer) for asked in due for answer in self._answer(asked, now_ms)]

    def _answer(self, asked: Asked, now_ms: int) -> list[Answered]:
        target = target_of(Key(asked.key))
        others = [
            self._acts[actor] for actor in sorted(self._fresh - set(asked.actors)) if target not in self._acts[actor]
        ]
        usual_empty = sum(len(acts) == 1 for acts in others)
        found = []
        for partition in range(self._partitions):
            acted = empty = unknown = 0
            for actor in asked.actors:
                if (actor >> 1) % self._partitions == partition:
                    acts = self._acts.get(actor)
                    unknown += acts is None
                    acted += acts is not None and acts != {target}
                    empty += acts == {target}
            usual = (len(others) - usual_empty, usual_empty) if partition == 0 else (0, 0)
            found.append(Answered(now_ms, asked.case, asked.key, acted, empty, unknown, *usual))
        return found
