"""Control records: what the roles ``targets`` and ``actors`` tell each other. Times are epoch ms of event time.

They travel in the logs, between the frames, and take effect at their position. So the logs reproduce every output.
Actors are hashes without the account bit (``events.actor``).
"""

from __future__ import annotations

import msgspec

HUMAN, DECLARED_ROBOT, AUTOMATED, EMPTY, DORMANT, SELLER = range(6)
KINDS = ("human", "declared_robot", "automated", "empty", "dormant", "seller")
"""Kinds of rulings by their number, which is persisted. ``empty``: did nothing except the act in question.
``seller``: suspected to be one of a seller's accounts."""


class Ruled(msgspec.Struct, array_like=True, tag="ruled"):
    """From ``actors`` to all partitions of ``by-target``: rulings that are new or have changed. Columns."""

    at: int
    actors: list[int]
    kinds: list[int]
    scores: list[int]
    """0 … 100; an actor that is no account (an address, a guest id) has at most 50"""
    until: list[int]
    """when each ruling expires; not after ``at`` for a ruling that was taken back"""


class Followed(msgspec.Struct, array_like=True, tag="followed"):
    """From ``actors`` to the partition of a target: its new followers, and those who had not viewed its owner."""

    at: int
    target: str
    start: int
    end: int
    followers: int
    unviewed: int


class Replayed(msgspec.Struct, array_like=True, tag="replayed"):
    """From ``actors`` to the partition of a target: accounts that replay it by a program."""

    at: int
    target: str
    until: int
    """when it expires, if it is not sent again"""
    actors: list[int]


class Asked(msgspec.Struct, array_like=True, tag="asked"):
    """From ``targets`` to a partition of ``by-actor``: which of these accounts do something else until ``due``?"""

    case: str
    """flag id"""
    key: str
    """metric and target (``events.key``)"""
    partition: int
    """the partition of ``by-target`` that asks"""
    owner: int
    """hash of the target's owner, -1 if not known"""
    onset: int
    until: int
    """the incident, as far as it is known"""
    due: int
    actors: list[int]


class Answered(msgspec.Struct, array_like=True, tag="answered"):
    """From ``actors`` to the partition that asked: what the accounts of one question did."""

    at: int
    case: str
    key: str
    acted: int
    """accounts that did something on another target and owner, before the incident or after it"""
    empty: int
    """accounts that did nothing else"""
    unknown: int
    """accounts of which nothing is stored"""
    usual_acted: int
    usual_empty: int
    """the same of the platform's other accounts that were equally new"""


class Removed(msgspec.Struct, array_like=True, tag="removed"):
    """From ``targets`` to a partition of ``by-actor``: actors whose acts were taken out of a count."""

    at: int
    case: str
    key: str
    share: float
    """estimated share of these actors whose acts were bought"""
    actors: list[int]


class Forgotten(msgspec.Struct, array_like=True, tag="forgotten"):
    """From ``truecount forget`` to the partition of an actor: everything that is stored of it is deleted."""

    actor: int
    name: str
    """the key of its record in the topic actors"""


ToTargets = Ruled | Followed | Replayed | Answered
ToActors = Asked | Removed
Control = Ruled | Followed | Replayed | Answered | Asked | Removed | Forgotten
