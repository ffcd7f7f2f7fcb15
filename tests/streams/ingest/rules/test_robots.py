"""Who declares itself a robot, and who does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.rules.robot_list import KINDS, PEOPLE, RobotList, RobotPattern, robot_patterns
from streams.ingest.rules.robots import SPARED, Robots

ROBOTS = Robots()
OWN = list(robot_patterns())
AGENTS = Path(__file__).parent / "agents"
PATTERNS = [entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA]
LIST = re.compile("|".join(pattern for pattern in PATTERNS if pattern not in SPARED))
OTHER_LIST = RobotList(OWN)
KNOWN = sorted({agent for entry in CRAWLER_USER_AGENTS_DATA for agent in entry["instances"]})

OF_PEOPLE = (
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


def lines(name: str) -> list[str]:
    """The user agents of a file."""
    text = (AGENTS / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def listed(agent: str) -> bool:
    """Whether one of the lists has a user agent, without the index of words."""
    return bool(LIST.search(agent)) or OTHER_LIST.has(agent) or any(text in agent for text in OTHER_LIST.texts)


@pytest.mark.parametrize("agent", OF_PEOPLE)
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
    known = [*KNOWN, *(row.example for row in OWN), *lines("people.txt"), *lines("robots.txt")]
    assert [agent for agent in known if ROBOTS.declares(agent) != listed(agent)] == []


@given(
    st.lists(
        st.sampled_from(KNOWN).map(lambda agent: agent[len(agent) // 3 :])
        | st.sampled_from([row.example for row in OWN])
        | st.text(max_size=9)
    ).map("".join)
)
def test_and_for_anything_else(agent: str) -> None:
    assert ROBOTS.declares(agent) == listed(agent)


def test_nothing_that_people_use_is_found() -> None:
    people = lines("people.txt")
    assert len(people) > 500
    assert [agent for agent in people if ROBOTS.declares(agent)] == []


def test_robots_of_public_lists_are_found() -> None:
    robots = lines("robots.txt")
    assert len(robots) > 150
    assert [agent for agent in robots if not ROBOTS.declares(agent)] == []
    assert [agent for agent in robots if LIST.search(agent)] == [], "what the other list has needs no test here"


@pytest.mark.parametrize("row", OWN, ids=lambda row: row.pattern)
def test_every_row_of_our_list_finds_its_example_and_is_needed(row: RobotPattern) -> None:
    assert row.kind in KINDS
    alone = RobotList([row])
    assert alone.has(row.example) or any(text in row.example for text in alone.texts)
    assert not LIST.search(row.example), "the other list has it"


def test_no_row_is_there_twice() -> None:
    patterns = [row.pattern.lower() for row in OWN]
    assert sorted(set(patterns)) == sorted(patterns)


@pytest.mark.parametrize(
    "agent",
    [
        "Java/17",
        "java/1.8.0_292",
        "node",
        "node-fetch",
        "axios/1.6.2",
        "got (https://github.com/sindresorhus/got)",
        "k6/0.49.0 (https://k6.io/)",
        "yt-dlp/2024.03.10",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36 Datadog/Synthetics",
        "Overcast/1.0 Podcast Sync (7 subscribers; feed-id=1; +http://overcast.fm/)",
        "SomeNewBot/0.1",
        "Mozilla/5.0 (compatible; Unheard/2.1; +https://unheard.example/about)",
    ],
)
def test_libraries_tools_probes_and_fetchers_are_found(agent: str) -> None:
    assert ROBOTS.declares(agent)


@pytest.mark.parametrize(
    "agent",
    [
        "Nokia6230/2.0 (04.44) Profile/MIDP-2.0 Configuration/CLDC-1.1 UCWEB/2.0 (Java; U; MIDP-2.0; en; nokia6230)",
        "Mozilla/5.0 (Linux; Android 7.0; LG-K6 Build/NRD90U) Chrome/65.0.3325.109 Mobile Safari/537.36",
        "GotPodcasts/3.1 (iOS 17.2; iPhone)",
        "Nodecast/2.0 CFNetwork/1410.0.3 Darwin/22.6.0",
        "Needle/12 CFNetwork/1410.0.3 Darwin/22.6.0",
        "MyPlayer/2.9 (Linux;Android 13) ExoPlayerLib/2.18.7",
        "Dart/3.2 (dart:io)",
        "Alamofire/5.8.1",
        "Dalvik/2.1.0 (Linux; U; Android 13; Cubot X70 Build/TP1A)",
        "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)",
        "Spotify/1.2.26 Win32_x86_64/0 (PC desktop)",
        "Mozilla/5.0 (Linux; Android 13; Spider 8) AppleWebKit/537.36 Chrome/124.0.0.0 Safari/537.36",
    ],
)
def test_apps_that_contain_a_library_or_its_name_are_not(agent: str) -> None:
    assert not ROBOTS.declares(agent)


@given(st.sampled_from([row.example for row in OWN if row.pattern.startswith("^")]))
def test_a_product_inside_an_app_of_a_handset_is_not_found(example: str) -> None:
    agent = f"{example} CFNetwork/1410.0.3 Darwin/22.6.0"
    assert PEOPLE.search(agent)
    assert not OTHER_LIST.has(agent)


def test_what_is_spared_is_on_the_list_and_has_its_reason() -> None:
    assert SPARED.keys() <= set(PATTERNS)
    assert all(SPARED.values())
