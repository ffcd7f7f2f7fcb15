"""Whether people repeat the same act on the same target in sample records, so that an act is no relation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.events.event import METRICS
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Records
from streams.maps.sample import Draft
from streams.settings.inputs import Input

APART_MS = 60_000
"""Least time between two acts that are a repetition: a client sends the same act again within seconds."""
PEOPLE_MIN = 3
"""Least number of people who repeat an act: a single one may be a program."""
SHARE_MIN = 0.005
"""Least share of repetitions among people's acts after their first. Of recorded ratings none was one, of shares 0.9 %,
of reviews two thirds (the first thousand records)."""


def suggest_relations(made: Draft, source: Input, records: Records, latest_ms: int) -> None:
    """Suggest ``relations = false`` if several people repeat the same like or follow, and no act is ever undone.

    ``source`` is the input with the drafted map, which reads the records.
    """
    if "undo" in made.choices or made.rows:
        return
    good = EventDecoder(source).decode(records, np.full(len(records.value), latest_ms)).good
    if good is None:
        return
    acts = np.arange(len(good.ts)) if made.metric_guessed else np.flatnonzero(good.metric != METRICS.index("view"))
    columns = (good.fields[name] for name in ("actor", "target", "id"))
    repeated, further, people = repetitions(good.ts[acts], *([column[n] for n in acts.tolist()] for column in columns))
    if people >= PEOPLE_MIN and repeated >= SHARE_MIN * further:
        likes = "if they are likes or follows: " if made.metric_guessed else ""
        made.repeated = (
            f"{likes}people repeat an act on the same target ({repeated:,} of {further:,} acts after a person's first)"
        )


def repetitions(
    ts: NDArray[np.int64], actors: Sequence[str | None], targets: Sequence[str], ids: Sequence[str | None]
) -> tuple[int, int, int]:
    """Acts of people on targets that they acted on before, all acts of people after their first, and how many repeat.

    >>> times = np.array([0, 60_000, 120_000, 120_000, 130_000])
    >>> repetitions(times, ["a", "a", "a", None, "a"], ["v", "w", "v", "v", "v"], [None] * 5)
    (1, 2, 1)
    """
    latest: dict[tuple[str, str], int] = {}
    known: set[str] = set()
    people: set[str] = set()
    seen: set[str] = set()
    repeated = further = 0
    for place in np.argsort(ts, kind="stable").tolist():
        actor, ident, now = actors[place], ids[place], int(ts[place])
        if actor is None or ident in seen:
            continue
        if ident is not None:
            seen.add(ident)
        act = actor, targets[place]
        before, latest[act] = latest.get(act), now
        if before is not None and now - before < APART_MS:
            continue
        further += actor in known
        known.add(actor)
        if before is not None:
            repeated += 1
            people.add(actor)
    return repeated, further, len(people)
