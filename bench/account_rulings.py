"""Rulings on the accounts of a recorded file, to be judged by eye.

``python -m bench.account_rulings FILE.csv.gz --actor COLUMN --target COLUMN --time COLUMN [--format FORMAT] [--like]``

A file is comma- or tab-separated with a header, compressed or not. Times are epoch seconds, or have a format of
``strptime`` (UTC). It prints the number of rulings of each kind, the automated ones for each 1,000 accounts, each of
them with its reasons and what the account did, and the accounts whose conduct comes nearest.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

import numpy as np
import xxhash

from detectors.accounts.accounts import Accounts
from detectors.accounts.block import ActorBlock
from detectors.accounts.outcome import AccountsOutcome
from detectors.accounts.settings import AccountSettings
from detectors.events.key import VIEW
from streams.log.hashing import actor_hashes, partition_of

BLOCK_EVENTS = 2_000
LATENESS_MS = 10_000
SHOWN = 5
LIKE = 1

Act = tuple[int, str, str]
"""ms, actor, target"""


def acts_of(file: Path, actor: str, target: str, time: str, form: str | None) -> Iterator[Act]:
    """The acts of a file."""
    with gzip.open(file, "rt", newline="") if file.suffix == ".gz" else file.open(newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t" if ".tsv" in file.name else ",")
        for row in rows:
            at = (
                float(row[time]) if form is None else datetime.strptime(row[time], form).replace(tzinfo=UTC).timestamp()
            )
            yield round(1000 * at), row[actor], row[target]


def rule(acts: list[Act], metric: int) -> tuple[Accounts, AccountsOutcome]:
    """The accounts after all acts, in order of time, and what they reported."""
    accounts = Accounts(
        AccountSettings(), target_hash=target_hash, target_partition=lambda target: partition_of(target, 1)
    )
    outcome = AccountsOutcome()
    for begin in range(0, len(acts), BLOCK_EVENTS):
        times, actors, targets = (list(column) for column in zip(*acts[begin : begin + BLOCK_EVENTS], strict=True))
        block = ActorBlock(
            actor=actor_hashes(actors),
            account=np.zeros(len(actors), np.bool_),
            name=actors,
            target=np.array([target_hash(target) for target in targets], np.int64),
            target_name=targets,
            metric=np.full(len(actors), metric, np.int8),
            ts=np.array(times, np.int64),
        )
        accounts.observe(block, outcome)
        accounts.advance(times[-1] - LATENESS_MS, outcome)
    return accounts, outcome


def target_hash(target: str) -> int:
    """The lowest 63 bits of the hash of a target's text."""
    return xxhash.xxh3_64_intdigest(target.encode()) & (1 << 63) - 1


def main() -> int:
    """Print the rulings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    for name in ("actor", "target", "time"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--format")
    parser.add_argument("--like", action="store_true", help="the acts are likes, not views")
    options = parser.parse_args()
    acts = sorted(acts_of(options.file, options.actor, options.target, options.time, options.format))
    accounts, outcome = rule(acts, LIKE if options.like else VIEW)
    different = {actor for _, actor, _ in acts}
    automated = {record.actor for record in outcome.rulings if record.ruling == "automated"}
    print(
        f"{len(acts):,} acts of {len(different):,} accounts; new rulings {outcome.ruled}, reversed {outcome.reversed}"
    )
    print(f"automated: {1000 * len(automated) / len(different):.2f} of 1,000 accounts")
    for record in outcome.rulings:
        if record.actor in automated:
            print(record.ruling, record.actor, record.score, *(reason.text for reason in record.reasons), sep="; ")
    profiles = [accounts.profile(hashed) for hashed in actor_hashes(sorted(different)).tolist()]
    known = [profile for profile in profiles if profile is not None and sum(profile.acts.values()) >= 20]
    for name in ("even_gap_share", "same_watch_share", "longest_run_hours", "overlap_share"):
        nearest = sorted(((getattr(profile, name), profile.actor) for profile in known), key=itemgetter(0))[-SHOWN:]
        print(name, *(f"{actor} {value:.2f}" for value, actor in reversed(nearest)), sep="; ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
