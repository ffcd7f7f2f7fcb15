"""Questions about the accounts of an incident: which of them do something else until they are due."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.acts.recent_targets import SIGN_UP, WHEN_BITS, recent_targets
from detectors.accounts.block import OWNER_MASK
from detectors.accounts.crowds.newcomers import Newcomers, ages_of
from detectors.accounts.storage.bits import distinct
from detectors.accounts.storage.columns import NO_OWNER, RING, Rows
from detectors.accounts.storage.table import Table
from detectors.controls import Answered, Asked
from detectors.events.key import Key, target_of
from detectors.scoring.empty_accounts import EmptyAccounts, empty_accounts
from detectors.windows.scales import DAY_MS, HOUR_MS, MINUTE_MS

ACTORS_MAX = 4_096
"""Accounts of one question. A window samples 256; a question that is asked again may add more."""
CONDEMNED_MS = 30 * DAY_MS
"""How long acts on a target whose crowd was removed say nothing for an account."""
DOUBTFUL_MS = 7 * DAY_MS
"""How long the same applies after an answer, whatever it says: other customers of the same seller are still in
question, and a crowd that was wrongly given back must not make the next one look usual."""
DISTRUSTED_MAX = 8_192
"""Targets under question or condemned that are known; the oldest are forgotten."""
FORGOTTEN_MIN = 3
"""Distinct targets beyond those that a row knows, from which it has other acts. Fewer may be targets of
the same seller that are not known as such yet."""
AWAY_MINUTES = 60
"""An act says something for an account if it is more than an hour away from the act in question. Bots like popular
items at once, and serve another customer on the way; people too do most of what they ever do in their first hour. What
distinguishes them is that people come back."""
SAME_TARGET = 1.0
BEFORE_HOURS = 72
"""Hours before an incident whose new accounts its own are compared with. New accounts of its own hours may be bots of
other orders."""
USUAL_ENOUGH = 256
"""Accounts of one age that are enough to compare with: as many as are asked about."""
LOOKED_UP_MAX = 128
"""Samples that are read at once: at most 6,144 accounts, some 4 MB."""
LEARNED_MS = 2 * DAY_MS
"""The time in which accounts have come back, where no question says how long it is: 48 hours, as by default."""


class Question(msgspec.Struct):
    """One question, which is open."""

    case: str
    key: str
    partition: int
    owner: int
    onset: int
    until: int
    due: int
    actors: list[int]


class Settled(NamedTuple):
    """The answer to one question, and which accounts did nothing else."""

    question: Question
    answer: Answered
    empty: list[int]

    @property
    def compared(self) -> EmptyAccounts:
        """How many accounts did nothing else, compared with what is usual."""
        answer = self.answer
        return empty_accounts(answer.acted, answer.empty, answer.usual_acted, answer.usual_empty)


def unknown_answer(question: Question | Asked, now_ms: int) -> Answered:
    """The answer that nothing is known of the accounts."""
    return Answered(now_ms, question.case, question.key, 0, 0, len(question.actors), 0, 0)


class Distrusted:
    """Targets whose crowds are under question or were removed, by the lowest 32 bits of their hash."""

    def __init__(self) -> None:
        self.until: dict[int, int] = {}

    def add(self, target: int, until_ms: int) -> None:
        """Distrust acts on a target until a time."""
        known = self.until.pop(target, 0)
        self.until[target] = max(known, until_ms)
        if len(self.until) > DISTRUSTED_MAX:
            del self.until[next(iter(self.until))]

    def expire(self, now_ms: int) -> None:
        """Forget those whose time is over."""
        if any(until <= now_ms for until in self.until.values()):
            self.until = {target: until for target, until in self.until.items() if until > now_ms}

    def __contains__(self, target: int) -> bool:
        return target in self.until

    def among(self, targets: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of some targets are distrusted."""
        return np.isin(targets, np.fromiter(self.until, np.int64, len(self.until)))


