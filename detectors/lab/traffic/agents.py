"""User agents of a platform's people, of bots, of schools and of social apps."""

from __future__ import annotations

import numpy as np

from detectors.lab.traffic.population import Floats, Texts

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "iPhone; CPU iPhone OS 17_{} like Mac OS X"
IPHONE_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


def chrome(system: str, version: int, *, mobile: bool = False) -> str:
    """Chrome's user agent.

    >>> chrome("X11; Linux x86_64", 120)
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36'
    """
    return f"Mozilla/5.0 ({system}) {WEBKIT} Chrome/{version}.0.0.0 {'Mobile ' * mobile}Safari/537.36"


STALE_AGENTS = tuple(
    chrome(f"Windows NT {nt}; Win64; x64", version)
    for nt, version in (("6.1", 86), ("10.0", 92), ("10.0", 96), ("6.3", 79), ("10.0", 103), ("10.0", 108))
)
"""Outdated browsers that bot kits imitate."""
SCRIPT_AGENTS = (
    f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/119.0.0.0 Safari/537.36",
    "python-requests/2.31.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0",
)
IN_APP_AGENTS = tuple(
    f"Mozilla/5.0 ({IPHONE.format(minor)}) {IPHONE_WEBKIT} Mobile/15E148 Social {build}"
    for minor, build in ((6, 340), (6, 341), (5, 340), (7, 341))
)
SCHOOL_AGENT = chrome("X11; CrOS x86_64 14541.0.0", 130)


def agent_mix(rng: np.random.Generator) -> tuple[Texts, Floats]:
    """User agents and their shares: a few current browsers, and the platform's app on a long tail of phones."""
    entries: list[tuple[str, float]] = []
    for age, version in enumerate(range(131, 117, -1)):
        fading = 0.55**age
        windows = chrome("Windows NT 10.0; Win64; x64", version)
        firefox = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
        entries += [
            (windows, 14.0 * fading),
            (f"{windows} Edg/{version}.0.0.0", 3.0 * fading),
            (firefox, 2.0 * fading),
            (chrome("Macintosh; Intel Mac OS X 10_15_7", version), 4.5 * fading),
            (chrome("X11; Linux x86_64", version), 0.9 * fading),
            (chrome("Linux; Android 10; K", version, mobile=True), 17.0 * fading),
        ]
    for minor in range(10):
        phone = f"Mozilla/5.0 ({IPHONE.format(minor)}) {IPHONE_WEBKIT}"
        agent = f"{phone} Version/17.{minor} Mobile/15E148 Safari/604.1"
        entries.append((agent, 2.0 / (1 + abs(minor - 6))))
    for rank in range(160):  # handsets, by a Zipf law
        model = f"Android {14 - rank % 6}; SM-{'AGSMNE'[rank % 6]}{100 + 7 * rank}{'BFUE'[rank % 4]}"
        entries.append((f"StreamApp/9.{31 - rank % 5}.2 (Linux; {model}) okhttp/4.12", 8.0 / (rank + 3)))
    for rank in range(24):
        model = f"iPhone{16 - rank // 4},{rank % 4 + 1}; iOS 17.{rank % 7}; Scale/3.00"
        entries.append((f"StreamApp/9.{31 - rank % 4}.2 ({model})", 14.0 / (rank + 3)))
    for rank in range(12):
        system = f"SMART-TV; Linux; Tizen {7 - rank % 4}.0"
        entries.append((f"Mozilla/5.0 ({system}) AppleWebKit/538.1 TVApp/{rank}.4 TV", 0.4))
    shares = np.array([share for _, share in entries]) * rng.uniform(0.8, 1.25, len(entries))
    return np.array([text for text, _ in entries], dtype=object), shares / shares.sum()
