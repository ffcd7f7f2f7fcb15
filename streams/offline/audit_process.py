"""A process that audits some partitions of an offline replay: it reads their frames from a socket, and answers."""

from __future__ import annotations

import socket
import struct
from typing import BinaryIO

import msgspec

from detectors.failures import UNCONTAINED, text_of
from streams.offline.partitions import Audited, PartitionReplay, Totals
from streams.service import memory
from streams.settings.settings import Settings

_LENGTH = struct.Struct("<I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, bytes]]).decode


class Answer(msgspec.Struct, array_like=True):
    """The answer to the frames of a step, or to an empty list of them, which ends the log."""

    audited: list[Audited] = []
    totals: list[Totals] | None = None
    """of each partition, at the end of the log"""
    failure: str = ""
    """an exception in a few words; the process audits nothing after it"""
    traceback: str = ""
    expected: bool = False
    """whether the machine has failed, and not the computation"""
    partition: int = -1
    """the partition that was audited when it was raised; -1 if none was"""


def audit_partitions(settings: Settings, partitions: list[int], connection: socket.socket) -> None:
    """Audit until the log or the parent ends."""
    memory.collect_rarely()
    with connection, connection.makefile("rb") as frames:
        try:
            _audit(settings, partitions, frames, connection)
        except ConnectionError:
            return  # the parent has ended
        # Not closed before the parent has read the last answer: it would lose it.
        while frames.read(1):
            pass


def _audit(settings: Settings, numbers: list[int], frames: BinaryIO, connection: socket.socket) -> None:
    now = -1
    try:
        partitions = {number: PartitionReplay(settings, number) for number in numbers}
        while (length := frames.read(_LENGTH.size)) and (step := _decode(frames.read(_LENGTH.unpack(length)[0]))):
            audited = []
            for now, frame in step:
                audited.append(partitions[now].apply(frame))
            _send(connection, Answer(audited))
        _send(connection, Answer(totals=[partition.totals() for partition in partitions.values()]))
    except ConnectionError:
        raise
    except Exception as error:  # noqa: BLE001  # the parent reports it, whatever it is
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        expected = isinstance(error, UNCONTAINED)
        _send(connection, Answer(failure=reason, traceback=text_of(error), expected=expected, partition=now))


def _send(connection: socket.socket, answer: Answer) -> None:
    message = _encode(answer)
    connection.sendall(_LENGTH.pack(len(message)) + message)
