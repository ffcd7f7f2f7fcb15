"""An operator's lists: networks in CIDR notation, user agents as texts or regexes; written down or in files."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path

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
    if is_regex(text):
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


def is_regex(text: str) -> bool:
    return len(text) > 2 and text[0] == text[-1] == "/"
