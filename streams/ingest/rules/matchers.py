"""Matches addresses and user agents against the lists of an operator."""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterable

from streams.log.hashing import address_of
from streams.settings.lists import is_regex


class Networks:
    """A list of networks. It tells whether an address is in one of them.

    >>> listed = Networks(["203.0.113.64/26", "198.51.0.0/16", "2001:db8::/32"])
    >>> listed.has("203.0.113.70"), listed.has("203.0.113.7"), listed.has("2001:db8:1::1"), listed.has("here")
    (True, False, True, False)
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._starts: dict[int, list[int]] = {4: [], 6: []}
        self._ends: dict[int, list[int]] = {4: [], 6: []}
        spans = sorted(
            (found.version, int(found.network_address), int(found.broadcast_address))
            for found in map(ipaddress.ip_network, networks)
        )
        for version, start, end in spans:
            ends = self._ends[version]
            if ends and start <= ends[-1] + 1:
                ends[-1] = max(ends[-1], end)
            else:
                self._starts[version].append(start)
                ends.append(end)

    def __bool__(self) -> bool:
        return bool(self._starts[4] or self._starts[6])

    def has(self, ip: str) -> bool:
        """Whether an address is in one of the networks; false for a text that is no address."""
        address = address_of(ip)
        if address is None:
            return False
        number = int(address)
        place = bisect_right(self._starts[address.version], number) - 1
        return place >= 0 and number <= self._ends[address.version][place]


class Agents:
    """A list of texts and regexes for user agents. The case of texts is ignored.

    >>> listed = Agents(["ViewBooster", "/^Bot v[0-9]+$/"])
    >>> listed.has("Mozilla/5.0 viewbooster/2"), listed.has("Bot v12"), listed.has("Robot v12")
    (True, True, False)
    """

    def __init__(self, agents: Iterable[str]) -> None:
        agents = list(agents)
        self._texts = [text.lower() for text in agents if not is_regex(text)]
        # Not joined into one regex: flags and groups of one would change the others.
        self._regexes = [re.compile(text[1:-1]) for text in agents if is_regex(text)]

    def __bool__(self) -> bool:
        return bool(self._texts or self._regexes)

    def has(self, agent: str) -> bool:
        """Whether the user agent is listed."""
        lower = agent.lower()
        return any(text in lower for text in self._texts) or any(regex.search(agent) for regex in self._regexes)
