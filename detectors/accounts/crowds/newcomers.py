"""Samples of new accounts by hour and by age, and how many of such accounts usually come back.

They are what the accounts of a question are compared with: equally new, and first seen in the days before.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.accounts.storage.columns import Rows
from detectors.windows.scales import DAY_MS, HOUR_MS

AGE_EDGES_MS = np.array([1, 3, 7, 30, 365]) * DAY_MS
AGES = len(AGE_EDGES_MS) + 2
"""Classes of age when first seen: under 1, 3, 7, 30, 365 days, older, not given."""
NO_AGE = AGES - 1

SAMPLE = 48
"""Accounts of a sample: a share of a half is then known within 14 %."""
KEPT_MS = 7 * DAY_MS
"""How long samples are kept: three days before an incident, an incident of a day, settlement after 48 hours, and a day
of waiting."""
LEARNED_MAX = 4_096
"""Accounts of a class at which its learned counts are halved."""

_ODD = np.uint64(0x9E3779B97F4A7C15)

Ints = NDArray[np.int64]
Sample = list[tuple[int, int]]
"""(order, account): the accounts with the smallest orders, which are hashes of accounts"""


class Newcomers:
    """New accounts by the hour in which they were first seen and their age then, a sample of each."""

    def __init__(self) -> None:
        self._samples: dict[int, dict[int, Sample]] = {}
        self._changed: set[int] = set()
        self.learned: list[list[float]] = [[0.0, 0.0] for _ in range(AGES)]
        """by age: accounts that came back, and that did not"""

    def note(self, actors: Ints, first_ms: Ints, created_ms: Ints) -> None:
        """Sample new accounts by their first events. ``created_ms`` below 0 is not given."""
        hours, ages = first_ms // HOUR_MS, age_classes(first_ms, created_ms)
        orders = (actors.astype(np.uint64) * _ODD >> np.uint64(1)).astype(np.int64)
        pairs = hours * AGES + ages
        for pair in np.unique(pairs).tolist():
            hour, age = divmod(pair, AGES)
            chosen = np.flatnonzero(pairs == pair)
            known = self._samples.setdefault(hour, {}).get(age, [])
            if len(known) == SAMPLE:
                chosen = chosen[orders[chosen] < known[-1][0]]
                if not len(chosen):
                    continue
            found = zip(orders[chosen].tolist(), actors[chosen].tolist(), strict=True)
            self._samples[hour][age] = sorted({*known, *found})[:SAMPLE]
            self._changed.add(hour)

    def sample(self, hour: int, age: int) -> list[int]:
        """The sample of an hour (of the epoch) and an age."""
        return [actor for _, actor in self._samples.get(hour, {}).get(age, [])]

    def hours(self) -> list[int]:
        """Hours with samples."""
        return sorted(self._samples)

    def take_expired(self, now_ms: int) -> list[tuple[int, list[int]]]:
        """Samples that are too old, as (age, accounts), which are forgotten here."""
        expired = [hour for hour in sorted(self._samples) if (hour + 1) * HOUR_MS + KEPT_MS <= now_ms]
        found = []
        for hour in expired:
            self._changed.add(hour)
            found += [(age, [actor for _, actor in sample]) for age, sample in sorted(self._samples.pop(hour).items())]
        return found

    def learn(self, age: int, acted: float, empty: float) -> None:
        """Learn how many accounts of a sample came back."""
        counts = self.learned[age]
        counts[0] += acted
        counts[1] += empty
        if sum(counts) > LEARNED_MAX:
            self.learned[age] = [count / 2 for count in counts]

    def memory_bytes(self) -> int:
        """Bytes of the samples, about 150 for each account."""
        return 150 * sum(len(sample) for ages in self._samples.values() for sample in ages.values())

    def take_changed(self) -> list[tuple[int, Any]]:
        """(hour, its samples by age) that changed since the last call; None for forgotten hours."""
        changed, self._changed = sorted(self._changed), set()
        return [(hour, self.record(hour)) for hour in changed]

    def record(self, hour: int) -> Any:
        """The stored form of one hour."""
        ages = self._samples.get(hour)
        return None if ages is None else {age: [list(pair) for pair in sample] for age, sample in sorted(ages.items())}

    def load(self, hour: int, state: Any) -> None:
        """Load an hour."""
        self._samples[hour] = msgspec.convert(state, dict[int, list[tuple[int, int]]], strict=False)


def ages_of(rows: Rows) -> Ints:
    """Class of age of accounts when they were first seen."""
    created = rows["created_s"].astype(np.int64)
    return age_classes(rows["first_s"].astype(np.int64) * 1000, np.where(created == 0, -1, created * 1000))


def age_classes(first_ms: Ints, created_ms: Ints) -> Ints:
    """Class of age of accounts that were first seen and created at these times; below 0 is not given."""
    classes = np.searchsorted(AGE_EDGES_MS, np.maximum(first_ms - created_ms, 0), side="right")
    return np.where(created_ms < 0, NO_AGE, classes)
