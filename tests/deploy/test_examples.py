"""The example configurations are accepted by the code that reads them, and mean what they say."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import numpy as np
import pytest
from pydantic import BaseModel

from detectors.events.event import MAX_TS_MS, Event
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Records
from streams.settings.inputs import Mapping
from streams.settings.settings import Settings, load, load_map
from tests.deploy.conftest import ROOT
from tests.streams.pipeline import events_of

DEPLOY = ROOT / "deploy"


def test_the_commented_configuration_is_the_defaults() -> None:
    assert load(DEPLOY / "truecount.toml", environ={}) == Settings()


def keys(model: type[BaseModel]) -> set[str]:
    """Every key of a section and of the sections in it."""
    found = {field.alias or name for name, field in model.model_fields.items()}
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= keys(field.annotation)
    return found


def test_the_commented_configuration_shows_every_key_but_the_secret() -> None:
    text = (DEPLOY / "truecount.toml").read_text()
    shown = {line.removeprefix("# ").partition(" = ")[0] for line in text.splitlines() if " = " in line}
    sections = [line.removeprefix("# ") for line in text.splitlines()]
    shown |= {part for line in sections if line.startswith("[") for part in line.strip("[]").split(".")}
    assert keys(Settings) - shown == {"password"}


def test_the_commented_mapped_input_works_when_uncommented() -> None:
    text = (DEPLOY / "truecount.toml").read_text()
    start = text.index("# [[inputs]]")
    shown = "\n".join(line.removeprefix("#").strip() for line in text[start:].splitlines())
    settings = Settings.model_validate(tomllib.loads(shown))
    assert settings.inputs[0].map is not None


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        (
            "reviews.toml",
            {"reviewerId": "53632", "vendorId": "231", "rating": "5", "date": "2003-05-07 18:09"},
            ("like", "53632", "231", 1_052_330_940_000),
        ),
        (
            "wiki_edits.toml",
            {"editor": "2", "page": "8229", "seconds": "36"},
            ("view", "2", "8229", 36_000),
        ),
        (
            "movie_ratings.toml",
            {"user": "259", "item": "255", "rating": "4", "unix_ts": "874724710"},
            ("like", "259", "255", 874_724_710_000),
        ),
        (
            "coordinated_shares.toml",
            {"object_id": "cd16", "account_id": "a208", "content_id": "030b", "timestamp_share": "1610870193.0"},
            ("like", "a208", "cd16", 1_610_870_193_000),
        ),
    ],
)
def test_a_replay_map_reads_a_row(name: str, row: dict[str, str], expected: tuple[str, str, str, int]) -> None:
    event = _event(load_map(DEPLOY / "examples" / name), row)
    assert (event.metric, event.actor, event.target, event.ts) == expected
    assert event.id is None, "the id comes from topic, partition and offset"


def _event(mapping: Mapping, document: dict[str, Any]) -> Event:
    values = [msgspec.json.encode(document)]
    good = EventDecoder(mapping).decode(Records.values(values, 0), np.array([MAX_TS_MS])).good
    assert good is not None
    return events_of(good)[0][2]


def test_the_mapped_inputs_read_the_documents_beside_them() -> None:
    settings = load(DEPLOY / "examples" / "mapped_input.toml", environ={})
    views, reactions, follows = settings.inputs
    assert views.map is not None
    assert reactions.map is not None
    assert follows.map is None
    view = _event(
        views,
        {
            "event": {"uuid": "e1", "occurred_at": "2024-05-01T12:00:00.250Z"},
            "viewer": {"account_id": 77, "registered": 1_690_000_000, "ip": "203.0.113.9"},
            "media": {"id": "v42", "channel": "c7", "length_ms": 184_000},
            "watched_ms": 9_100,
        },
    )
    assert (view.id, views.metric, view.ts) == ("e1", "view", 1_714_564_800_250)
    assert (view.actor, view.actor_created_at, view.owner) == ("77", 1_690_000_000_000, "c7")
    undo: dict[str, Any] = {
        "at": 1_714_564_800,
        "user": "77",
        "post": {"id": "v42"},
        "kind": "like",
        "removed": True,
    }
    like = _event(reactions, undo)
    assert (like.metric, like.undo, like.id, like.ts) == ("like", True, None, 1_714_564_800_000)
