"""Finds user agents that declare themselves robots, by the list of crawler-user-agents and our own list.

The list of crawler-user-agents has some 1,500 regexes. To test them all on a user agent costs 200 to 500 µs, which is
too much for a platform with a hundred thousand kinds of handsets. Nearly all of them are plain words. Each word is
therefore indexed by four of its characters. A word is searched only if its four characters occur in the user agent.
This takes 20 µs, and the result is the same.
"""

from __future__ import annotations

import re
from collections import defaultdict

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from streams.ingest.rules.robot_list import RobotList, robot_patterns

SPARED: dict[str, str] = {
    "okhttp": "what apps on Android send unless they say otherwise",
    "^Apache-HttpClient": "the same of older apps",
    r"AP3A\.240617\.008": "a build of Android 15 that millions of handsets have",
    "MetaIAB Facebook": "the browser inside Facebook's app",
    "WhatsApp": "inside a browser's user agent it is the app's own browser",
    "Viber": "the browser inside Viber's app",
    "Sogou": "a browser of that name",
    "coccoc": "a browser of that name",
    "Fluid": "a browser that makes an app of a web site",
    "mail\\.ru": "browser and messenger of that name",
    "Daum\\/": "an app of that name",
    "Google-Read-Aloud": "somebody has a page read aloud",
    "Code\\/1\\.": "an editor's own browser",
    "Trae\\/": "an editor's own browser",
    "Notion\\/": "an app in which people watch what is embedded",
    "Tumblr\\/": "an app in which people watch what is embedded",
    "Bluesky\\/": "an app in which people watch what is embedded",
    "Mastodon": "apps in which people watch what is embedded",
    "Goodreads": "an app in which people watch what is embedded",
    "Feedly": "an app in which people watch what is embedded",
    "Instapaper\\/": "an app in which people watch what is embedded",
    "Overcast\\/": "a player of podcasts",
    "PocketCasts\\/": "a player of podcasts",
    "Podimo": "a player of podcasts",
    "Hype Machine\\/": "a player of music",
}
"""Patterns that are ignored, because programs of people send them too → the reason."""

GRAM = 4
_USUAL = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
    " (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 (Linux; Android 10; K) (X11; Linux x86_64)"
    " (Macintosh; Intel Mac OS X 10_15_7) Gecko/20100101 Firefox/127.0 (compatible; +http://www.)"
)
"""Parts of many user agents: four characters of them are a poor index."""


_ESCAPED = re.compile(r"\\([^\w\s])")
_SPECIAL = frozenset(r"\.^$*+?{}[]|()")


class Robots:
    """Both lists, compiled. Nothing is cached here; the caller does that.

    >>> robots = Robots()
    >>> robots.declares("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    True
    >>> robots.declares("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0")
    False
    """

    def __init__(self) -> None:
        self._own = RobotList(robot_patterns())
        patterns = [entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA if entry["pattern"] not in SPARED]
        usual = frozenset(_grams(_USUAL))
        words: dict[str, list[str]] = defaultdict(list)
        rest = []
        found_as = [
            *((pattern, _word_of(pattern)) for pattern in patterns),
            *((text, text) for text in self._own.texts),
        ]
        for pattern, word in found_as:
            found = [] if word is None else [gram for gram in _grams(word) if gram not in usual]
            if word is None or not found:
                rest.append(pattern)
            else:
                words[found[0]].append(word)
        self._words = dict(words)
        self._grams = frozenset(words)
        self._rest = re.compile("|".join(rest))

    def declares(self, agent: str) -> bool:
        """Whether the user agent declares that it is a robot."""
        for gram in self._grams.intersection(_grams(agent)):
            if any(word in agent for word in self._words[gram]):
                return True
        return self._own.has(agent) or self._rest.search(agent) is not None


def _grams(text: str) -> list[str]:
    return [text[at : at + GRAM] for at in range(len(text) - GRAM + 1)]


def _word_of(pattern: str) -> str | None:
    """The text that a pattern matches anywhere; None if it matches several texts, or only in some place."""
    bare = _ESCAPED.sub("", pattern)
    return _ESCAPED.sub(r"\1", pattern) if _SPECIAL.isdisjoint(bare) else None
