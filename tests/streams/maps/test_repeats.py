"""Acts that people repeat are suggested to be no relations."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.maps.repeats import APART_MS, PEOPLE_MIN, repetitions
from streams.settings.inputs import ReplayMap
from tests.command import truecount

HOUR_S = 3600


def suggested(tmp_path: Path, header: str, rows: list[str], name: str = "records.csv") -> tuple[dict[str, Any], str]:
    """The suggested map of a file, and its text."""
    path = tmp_path / name
    path.write_text("\n".join([header, *rows]) + "\n")
    done = truecount("map", "suggest", str(path))
    assert done.returncode == 0, done.stderr
    read = tomllib.loads(done.stdout)
    ReplayMap.model_validate(read)
    return read, done.stdout


def acts(people: int, *, each: int = 3, again: int = 0, apart_s: int = HOUR_S, end: str = "") -> list[str]:
    """Rows of people who act on different targets; ``again`` of them act on the first one once more."""
    made = []
    for person in range(people):
        targets = [*range(each), *([0] if person < again else [])]
        made += [
            f"{1_767_634_490 + person * 100 + n * apart_s},u{person},t{person}-{target}{end}"
            for n, target in enumerate(targets)
        ]
    return made


@pytest.mark.parametrize("name", ["likes.csv", "follows.csv"])
def test_several_people_who_repeat_an_act_make_it_no_relation(tmp_path: Path, name: str) -> None:
    read, page = suggested(tmp_path, "ts,user,item", acts(30, again=4), name)
    assert read["relations"] is False
    assert "people repeat an act on the same target (4 of 64 acts after a person's first)" in page


def test_where_the_metric_is_a_guess_it_says_so(tmp_path: Path) -> None:
    read, page = suggested(tmp_path, "ts,user,item", acts(30, again=4))
    assert (read["metric"], read["relations"]) == ("view", False)
    assert "# if they are likes or follows: people repeat" in page


@pytest.mark.parametrize(
    ("header", "rows", "name"),
    [
        ("ts,user,item", acts(30), "likes.csv"),
        ("ts,user,item", acts(30, again=PEOPLE_MIN - 1), "likes.csv"),
        ("ts,user,item", acts(200, each=5, again=3), "likes.csv"),
        ("ts,user,item", acts(30, each=1, again=9, apart_s=APART_MS // 1000 - 1), "likes.csv"),
        ("ts,user,item", acts(30, again=9), "views.csv"),
        ("ts,user,item,removed", [*acts(30, again=9, end=",f"), "1767999999,u1,t1-1,t"], "likes.csv"),
    ],
    ids=["once each", "few people", "seldom", "sent again", "views", "undos"],
)
def test_other_inputs_have_relations(tmp_path: Path, header: str, rows: list[str], name: str) -> None:
    read, _ = suggested(tmp_path, header, rows, name)
    assert "relations" not in read


ACTS = st.lists(
    st.tuples(st.integers(0, 10 * APART_MS), st.sampled_from(["a", "b", None]), st.sampled_from("vw")), max_size=30
)


@given(ACTS, st.integers(0, 29))
def test_an_event_that_is_delivered_twice_is_no_repetition(acts: list[tuple[int, str | None, str]], place: int) -> None:
    def counted(rows: list[tuple[int, int, str | None, str]]) -> tuple[int, int, int]:
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
        return repetitions(np.array(columns[1], np.int64), columns[2], columns[3], [str(n) for n in columns[0]])

    rows = [(number, *act) for number, act in enumerate(acts)]
    again = [*rows, *rows[place : place + 1]]
    assert counted(again) == counted(rows)
    repeated, further, people = counted(rows)
    assert 0 <= people <= repeated <= max(0, further)
    assert counted([(n, ts, None, target) for n, ts, _, target in rows]) == (0, 0, 0)
