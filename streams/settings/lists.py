"""An operator's lists: networks in CIDR notation, user agents as texts or regexes; written down or in files."""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path

from streams.log.hashing import address_of

FILE_MARK = "@"
"""``"@path"`` in a list stands for the lines of that file."""
COMMENT = "#"


def read(entries: Iterable[str], check: Callable[[str], str]) -> tuple[str, ...]:
    """Entries with the lines of the files they name, each as ``check`` writes it.

    Empty lines of a file and what follows ``#`` at a line's beginning or after a space are comments. Raises ValueError
    naming the file and the line, or the entry.
    """
    found: dict[str, None] = {}
    for entry in entries:
        if not entry.startswith(FILE_MARK):
            found[_checked(entry, f"the entry {entry!r}", check)] = None
            continue
        path = Path(entry.removeprefix(FILE_MARK))
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
        for number, line in enumerate(lines, 1):
            text = re.split(rf"(?:^|\s){COMMENT}", line, maxsplit=1)[0].strip()
            if text:
                found[_checked(text, f"{path}, line {number}", check)] = None
    return tuple(found)


def _checked(text: str, where: str, check: Callable[[str], str]) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def network(text: str) -> str:
    """A network as it is written canonically. Raises ValueError.

    >>> network("203.0.113.9"), network("2001:DB8::/32")
    ('203.0.113.9/32', '2001:db8::/32')
    """
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no network, write one as 203.0.113.0/24 or 2001:db8::/32 ({error})") from None


def agent(text: str) -> str:
    """A text to be looked for, or a regex between slashes. Raises ValueError."""
    if not text:
        raise ValueError("an empty text is in every user agent")
    if _is_regex(text):
        try:
            compiled = re.compile(text[1:-1])
        except re.error as error:
            raise ValueError(f"{text} is no regex ({error})") from None
        if compiled.search(""):
            raise ValueError(f"{text} matches the empty text, and so every user agent")
    return text


def name(text: str) -> str:
    """An id. Raises ValueError."""
    if not text:
        raise ValueError("an id is not empty")
    return text


class Networks:
    """A list of networks, to be asked for addresses.

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
        """Whether an address is of one of the networks; what is no address is of none."""
        address = address_of(ip)
        if address is None:
            return False
        number = int(address)
        place = bisect_right(self._starts[address.version], number) - 1
        return place >= 0 and number <= self._ends[address.version][place]


class Agents:
    """A list of texts and regexes, to be asked for user agents. Texts are found in any case.

    >>> listed = Agents(["ViewBooster", "/^Bot v[0-9]+$/"])
    >>> listed.has("Mozilla/5.0 viewbooster/2"), listed.has("Bot v12"), listed.has("Robot v12")
    (True, True, False)
    """

    def __init__(self, agents: Iterable[str]) -> None:
        agents = list(agents)
        self._texts = [text.lower() for text in agents if not _is_regex(text)]
        # Not joined into one: flags and groups of one would change the others.
        self._regexes = [re.compile(text[1:-1]) for text in agents if _is_regex(text)]

    def __bool__(self) -> bool:
        return bool(self._texts or self._regexes)

    def has(self, agent: str) -> bool:
        """Whether the user agent is listed."""
        lower = agent.lower()
        return any(text in lower for text in self._texts) or any(regex.search(agent) for regex in self._regexes)


def _is_regex(text: str) -> bool:
    return len(text) > 2 and text[0] == text[-1] == "/"