class Settlement:
    """The open questions of a partition."""

    def __init__(self, questions_max: int, target_hash: Callable[[str], int]) -> None:
        self._max = questions_max
        self._target_hash = target_hash
        self.questions: dict[str, Question] = {}
        self.distrusted = Distrusted()

    def ask(self, asked: Asked) -> bool:
        """Take a question. One that is asked again gets further accounts. False if too many are open.

        If it raises, no question was added.
        """
        known = self.questions.get(asked.case)
        if known is None:
            if len(self.questions) >= self._max:
                return False
            known = Question(
                asked.case, asked.key, asked.partition, asked.owner, asked.onset, asked.until, asked.due, []
            )
        due = max(known.due, asked.due)
        self.distrusted.add(self._target(known.key), due)
        known.onset, known.until, known.due = min(known.onset, asked.onset), max(known.until, asked.until), due
        known.actors = list(dict.fromkeys((*known.actors, *asked.actors)))[:ACTORS_MAX]
        self.questions[asked.case] = known
        return True

    def condemn(self, key: str, at_ms: int) -> None:
        """Note that the crowd of a target was removed."""
        self.distrusted.add(self._target(key), at_ms + CONDEMNED_MS)

    def take_due(self, now_ms: int) -> list[Question]:
        """Remove the questions that are due, in the order of their ids. Each must get an answer."""
        due = sorted(case for case, question in self.questions.items() if question.due <= now_ms)
        return [self.questions.pop(case) for case in due]

    def settle(self, question: Question, now_ms: int, table: Table, newcomers: Newcomers) -> Settled:
        """Answer a question. Nothing changes."""
        rows = table.look_up(question.actors)
        target = self._target(question.key)
        empty = rows["actor"][~self.have_other_acts(rows, target, question.owner)].tolist()
        usual_acted, usual_empty = self._usual(question, rows, table, newcomers)
        answer = Answered(
            at=now_ms,
            case=question.case,
            key=question.key,
            acted=len(rows) - len(empty),
            empty=len(empty),
            unknown=len(question.actors) - len(rows),
            usual_acted=usual_acted,
            usual_empty=usual_empty,
        )
        return Settled(question, answer, empty)

    def distrust(self, answered: Iterable[Settled], now_ms: int) -> None:
        """Distrust the targets of answered questions for a while, and forget those whose time is over."""
        for each in answered:
            self.distrusted.add(self._target(each.question.key), now_ms + DOUBTFUL_MS)
        self.distrusted.expire(now_ms)

    def have_other_acts(
        self, rows: Rows, target: Any, owner: Any, *, within: NDArray[np.int64] | None = None
    ) -> NDArray[np.bool_]:
        """Accounts that came back: with acts on other targets of other owners that are not distrusted, after their
        sign-up, and more than AWAY_MINUTES away from the act on ``target`` and from any on a distrusted target.

        ``target`` and ``owner`` (-1 if not known) are numbers, or a column with one for each account. If a row has
        forgotten the target, it is the account's first act. ``within`` is the latest minute of the epoch that counts,
        for accounts with no more targets than a row knows.
        """
        targets, owners, when = (rows[f"ring_{name}"].astype(np.int64) for name in ("target", "owner", "when"))
        target, owner = (np.broadcast_to(each, len(rows))[:, None] for each in (target, owner))
        used, minutes = when > 0, when >> WHEN_BITS
        distrusted = used & self.distrusted.among(targets)
        same_owner = owners == target & OWNER_MASK
        same_owner |= (owner >= 0) & ((owners == owner) | (targets & OWNER_MASK == owner))
        here = used & (targets == target)
        at = np.where(here.any(axis=1), (minutes * here).sum(axis=1), rows["first_s"].astype(np.int64) // 60)
        trusted = used & ~here & ~same_owner & ~distrusted & (when & SIGN_UP == 0)
        trusted &= np.abs(minutes - at[:, None]) > AWAY_MINUTES
        near = np.abs(minutes[:, :, None] - minutes[:, None, :]) <= AWAY_MINUTES
        trusted &= ~(near & distrusted[:, None, :]).any(axis=2)
        full = np.asarray(used.all(axis=1))
        if within is not None:
            trusted &= full[:, None] | (minutes <= within[:, None])
        known = RING + np.maximum(rows["crowds"].astype(np.int64) - distrusted.sum(axis=1), 0)
        stayed = rows["last_ms"] - rows["first_s"].astype(np.int64) * 1000 > AWAY_MINUTES * MINUTE_MS
        forgotten = full & stayed & (distinct(rows["targets"]) - known >= FORGOTTEN_MIN)
        return np.asarray(trusted.any(axis=1) | forgotten)

    def still_empty(self, row: np.void) -> bool:
        """Whether all acts of an account are still on distrusted targets or within an hour of them, or on one."""
        recent = recent_targets(row)
        trusted = [each for each in recent if each.target not in self.distrusted and not each.sign_up]
        doubtful = [each.at_ms for each in recent if each.target in self.distrusted]
        if not doubtful:
            return len(trusted) <= (1 if len(recent) == len(trusted) else 0)
        away_ms = AWAY_MINUTES * MINUTE_MS
        return all(min(abs(each.at_ms - at) for at in doubtful) <= away_ms for each in trusted)

    # ---------------------------------------------------------------- what is usual

    def _usual(self, question: Question, rows: Rows, table: Table, newcomers: Newcomers) -> tuple[int, int]:
        """(acted, empty) of accounts first seen before the incident, in the mix of ages of the accounts asked about.

        They count as having come back if they did within the time that each of these had.
        """
        first_hour, span_ms = question.onset // HOUR_MS, question.due - question.until
        ages, counts = np.unique(ages_of(rows), return_counts=True)
        weights = shares = accounts = 0.0
        for age, weight in zip(ages.tolist(), counts.tolist(), strict=True):
            sample: list[int] = []
            for hour in range(first_hour - 1, first_hour - 1 - BEFORE_HOURS, -1):
                sample += newcomers.sample(hour, age)
                if len(sample) >= USUAL_ENOUGH:
                    break
            acted, empty = self._outcomes_of([sample], table, span_ms)[0]
            if not acted + empty:
                learned = newcomers.learned[age]
                scale = min(1.0, weight / max(1.0, sum(learned)))  # others do not count for more than those asked about
                acted, empty = learned[0] * scale, learned[1] * scale
            if acted + empty:
                weights += weight
                shares += weight * acted / (acted + empty)
                accounts += acted + empty
        if not weights:
            return 0, 0
        usual = round(accounts * shares / weights)
        return usual, max(0, round(accounts) - usual)

    def learn_expired(self, now_ms: int, table: Table, newcomers: Newcomers) -> None:
        """Learn of samples that are too old how many of their accounts came back within LEARNED_MS."""
        expired = newcomers.take_expired(now_ms)
        for begin in range(0, len(expired), LOOKED_UP_MAX):
            part = expired[begin : begin + LOOKED_UP_MAX]
            outcomes = self._outcomes_of([actors for _, actors in part], table, LEARNED_MS)
            for (age, _), (acted, empty) in zip(part, outcomes, strict=True):
                newcomers.learn(age, acted, empty)

    def _outcomes_of(self, samples: list[list[int]], table: Table, span_ms: int) -> list[tuple[float, float]]:
        """Of each sample (came back within a span, did nothing else), without those who acted on distrusted targets.

        Accounts of a sample that came for the same target count as SAME_TARGET at most: no crowd becomes what is
        usual, by which another is measured.
        """
        actors = [actor for sample in samples for actor in sample]
        rows, sample = table.look_up(actors), np.repeat(np.arange(len(samples)), [len(each) for each in samples])
        sample = sample[np.isin(np.array(actors, np.int64), rows["actor"])]
        when = rows["ring_when"] > 0
        kept = when.any(axis=1) & ~(when & self.distrusted.among(rows["ring_target"])).any(axis=1)
        rows, sample = rows[kept], sample[kept]
        full = (rows["ring_when"] > 0).all(axis=1)
        first = np.arange(len(rows)), np.where(full, rows["ring_at"], 0)
        target, owner = rows["ring_target"][first].astype(np.int64), rows["ring_owner"][first].astype(np.int64)
        within = (rows["first_s"].astype(np.int64) * 1000 + span_ms) // MINUTE_MS
        known = np.where(full, -1, target), np.where(full | (owner == NO_OWNER), -1, owner)
        acted = self.have_other_acts(rows, *known, within=within)
        _, group, sizes = np.unique(sample << 32 | target, return_inverse=True, return_counts=True)
        weights = np.minimum(1.0, SAME_TARGET / sizes)[group]
        ends = np.searchsorted(sample, np.arange(len(samples) + 1)).tolist()
        return [
            (math.fsum(weights[begin:end][acted[begin:end]]), math.fsum(weights[begin:end][~acted[begin:end]]))
            for begin, end in pairwise(ends)
        ]

    def _target(self, key: str) -> int:
        return self._target_hash(target_of(Key(key))) & NO_OWNER
