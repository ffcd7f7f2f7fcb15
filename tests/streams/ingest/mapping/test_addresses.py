"""Addresses as they are found in logs."""

from __future__ import annotations

from typing import Any

import pytest

from streams.ingest.mapping.addresses import addresses, plain
from streams.ingest.mapping.values import Unreadable

HOPS = "203.0.113.7, 10.0.0.1,192.0.2.4"


@pytest.mark.parametrize(
    ("hop", "value", "address"),
    [
        (0, HOPS, "203.0.113.7"),
        (2, HOPS, "192.0.2.4"),
        (-1, HOPS, "192.0.2.4"),
        (-3, HOPS, "203.0.113.7"),
        (1, ["203.0.113.7", "10.0.0.1"], "10.0.0.1"),
        (-1, "203.0.113.7", "203.0.113.7"),
        (0, ' "203.0.113.7:443" ', "203.0.113.7"),
        (0, "203.0.113.7:", "203.0.113.7"),
        (0, "[2001:db8::1]:443", "2001:db8::1"),
        (0, "[2001:db8::1]", "2001:db8::1"),
        (0, "2001:db8::1", "2001:db8::1"),
        (0, "fe80::1%eth0", "fe80::1"),
        (0, "::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_an_address_is_what_is_left_without_what_is_around_it(hop: int, value: Any, address: str) -> None:
    assert addresses(hop)([value, None]) == [address, None]


@pytest.mark.parametrize("hop_and_value", [(3, HOPS), (-4, HOPS), (0, "x"), (0, 7), (0, [7]), (0, [])])
def test_what_is_no_address_is_named(hop_and_value: tuple[int, Any]) -> None:
    hop, value = hop_and_value
    (found, good) = addresses(hop)([value, ["203.0.113.7"] * 4])
    assert type(found) is Unreadable
    assert found.why == "bad_address"
    assert good == ("203.0.113.7" if hop >= -4 and hop < 4 else found)


@pytest.mark.parametrize(
    ("values", "all_plain"),
    [
        (["203.0.113.7", "10.0.0.1"], True),
        (["203.0.113.7", None], True),
        ([None, None], True),
        (["203.0.113.7", "2001:db8::1"], False),
        (["203.0.113.7", None, "2001:db8::1"], False),
        (["203.0.113.7", 7], False),
    ],
)
def test_it_is_known_whether_all_addresses_are_plain(values: list[Any], *, all_plain: bool) -> None:
    assert plain(values) == all_plain
