"""One account in readable form: what it did when, and what is concluded from it."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from detectors.accounts.acts.conduct import daily
from detectors.accounts.acts.rates import GRID_MS, fold
from detectors.accounts.acts.recent_targets import recent_targets
from detectors.accounts.acts.updates import NETWORK_BITS, TARGET_BITS, VIEWED_BITS, WEEK_HOURS
from detectors.accounts.crowds.settlement import Distrusted
from detectors.accounts.outcome import RulingRecord
from detectors.accounts.rulings.changes import is_account, record_of
from detectors.accounts.rulings.evaluation import Evaluation
from detectors.accounts.rulings.verdicts import condemned_at
from detectors.accounts.storage.bits import distinct, has_bit
from detectors.accounts.storage.columns import GAP_LABELS, NO_KIND, Rows
from detectors.events.event import METRICS


class Act(msgspec.Struct):
    """The last act of an account on one of its latest targets."""

    at: int
    """epoch ms, whole minutes"""
    metric: str
    target_hash: int
    """lowest 32 bits of the target's hash: the text is not stored"""
    removed: bool
    """whether the target's crowd is under question or was removed"""


class ReplayFound(msgspec.Struct):
    """A target that an account replays by a program. Times are epoch ms."""

    target: str
    since: int
    until: int
    """when it expires"""
    text: str


class Profile(msgspec.Struct):
    """What is known of one account. Times are epoch ms; counts are exact unless their text says "about"."""

    actor: str
    account: bool
    first_seen: int
    last_seen: int
    created_at: int | None
    acts: dict[str, int]
    """by metric"""
    undos: int
    rates: dict[str, float]
    """acts per minute (the peak), hour and day, decayed"""
    gaps: dict[str, int]
    """acts by the time since the account's act before, from the histogram of log gaps"""
    hours: list[str]
    """for each day of the week (Monday first) 24 characters: ``#`` active, ``.`` not. UTC"""
    targets: int
    """distinct targets, about"""
    owners: int
    networks: int
    views_without_watch_time: int
    watched_ms: int
    overlap_share: float
    """share of the watch time during which another video of the account was playing"""
    longest_run_hours: float
    """longest time without a pause"""
    even_gap_share: float
    same_watch_share: float
    condemned: float
    """memberships in condemned crowds, decayed with a half-life of 30 days"""
    recent: list[Act]
    """latest first"""
    ruling: RulingRecord | None
    replays: list[ReplayFound] = []
    """targets whose views by this account are invalid because a program makes them, the latest first"""


def profile_of(rows: Rows, name: str, now_ms: int, evaluation: Evaluation, distrusted: Distrusted) -> Profile:
    """The profile of an account, from a copy of its row (the only one of ``rows``)."""
    rows = rows.copy()
    fold(rows, now_ms // GRID_MS)
    row = rows[0]
    active = [has_bit(row["hours"], hour) for hour in range(WEEK_HOURS)]
    compared, shares = max(1, int(row["compared"])), max(1, int(row["shares"]))
    return Profile(
        actor=name,
        account=is_account(row, evaluation.gives_ages),
        first_seen=1000 * int(row["first_s"]),
        last_seen=int(row["last_ms"]),
        created_at=1000 * int(row["created_s"]) if row["created_s"] else None,
        acts=dict(zip(METRICS, row["acts"].tolist(), strict=True)),
        undos=int(row["undos"]),
        rates={
            "minute": float(row["minute_peak"]),
            "hour": float(row["hour_rate"]) * math.log(2.0),
            "day": float(daily(row["day_rate"])),
        },
        gaps=dict(zip(GAP_LABELS, row["gaps"].tolist(), strict=True)),
        hours=["".join(".#"[hour] for hour in active[24 * day : 24 * day + 24]) for day in range(7)],
        targets=_about(row["targets"], TARGET_BITS),
        owners=_about(row["viewed"], VIEWED_BITS),
        networks=_about(row["networks"], NETWORK_BITS),
        views_without_watch_time=int(row["unwatched"]),
        watched_ms=int(row["watched_ms"]),
        overlap_share=int(row["overlap_ms"]) / max(1, int(row["watched_ms"])),
        longest_run_hours=float(row["longest_h"]),
        even_gap_share=int(row["even"]) / compared,
        same_watch_share=int(row["same_shares"]) / shares,
        condemned=condemned_at(row, now_ms),
        recent=[
            Act(each.at_ms, METRICS[each.metric], each.target, each.target in distrusted)
            for each in recent_targets(row)
        ],
        ruling=None if row["kind"] == NO_KIND else record_of(row, name, now_ms, evaluation.grounds()),
        replays=[
            ReplayFound(replay.target, replay.since, replay.until, replay.text)
            for replay in evaluation.replays.of(int(row["actor"]))
        ],
    )


def _about(bits: np.ndarray, size: int) -> int:
    """Distinct values from the bits that they set (linear counting, Whang et al. 1990)."""
    used = int(distinct(np.atleast_1d(bits).astype(np.uint64)).sum())
    return round(-size * math.log(max(size - used, 1) / size))
