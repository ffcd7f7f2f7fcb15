"""Our own list of declared robots, beside crawler-user-agents: HTTP libraries, command-line tools, probes, fetchers.

The file robots.tsv explains its forms. A product at the beginning is one look into a set, so its row costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("robots.tsv")
KINDS = ("library", "tool", "load", "monitor", "podcast", "download", "headless", "scanner", "word")

PEOPLE = re.compile(
    r"Android|iPhone|iPad|iPod|\biOS\b|CFNetwork|watchOS|tvOS|Windows Phone|Windows CE|MIDP|Symbian|BlackBerry|KAIOS"
    r"|DoCoMo|Gateway|Tizen|Web0S|SMART-TV|SmartTV|HbbTV|NetCast|CrKey|Roku|PlayStation|Xbox|Nintendo|MSIE|Trident/"
)
"""Names of people's devices and apps. There, a product may be a library of the app, and a word may be a name."""
_HEAD = re.compile(r"[^/;(]*")
_TAIL = re.compile(r",?(?: v?\d\S*| [-–:].*| https?:.*)?,?$")


@dataclass(frozen=True, slots=True)
class RobotPattern:
    """A pattern of the list: its kind, the pattern, and a user agent that it matches."""

    kind: str
    pattern: str
    example: str


def robot_patterns(path: Path = LIST) -> Iterator[RobotPattern]:
    """Read all patterns, in the order of the file."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, pattern, example = line.split("\t")
            yield RobotPattern(kind, pattern, example)


class RobotList:
    """The compiled list, without its plain texts: these are in ``texts``, and the caller indexes them.

    >>> listed = RobotList(robot_patterns())
    >>> listed.has("reqwest/0.11.22"), listed.has("reqwest-based app/1.0 (Android 14)"), listed.has("Newslitbot/0.1")
    (True, False, True)
    """

    def __init__(self, listed: Iterable[RobotPattern]) -> None:
        self.texts: list[str] = []
        products, beginnings = [], []
        self._words: list[tuple[str, re.Pattern[str]]] = []
        for row in listed:
            if row.pattern.startswith("^"):
                products.append(row.pattern[1:].lower())
            elif row.kind == "word":
                word, _, regex = row.pattern.partition(" ")
                self._words.append((word, re.compile(regex[1:-1])))
            elif row.pattern.startswith("/"):
                beginnings.append(row.pattern[1:-1].removeprefix("^"))
            else:
                self.texts.append(row.pattern)
        self._products = frozenset(products)
        self._beginnings = re.compile("|".join(beginnings))

    def has(self, agent: str) -> bool:
        """Whether a user agent matches a pattern of the list that is no plain text."""
        lower = agent.lower()
        if not lower.startswith("mozilla/"):  # browsers begin with it, and no product of the list does
            head = _HEAD.match(lower)
            product = head[0].strip() if head else ""
            if product in self._products or _TAIL.sub("", product) in self._products:
                return not PEOPLE.search(agent)
            if self._beginnings.match(agent):
                return True
        for word, regex in self._words:
            if word in lower and regex.search(lower):
                return not PEOPLE.search(agent)
        return False
