"""Control frames: control records (``detectors.controls``) among the frames of a log.

A control frame has no events, no watermark and is of no source of the roster, so event time does not wait for it. Its
sequence is a function of the log that it was made from. So a reader recognises a frame that a sender without
transactions writes again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from detectors.controls import Asked, Control, Forgotten, Removed, Replayed, Ruled, ToActors, ToTargets
from streams.log.hashing import actor_partition
from streams.log.versions import FrameError

CONTROL_VERSION = 64
"""The first element of a control frame. Frames of events never have this version: workers that know no control frames
skip them as unknown."""

WEIGHT_MAX = 10_000
"""Actors in one control frame at most: some 250 kB, see ``weight_of``. A frame must stay under 1 MB."""
FEW = 8
"""The weight of a record without actors: it takes as many bytes as some eight actors."""

_SPLIT = Ruled | Replayed | Removed
"""Records with many actors that may be sent in several."""

Place = tuple[int, int, int]

_encoder = msgspec.msgpack.Encoder()


class ControlFrame(msgspec.Struct, array_like=True, gc=False):
    """One control frame. Fields may be added at the end."""

    version: int
    source: str
    """role and partition of the sender, as ``actors/3``; empty if it has none, see ``control_frame``"""
    sequence: Place
    """see ``ControlSender``"""
    records: list[msgspec.Raw]
    """each a control record; a reader skips those that it does not know"""


_decoder = msgspec.msgpack.Decoder(ControlFrame)
_to_targets = msgspec.msgpack.Decoder(ToTargets)
_to_actors = msgspec.msgpack.Decoder(ToActors | Forgotten)


def is_control(value: bytes | None) -> bool:
    """Whether a record of a log is a control frame.

    >>> is_control(msgspec.msgpack.encode([CONTROL_VERSION, "actors/3", [0, 0, 0], []])), is_control(None)
    (True, False)
    """
    return value is not None and len(value) > 1 and value[0] & 0xF0 == 0x90 and value[1] == CONTROL_VERSION


def decode_controls(value: bytes) -> ControlFrame:
    """Decode a control frame. Raises FrameError."""
    try:
        return _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError(f"not a control frame: {error}") from None


def to_targets(frame: ControlFrame) -> Iterator[ToTargets]:
    """The records of a frame of ``by-target``. Those of a kind that this version does not know are left out."""
    return _known(frame, _to_targets)


def to_actors(frame: ControlFrame) -> Iterator[ToActors | Forgotten]:
    """The records of a frame of ``by-actor``. Those of a kind that this version does not know are left out."""
    return _known(frame, _to_actors)


def _known(frame: ControlFrame, decoder: msgspec.msgpack.Decoder[Any]) -> Iterator[Any]:
    for record in frame.records:
        try:
            known = decoder.decode(record)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        yield known


class ControlSender:
    """Makes the control frames of one task.

    The sequence of a frame is (epoch, position, part). ``position`` is that of the record of the sender's log at which
    the controls were made. ``epoch`` is the event time of the sender's first controls: if its log is created again, and
    begins again at position 0, its epoch is later.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self.epoch = -1
        """stored by the task; -1 before the first controls"""

    def frames(self, controls: Iterable[tuple[int, Control]], *, position: int, now_ms: int) -> list[tuple[int, bytes]]:
        """The frames of the controls of one record: (partition of the other log, frame).

        ``controls`` are (partition, record) in order; it is called once for a position.
        """
        by_partition: dict[int, list[Control]] = {}
        for partition, record in controls:
            by_partition.setdefault(partition, []).extend(_pieces(record))
        if not by_partition:
            return []
        if self.epoch < 0:
            self.epoch = now_ms
        made: list[tuple[int, bytes]] = []
        for partition, records in sorted(by_partition.items()):
            for part, piece in enumerate(_packed(records)):
                raw = [msgspec.Raw(_encoder.encode(record)) for record in piece]
                frame = ControlFrame(CONTROL_VERSION, self._source, (self.epoch, position, part), raw)
                made.append((partition, _encoder.encode(frame)))
        return made


def control_frame(records: Iterable[Control]) -> bytes:
    """A control frame without a sender: of a command, or copied into another log. It is never skipped as repeated."""
    raw = [msgspec.Raw(_encoder.encode(record)) for record in records]
    return _encoder.encode(ControlFrame(CONTROL_VERSION, "", (0, 0, 0), raw))


class ControlsSeen:
    """The last control frame of each sender that a task has taken."""

    def __init__(self, seen: Mapping[str, Sequence[int]] | None = None) -> None:
        self._seen: dict[str, Place] = {}
        for source, (epoch, position, part) in (seen or {}).items():
            self._seen[source] = epoch, position, part

    def take(self, frame: ControlFrame) -> bool:
        """Note a frame. Returns whether it is new. One without a sender always is."""
        if not frame.source:
            return True
        sequence = tuple(frame.sequence)
        if sequence <= self._seen.get(frame.source, (-1, -1, -1)):
            return False
        self._seen[frame.source] = frame.sequence
        return True

    def dump(self) -> dict[str, Place]:
        """For the stored state."""
        return dict(self._seen)


def by_actor_partition(requests: Iterable[ToActors], partitions: int) -> list[tuple[int, ToActors]]:
    """Split the actors of requests by their partition of ``by-actor``: (partition, request), in order."""
    split: list[tuple[int, ToActors]] = []
    for request in requests:
        actors: dict[int, list[int]] = {}
        for actor in request.actors:
            actors.setdefault(actor_partition(actor, partitions), []).append(actor)
        split += [(place, replace(request, actors=listed)) for place, listed in sorted(actors.items())]
    return split


def weight_of(record: Control) -> int:
    """The size of a record, in actors."""
    return FEW + (len(record.actors) if isinstance(record, Ruled | Replayed | Removed | Asked) else 0)


def _pieces(record: Control) -> Iterator[Control]:
    """A record, or several with a part of its actors each. A question is never split: each part would get an answer."""
    if isinstance(record, Asked) or weight_of(record) <= WEIGHT_MAX or not isinstance(record, _SPLIT):
        yield record
        return
    most = WEIGHT_MAX - FEW
    for begin in range(0, len(record.actors), most):
        part = slice(begin, begin + most)
        if isinstance(record, Removed | Replayed):
            yield replace(record, actors=record.actors[part])
        else:
            columns = {name: getattr(record, name)[part] for name in ("actors", "kinds", "scores", "until")}
            yield replace(record, **columns)


def _packed(records: Iterable[Control]) -> Iterator[list[Control]]:
    """Records in order, in groups of at most WEIGHT_MAX."""
    group: list[Control] = []
    weight = 0
    for record in records:
        size = weight_of(record)
        if group and weight + size > WEIGHT_MAX:
            yield group
            group, weight = [], 0
        group.append(record)
        weight += size
    if group:
        yield group
