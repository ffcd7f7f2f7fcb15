"""Synthetic acts of accounts, as rows that are packed into blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from detectors.accounts.accounts import Accounts
from detectors.accounts.block import OWNER_MASK, ActorBlock
from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.pages import AccountPages
from detectors.accounts.settings import AccountSettings
from detectors.windows.scales import DAY_MS

START_MS = 1_700_006_400_000 // DAY_MS * DAY_MS
VIEW, LIKE, FOLLOW = range(3)


@dataclass(frozen=True, slots=True)
class Act:
    """One act; times are ms after START_MS."""

    at: int
    actor: str
    target: str
    metric: int = VIEW
    owner: str | None = None
    network: int = -1
    created: int | None = -400 * DAY_MS
    watch: int = -1
    duration: int = -1
    undo: bool = False
    robot: bool = False


def hash_of(text: str) -> int:
    """63 bits of a text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def actor_hash(text: str) -> int:
    """The hash of an actor, without the account bit."""
    return hash_of(text) & ~1


def block_of(acts: Iterable[Act]) -> ActorBlock:
    """Acts as a block, in their order."""
    rows = list(acts)

    def column(values: Iterable[int]) -> np.ndarray:
        return np.array(list(values), np.int64)

    return ActorBlock(
        actor=column(actor_hash(act.actor) for act in rows),
        account=np.array([act.created is not None for act in rows], np.bool_),
        name=[act.actor for act in rows],
        target=column(hash_of(act.target) for act in rows),
        target_name=[act.target for act in rows],
        metric=np.array([act.metric for act in rows], np.int8),
        ts=column(START_MS + act.at for act in rows),
        owner=column(-1 if act.owner is None else hash_of(act.owner) & OWNER_MASK for act in rows),
        network=column(act.network for act in rows),
        created=column(-1 if act.created is None else START_MS + act.created for act in rows),
        watch_ms=column(act.watch for act in rows),
        duration_ms=column(act.duration for act in rows),
        undo=np.array([act.undo for act in rows], np.bool_),
        robot=np.array([act.robot for act in rows], np.bool_),
    )


def accounts_with(pages: AccountPages | None = None, **settings: Any) -> Accounts:
    """New accounts with these settings."""
    return Accounts(
        AccountSettings(**settings),
        pages,
        target_hash=hash_of,
        target_partition=lambda target: hash_of(target) % 4,
    )


def load(accounts: Accounts, records: Iterable[tuple[str, Any]]) -> None:
    """Load a dumped state into new, empty accounts."""
    kinds = {part.kind.prefix.decode(): part for part in accounts.parts}
    for key, value in records:
        prefix = next(prefix for prefix in kinds if key.startswith(prefix))
        kinds[prefix].load(key.removeprefix(prefix), value)


def play(accounts: Accounts, acts: Iterable[Act], *, until: int | None = None, step: int = 60_000) -> AccountsOutcome:
    """Observe acts in order of time, and move event time behind them in steps."""
    outcome = AccountsOutcome()
    rows = sorted(acts, key=lambda act: act.at)
    end = until if until is not None else (rows[-1].at if rows else 0)
    begin = rows[0].at // step * step if rows else 0
    place = 0
    for now in range(begin + step, end + 2 * step, step):
        upto = place
        while upto < len(rows) and rows[upto].at < now:
            upto += 1
        if upto > place:
            accounts.observe(block_of(rows[place:upto]), outcome)
        accounts.advance(START_MS + now, outcome)
        place = upto
    return outcome


def people(rng: np.random.Generator, count: int, *, hours: int, per_hour: float = 3.0, days: int = 1) -> list[Act]:
    """Acts of ordinary people in some hours of each day: uneven times, various targets, uneven watch times."""
    acts = []
    for person in range(count):
        for day in range(days):
            for at in rng.integers(0, hours * 3_600_000, rng.poisson(per_hour * hours)).tolist():
                target = int(rng.integers(0, 300))
                duration = 60_000 + 1_000 * (target * 37 % 400)
                acts.append(
                    Act(
                        at=day * DAY_MS + at,
                        actor=f"p{person}",
                        target=f"v{target}",
                        owner=f"c{target % 60}",
                        network=person % 50,
                        watch=int(duration * rng.random()),
                        duration=duration,
                    )
                )
    return acts
