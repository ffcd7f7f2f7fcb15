"""The sample of a window's people, packed: a record for each of the actors with the smallest hashes, sorted by hash.

A sample is an immutable ``bytes`` object of 40 bytes a person, where dicts of Python objects took 350. Most samples are
small, so a few people are added one by one, and only many as arrays.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import starmap

import numpy as np
from numpy.typing import NDArray

ACTOR_SAMPLE = 256
"""k of the bottom-k (KMV) sample: distinct counts within 1/sqrt(k-2) = 6 %, shares within 3 points, in
at most 256 entries. It replaces a HyperLogLog because the same sample answers "how often did they
come" and "had we seen them before"; see docs/decisions/0004-one-sample-of-actors.md."""

DIMENSIONS: tuple[str, ...] = ("network", "agent", "referrer", "country", "account")
"""Traits of a person. In a row they come after the actor and before the watch time."""

ActorTraits = tuple[int, int, int, int, int, int]
"""A person's buckets in the order of COLUMNS, -1 where not given."""
NOTHING_KNOWN: ActorTraits = (-1, -1, -1, -1, -1, -1)

COLUMNS: tuple[str, ...] = (*DIMENSIONS, "watch")
"""A row's numbers after the actor."""
REFERRER, ACCOUNT, WATCH = (COLUMNS.index(name) for name in ("referrer", "account", "watch"))
"""Their places in a person's marks."""

PERSON = np.dtype([("actor", "<i8"), ("events", "<i8"), *((name, "<i4") for name in COLUMNS)])
"""A sampled person: the actor's hash, the number of the actor's events, and marks. If an actor's marks differ, the
smallest tuple: arrival order does not matter."""
PERSON_BYTES = PERSON.itemsize
SAMPLE_BYTES = ACTOR_SAMPLE * PERSON_BYTES
"""Length of a full sample."""

FEW_PEOPLE = 32
"""Number of people up to which they are added one by one (measured)."""

People = NDArray[np.void]
_Person = tuple[int, ...]
"""actor, events, and then each of COLUMNS"""
_PERSON = struct.Struct("<qq" + "i" * len(COLUMNS))
ROW = struct.Struct("<q" + "i" * len(COLUMNS))
"""A packed event of a window: the actor, then each of COLUMNS."""

_Words = NDArray[np.int64]
"""Records as rows of 64-bit numbers, which NumPy copies ten times as fast as records of PERSON."""
_ACTOR, _EVENTS, _MARKS = 0, 1, 2
"""Columns of these: the hash, the number of events, and the first of three with two marks each."""
_WORDS = PERSON_BYTES // 8


def people_in(sample: bytes) -> People:
    """The records of a sample as an array of PERSON."""
    return np.frombuffer(sample, PERSON)


