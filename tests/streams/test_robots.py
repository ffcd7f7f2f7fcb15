"""Who declares itself a robot, and who does not."""

from __future__ import annotations

import re

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from hypothesis import given
from hypothesis import strategies as st

from streams.rules.robots import SPARED, Robots

ROBOTS = Robots()
PATTERNS = [entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA]
LIST = re.compile("|".join(pattern for pattern in PATTERNS if pattern not in SPARED))
KNOWN = sorted({agent for entry in CRAWLER_USER_AGENTS_DATA for agent in entry["instances"]})

PEOPLE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0.4664 Mobile Safari",
    "Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 Chrome/142.0 Mobile Safari",
    "Mozilla/5.0 (Linux; Android 16; Pixel 10 Build/CP1A.260305.018; wv) Chrome/146.0.0.0 Mobile MetaIAB Facebook",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) Mobile/15E148 [FBAN/FBIOS;FBAV/420.0.0.32.70;FBBV/489]",
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) SamsungBrowser/4.0 Chrome/76.0.3809.146 TV Safari/537.36",
    "Opera/9.80 (Android; Opera Mini/36.2/119.132; U; id) Presto/2.12.423 Version/12.16",
    "Spotify/8.8.0 Android/33 (SM-G991B)",
    "okhttp/4.9.3",
    "AppleCoreMedia/1.0.0.20G75 (iPhone; U; CPU OS 16_6 like Mac OS X; en_us)",
    "Roku/DVP-12.0 (12.0.0.4181-CS)",
    "agent/17",
    "",
)


@pytest.mark.parametrize("agent", PEOPLE)
def test_browsers_apps_and_players_are_no_robots(agent: str) -> None:
    assert not ROBOTS.declares(agent)


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (Linux; Android 6.0.1) Chrome/99 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com)",
        "python-requests/2.31.0",
        "curl/8.1.2",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.0.0 Safari/537.36",
    ],
)
def test_crawlers_scripts_and_driven_browsers_are(agent: str) -> None:
    assert ROBOTS.declares(agent)


def test_the_quick_way_answers_as_the_list_does_for_all_that_it_knows() -> None:
    assert [agent for agent in KNOWN if ROBOTS.declares(agent) != bool(LIST.search(agent))] == []


@given(st.lists(st.sampled_from(KNOWN).map(lambda agent: agent[len(agent) // 3 :]) | st.text(max_size=9)).map("".join))
def test_and_for_anything_else(agent: str) -> None:
    assert ROBOTS.declares(agent) == bool(LIST.search(agent))


def test_what_is_spared_is_on_the_list_and_has_its_reason() -> None:
    assert SPARED.keys() <= set(PATTERNS)
    assert all(SPARED.values())
