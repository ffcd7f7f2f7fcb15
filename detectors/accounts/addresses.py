"""Ids that are addresses: many people may be behind one."""

from __future__ import annotations

import ipaddress


def is_address(name: str) -> bool:
    """Whether an actor's id is an IP address.

    >>> is_address("203.0.113.77"), is_address("2001:db8::1"), is_address("user.7"), is_address("12345")
    (True, True, False, False)
    """
    if not name or (":" not in name and name.count(".") != 3) or len(name) > 45:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
