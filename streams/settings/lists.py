"""An operator's lists of networks (CIDR), user agents (texts or regexes) and ids, in the configuration or in files."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path

FILE_MARK = "@"
"""``"@path"`` in a list includes the lines of that file."""
COMMENT = "#"


def read(entries: Iterable[str], check: Callable[[str], str]) -> tuple[str, ...]:
    """Read entries and the lines of the files they name; ``check`` validates and normalises each.

    In a file, empty lines are ignored, and ``#`` at the beginning of a line or after a space starts a comment. Raises
    ValueError naming the file and the line, or the entry.
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
    """A network in canonical notation. Raises ValueError.

    >>> network("203.0.113.9"), network("2001:DB8::/32")
    ('203.0.113.9/32', '2001:db8::/32')
    """
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network; write one as 203.0.113.0/24 or 2001:db8::/32 ({error})") from None


def agent(text: str) -> str:
    """Validate a text to find in user agents, or a regex between slashes. Raises ValueError."""
    if not text:
        raise ValueError("an empty text would match every user agent; remove it")
    if is_regex(text):
        try:
            compiled = re.compile(text[1:-1])
        except re.error as error:
            raise ValueError(f"{text} is not a valid regex ({error})") from None
        if compiled.search(""):
            raise ValueError(f"{text} matches the empty text, so it would match every user agent")
    return text


def name(text: str) -> str:
    """Validate an id. Raises ValueError."""
    if not text:
        raise ValueError("an id must not be empty")
    return text


def is_regex(text: str) -> bool:
    return len(text) > 2 and text[0] == text[-1] == "/"
