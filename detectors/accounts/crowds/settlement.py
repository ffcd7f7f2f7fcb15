"""Questions about the accounts of an incident: which of them do something else until they are due."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.acts.recent_targets import SIGN_UP, recent_targets
from detectors.accounts.block import OWNER_MASK
from detectors.accounts.crowds.newcomers import Newcomers, ages_of
from detectors.accounts.storage.bits import distinct
from detectors.accounts.storage.columns import NO_OWNER, RING, Rows
from detectors.accounts.storage.table import Table
from detectors.controls import Answered, Asked
from detectors.events.key import Key, target_of
from detectors.windows.scales import DAY_MS, HOUR_MS

ACTORS_MAX = 4_096
"""Accounts of one question. A window samples 256; a question that is asked again may add more."""
CONDEMNED_MS = 30 * DAY_MS
"""How long acts on a target whose crowd was removed say nothing for an account."""
DOUBTFUL_MS = 7 * DAY_MS
"""How long the same applies after an answer that speaks against a crowd: the audit may condemn it, and other customers
of the same seller are still in question."""
MOST, EXCESS_MIN = 0.6, 0.5
"""An answer speaks against a crowd if most of its accounts did nothing else, half of them beyond what is usual. Of
people who register for one thing many never come back, but not most."""
DISTRUSTED_MAX = 8_192
"""Targets under question or condemned that are known; the oldest are forgotten."""
FORGOTTEN_MIN = 3
"""Distinct targets beyond those that a row knows, from which it has other acts. Fewer may be targets of
the same seller that are not known as such yet."""
SAME_TARGET = 1.0
COHORTS_MAX = 16
"""Pairs of hour and age with most accounts of a question; the others are compared with what was learned."""


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
    def speaks_against(self) -> bool:
        """Whether the accounts are those of a crowd that was bought."""
        answer = self.answer
        return answer.empty >= MOST * max(1, answer.acted + answer.empty) and self.excess >= EXCESS_MIN

    @property
    def excess(self) -> float:
        """Share of the empty accounts that is beyond what is usual; 1.0 if nothing is known of others."""
        answer = self.answer
        others, accounts = answer.usual_acted + answer.usual_empty, answer.acted + answer.empty
        if not others or not answer.empty:
            return 1.0
        usual, share = answer.usual_empty / others, answer.empty / accounts
        return max(0.0, (share - usual) / share)


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
        usual_acted, usual_empty = self._usual(rows, table, newcomers)
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
        """Distrust the targets of answers that speak against a crowd, and forget those whose time is over."""
        for each in answered:
            if each.speaks_against:
                self.distrusted.add(self._target(each.question.key), now_ms + DOUBTFUL_MS)
        self.distrusted.expire(now_ms)

    def have_other_acts(self, rows: Rows, target: Any, owner: Any) -> NDArray[np.bool_]:
        """Accounts with acts on other targets of other owners that are not distrusted, after their sign-up.

        ``target`` and ``owner`` (-1 if not known) are numbers, or a column with one for each account.
        """
        targets, owners, when = (rows[f"ring_{name}"].astype(np.int64) for name in ("target", "owner", "when"))
        target, owner = (np.broadcast_to(each, len(rows))[:, None] for each in (target, owner))
        used = when > 0
        distrusted = used & self.distrusted.among(targets)
        same_owner = owners == target & OWNER_MASK
        same_owner |= (owner >= 0) & ((owners == owner) | (targets & OWNER_MASK == owner))
        trusted = used & (targets != target) & ~same_owner & ~distrusted & (when & SIGN_UP == 0)
        known = RING + np.maximum(rows["crowds"].astype(np.int64) - distrusted.sum(axis=1), 0)
        forgotten = used.all(axis=1) & (distinct(rows["targets"]) - known >= FORGOTTEN_MIN)
        return np.asarray(trusted.any(axis=1) | forgotten)

    def still_empty(self, row: np.void) -> bool:
        """Whether an account still has acts on distrusted targets, or on one target, only."""
        recent = recent_targets(row)
        trusted = {each.target for each in recent if each.target not in self.distrusted and not each.sign_up}
        return len(trusted) <= (1 if len(recent) == len(trusted) else 0)

    # ---------------------------------------------------------------- what is usual

    def _usual(self, rows: Rows, table: Table, newcomers: Newcomers) -> tuple[int, int]:
        """(acted, empty) of other accounts, in the mix of ages and of hours in which these were first seen."""
        hours, ages = rows["first_s"].astype(np.int64) * 1000 // HOUR_MS, ages_of(rows)
        cohorts: dict[tuple[int, int], int] = {}
        for cohort in zip(hours.tolist(), ages.tolist(), strict=True):
            cohorts[cohort] = cohorts.get(cohort, 0) + 1
        weights = shares = 0.0
        accounts = 0.0
        ranked = sorted(cohorts.items(), key=lambda item: (-item[1], item[0]))
        for place, ((hour, age), weight) in enumerate(ranked):
            sample = newcomers.sample(hour, age) if place < COHORTS_MAX else []
            acted, empty = self._outcome_of(sample, table)
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
        """Learn of samples that are too old how many of their accounts acted again."""
        for age, actors in newcomers.take_expired(now_ms):
            acted, empty = self._outcome_of(actors, table)
            newcomers.learn(age, acted, empty)

    def _outcome_of(self, actors: list[int], table: Table) -> tuple[float, float]:
        """(acted again, did nothing else) of a sample, without those who acted on distrusted targets.

        Accounts that came for the same target count as SAME_TARGET at most: no crowd becomes the yardstick by which it
        is measured itself.
        """
        rows = table.look_up(actors)
        when = rows["ring_when"] > 0
        rows = rows[when.any(axis=1) & ~(when & self.distrusted.among(rows["ring_target"])).any(axis=1)]
        full = (rows["ring_when"] > 0).all(axis=1)
        first = np.arange(len(rows)), np.where(full, rows["ring_at"], 0)
        target, owner = rows["ring_target"][first].astype(np.int64), rows["ring_owner"][first].astype(np.int64)
        acted = full | self.have_other_acts(rows, target, np.where(owner == NO_OWNER, -1, owner))
        _, group, sizes = np.unique(target, return_inverse=True, return_counts=True)
        weights = np.minimum(1.0, SAME_TARGET / sizes)[group]
        return math.fsum(weights[acted].tolist()), math.fsum(weights[~acted].tolist())

    def _target(self, key: str) -> int:
        return self._target_hash(target_of(Key(key))) & NO_OWNER
