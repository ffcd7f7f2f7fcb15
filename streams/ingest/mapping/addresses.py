"""Reads IP addresses as platforms write them: with a port, in brackets, with a zone, as a list of hops."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import Any

from streams.deadletters import BAD_ADDRESS
from streams.grammar.times import kind_of, short
from streams.ingest.mapping.values import ConvertColumn, ValueColumn, column_converter
from streams.log.hashing import address_of, all_ipv4

_WITH_PORT = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\](?::\d*)?|(?P<dotted>[\d.]+):\d*)", re.ASCII).fullmatch


def addresses(hop: int = 0) -> ConvertColumn:
    """Convert addresses to plain text. Of a list of hops, the one at ``hop`` is taken: 0 is the first, -1 the last."""

    def address(value: Any) -> str:
        return _plain(_hop(value, hop))

    convert = column_converter(address, BAD_ADDRESS, frozenset((type(None),)))

    def column(values: ValueColumn) -> ValueColumn:
        return values if plain(values) else convert(values)

    return column


def plain(values: Sequence[Any]) -> bool:
    """Whether all values but None are plain IPv4, as nearly all addresses are."""
    try:
        return all_ipv4(values)
    except TypeError:
        given = [value for value in values if value is not None]
    try:
        return not given or all_ipv4(given)
    except TypeError:
        return False


def _hop(value: Any, hop: int) -> str:
    if isinstance(value, str):
        if "," not in value:
            return value
        value = value.split(",")
    if not isinstance(value, list):
        raise TypeError(f"Expected an address as text, got `{kind_of(value)}`")
    if not -len(value) <= hop < len(value):
        raise ValueError(f"a list of {len(value)} addresses has none at {hop}")
    if not isinstance(value[hop], str):
        raise TypeError(f"Expected an address as text, got `{kind_of(value[hop])}`")
    return str(value[hop])


def _plain(text: str) -> str:
    if ":" in text and "." not in text:
        try:
            socket.inet_pton(socket.AF_INET6, text)
        except (OSError, ValueError):
            pass
        else:
            return text
    stripped = text.strip().strip('"')
    found = _WITH_PORT(stripped)
    if found is not None:
        stripped = found["bracketed"] or found["dotted"]
    stripped = stripped.partition("%")[0]  # the zone of a link-local address names an interface of the host
    address = address_of(stripped)
    if address is None:
        raise ValueError(f"{short(text)} is no address")
    return str(address)