def marks_of(people: People) -> NDArray[np.int32]:
    """Marks of people who are one after the other in memory: a row for each, with a column for each of COLUMNS."""
    return people.view("<i4").reshape(-1, PERSON_BYTES // 4)[:, -len(COLUMNS) :]


def last_actor(sample: bytes) -> int:
    """The largest hash of a sample, which must not be empty."""
    return int.from_bytes(sample[-PERSON_BYTES : 8 - PERSON_BYTES], "little", signed=True)


def pack_people(people: Iterable[_Person]) -> bytes:
    """Pack people who are sorted by actor."""
    return b"".join(starmap(_PERSON.pack, people))


def with_few_rows(sample: bytes, rows: Sequence[tuple[int, ...]]) -> tuple[bytes, bool]:
    """Add a few events, each an actor and then COLUMNS. Returns the sample, and whether an actor was left out of it."""
    people: list[_Person] = []
    last = None
    for row in sorted(rows):  # the smallest marks of an actor come first
        if row[0] == last:
            person = people[-1]
            people[-1] = (last, person[1] + 1, *person[2:])
        else:
            last = row[0]
            people.append((last, 1, *row[1:]))
    return _with_few(sample, people)


def with_many_rows(sample: bytes, rows: bytes) -> tuple[bytes, bool]:
    """As ``with_few_rows``, with many packed rows, each an actor and then COLUMNS."""
    table, left_out = np.frombuffer(rows, "<i8").reshape(-1, _WORDS - 1), False
    if len(sample) == SAMPLE_BYTES:
        inside = table[:, _ACTOR] <= last_actor(sample)
        left_out = not inside.all()
        table = table[inside]
        if len(table) <= FEW_PEOPLE:  # so it is in a window of thousands
            few, cut = with_few_rows(sample, list(ROW.iter_unpack(table.tobytes())))
            return few, left_out or cut
    known = len(sample) // PERSON_BYTES
    words = np.ones((known + len(table), _WORDS), np.int64)
    words[:known] = _words(sample)
    words[known:, _ACTOR], words[known:, _MARKS:] = table[:, 0], table[:, 1:]
    joined, cut = _joined(words)
    return joined, left_out or cut


def merged(sample: bytes, other: bytes) -> tuple[bytes, bool]:
    """Merge two samples. Returns the sample of both, and whether an actor was left out of it."""
    left_out = False
    if len(sample) == SAMPLE_BYTES and other:
        inside = int(people_in(other)["actor"].searchsorted(last_actor(sample), "right")) * PERSON_BYTES
        left_out = inside < len(other)
        other = other[:inside]
    if not (sample and other):
        return sample or other, left_out
    few, many = sorted((other, sample), key=len)
    if len(few) <= FEW_PEOPLE * PERSON_BYTES:
        joined, cut = _with_few(many, list(_PERSON.iter_unpack(few)))
    else:
        joined, cut = _joined(_words(sample + other))
    return joined, left_out or cut


def found_in(sample: bytes, actors: Sequence[int]) -> list[int]:
    """Those of the actors who are in a sample."""
    places = people_in(sample)["actor"].searchsorted(np.array(actors, np.int64)).tolist()
    return [
        actor
        for actor, at in zip(actors, places, strict=True)
        if sample[PERSON_BYTES * at : PERSON_BYTES * at + 8] == actor.to_bytes(8, "little", signed=True)
    ]


def _with_few(sample: bytes, people: list[_Person]) -> tuple[bytes, bool]:
    """Add people who are sorted by actor, each once."""
    if not sample:
        return _cut(pack_people(people))
    left_out = False
    if len(sample) == SAMPLE_BYTES:
        last, number = last_actor(sample), len(people)
        people = [person for person in people if person[0] <= last]
        left_out = len(people) < number
    places = people_in(sample)["actor"].searchsorted([person[0] for person in people]).tolist()
    pieces, done = [], 0
    for person, place in zip(people, places, strict=True):
        at = place * PERSON_BYTES
        pieces.append(sample[done:at])
        done = at
        added = person
        if at < len(sample):
            known = _PERSON.unpack_from(sample, at)
            if known[0] == person[0]:
                added = (person[0], person[1] + known[1], *min(person[2:], known[2:]))
                done += PERSON_BYTES
        pieces.append(_PERSON.pack(*added))
    joined, cut = _cut(b"".join([*pieces, sample[done:]]))
    return joined, left_out or cut


def _cut(joined: bytes) -> tuple[bytes, bool]:
    return joined[:SAMPLE_BYTES], len(joined) > SAMPLE_BYTES


def _words(sample: bytes) -> _Words:
    return np.frombuffer(sample, "<i8").reshape(-1, _WORDS)


def _joined(words: _Words) -> tuple[bytes, bool]:
    """The sample of records in any order, of which several may be of one actor."""
    order = words[:, _ACTOR].argsort(kind="stable")
    actors = words[order, _ACTOR]
    first = np.ones(len(order), np.bool_)
    np.not_equal(actors[1:], actors[:-1], out=first[1:])
    starts = first.nonzero()[0]
    left_out = len(starts) > ACTOR_SAMPLE
    if left_out:
        order, starts = order[: starts[ACTOR_SAMPLE]], starts[:ACTOR_SAMPLE]
    if len(starts) == len(order):
        return words[order].tobytes(), left_out
    sizes = np.diff(starts, append=len(order))
    several = np.repeat(sizes > 1, sizes).nonzero()[0]
    order[several] = _by_marks(words, order[several])
    joined = words[order[starts]]
    joined[:, _EVENTS] = np.add.reduceat(words[order, _EVENTS], starts)
    return joined.tobytes(), left_out


def _by_marks(words: _Words, places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Places of records, sorted by actor and then by marks."""
    marks = words[places, _MARKS:].view("<i4").astype(np.int64)
    pairs = (marks[:, ::2] << 32) + (marks[:, 1::2] + (1 << 31))  # a number for two marks, in their order
    return places[np.lexsort((*pairs.T[::-1], words[places, _ACTOR]))]
