"""How long an id and a text may be: to the byte and the character, in native events and in mapped ones."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.events.event import Event
from streams.deadletters import Why
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Decoded, Records
from streams.settings.settings import Input
from tests.streams.pipeline import events_of

TS = 1_700_000_000_000
NATIVE: dict[str, Any] = {"metric": "view"}
MAPPED: dict[str, Any] = {
    "metric": "view",
    "map": {name: name for name in ("actor", "target", "owner", "country", "session", "user_agent", "referrer", "id")}
    | {"ts": {"path": "ts", "time": "ms"}},
}
EITHER = pytest.mark.parametrize("config", [NATIVE, MAPPED], ids=["native", "mapped"])


def decoded(config: dict[str, Any], *documents: dict[str, Any]) -> Decoded:
    """What becomes of documents, each of which has a time, an actor and a target."""
    values = [msgspec.json.encode({"ts": TS, "actor": "a", "target": "v"} | document) for document in documents]
    made = EventDecoder(Input.model_validate({"topic": "plays"} | config), 0)
    return made.decode(Records.values(list(values), 0), np.full(len(values), TS))


def events(config: dict[str, Any], *documents: dict[str, Any]) -> list[Event]:
    return [event for _, _, event in events_of(decoded(config, *documents).good)]


@EITHER
@pytest.mark.parametrize("name", ["actor", "target"])
@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
def test_an_id_of_255_bytes_is_read_and_a_longer_one_is_refused(
    name: str, character: str, config: dict[str, Any]
) -> None:
    fitting = character * (255 // len(character.encode()))
    found = decoded(config, {name: fitting}, {name: fitting + character}, {name: "short"})
    assert [getattr(event, name) for _, _, event in events_of(found.good)] == [fitting, "short"]
    ((index, reason),) = [(refusal.index, refusal.reason) for refusal in found.refused]
    assert (index, reason) == (1, Why.BAD_ID)
    assert f"{len((fitting + character).encode())} bytes" in found.refused[0].message


@EITHER
def test_an_owner_that_is_too_long_is_left_out_and_counted(config: dict[str, Any]) -> None:
    found = decoded(config, {"owner": "o" * 255}, {"owner": "o" * 256}, {}, {"owner": "é" * 128})
    assert [event.owner for _, _, event in events_of(found.good)] == ["o" * 255, None, None, None]
    assert found.unread == {("owner", "bad_id"): 2}
    assert found.refused == []


@EITHER
@pytest.mark.parametrize(("name", "most"), [("session", 255), ("user_agent", 2048), ("referrer", 2048)])
def test_a_text_is_cut_at_its_limit_and_a_country_is_left_out(name: str, most: int, config: dict[str, Any]) -> None:
    found = decoded(config, {name: "é" * most}, {name: "é" * (most + 1)}, {}, {name: "é" * (most + 5)})
    texts = [getattr(event, name) for _, _, event in events_of(found.good)]
    assert texts == ["é" * most, "é" * most, None, "é" * most]
    assert found.unread == {(name, "too_long"): 2}
    found = decoded(config, {"country": "c" * 64}, {"country": "c" * 65}, {})
    assert [event.country for _, _, event in events_of(found.good)] == ["c" * 64, None, None]
    assert found.unread == {("country", "too_long"): 1}


@pytest.mark.parametrize("character", ["x", "é"])
def test_joined_texts_become_their_hash_only_where_they_are_too_long_for_an_id(character: str) -> None:
    config = MAPPED | {"map": MAPPED["map"] | {"target": {"join": ["one", "other"], "separator": "/"}}}
    one = character * (240 // len(character.encode()))
    fitting, longer = "b" * (255 - len(one.encode()) - 1), "b" * (255 - len(one.encode()))
    targets = [event.target for event in events(config, *({"one": one, "other": other} for other in (fitting, longer)))]
    assert targets[0] == f"{one}/{fitting}"
    assert len(targets[1]) == 32
    assert events(config, {"one": one, "other": longer + "c"})[0].target not in targets


def test_every_element_counts_and_a_bad_one_is_named_by_its_place_in_its_own_list() -> None:
    config = {
        "metric": "view",
        "each": "events",
        "map": {
            "ts": {"outer": "ts", "time": "ms"},
            "actor": "who",
            "target": "what",
            "id": {"outer": "id"},
            "country": "where",
        },
    }
    good, bad = {"who": "a", "what": "v"}, {"who": "a", "what": "x" * 256}
    found = decoded(
        config,
        {"id": "r0", "events": [good] * 3},
        {"id": "r1", "events": []},
        {"id": "r2", "events": [good, bad, good, bad]},
        {"id": "r3", "events": 7},
        {"id": "r4", "events": [good] * 500},
        {"id": "r5", "events": [good] * 501},
        {"id": "r6"},
    )
    rows = events_of(found.good)
    assert [index for index, _, _ in rows] == [0] * 3 + [2] * 2 + [4] * 500
    assert [event.id for _, _, event in rows[:5]] == ["r0#0", "r0#1", "r0#2", "r2#0", "r2#2"]
    assert [(refusal.index, refusal.reason) for refusal in found.refused] == [
        (2, Why.BAD_ID),
        (3, Why.WRONG_TYPE),
        (5, Why.TOO_MANY_EVENTS),
    ]
    assert found.refused[0].message.startswith("element 1: 256 bytes")
    assert found.skipped == {"no_elements": 2}
