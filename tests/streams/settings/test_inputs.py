"""A map that cannot work is refused before anything runs, with a sentence that names the key."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from streams.settings.inputs import Input

NEEDED = 'ts = "t"\nactor = "a"\ntarget = "v"\n'


def _refusal(toml: str) -> str:
    with pytest.raises(ValidationError) as caught:
        Input.model_validate(tomllib.loads('topic = "plays"\nmetric = "view"\n' + toml))
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in caught.value.errors())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ('watch_ms = {path = "w", time = "s"}', "watch_ms: time cannot be used here"),
        ('id = {path = "i", time = "s"}', "id: time cannot be used here"),
        ('id = {path = "i", unit = "s"}', "unit cannot be used here"),
        ('watch_ms = {path = "w", unit = "min"}', "unit"),
        ('actor_created_at = {path = "c", time = "%H"}', "does not give a whole date"),
        ('actor_created_at = {path = "c", time = "%Y-%m-%d %Z"}', "%Z"),
        ('actor_created_at = {path = "c", time = "seconds"}', "must be s, ms, us, ns, iso or a strptime format"),
        ('id = {path = "i", header = "h"}', "exactly one of"),
        ("id = {}", "there is none"),
        ('id = "a..b"', "no path"),
        ('id = {first = ["i"]}', "at least 2"),
        ('id = {join = ["i"]}', "at least 2"),
        ('id = {first = ["i", "j"], none = ["0"]}', "inside each alternative"),
        ('id = {first = ["i", {first = ["j", "k"]}]}', "write one list"),
        ('id = {path = "i", separator = "-"}', "separator needs join"),
        ('watch_ms = {join = ["i", "j"]}', "join makes a text"),
        ('metric = {join = ["i", "j"]}', "join makes a text"),
        ('metric = {path = "m", words = {LIKE = "love"}}', "LIKE = 'love' must be one of view, like, follow"),
        ('metric = {value = "love"}', "must be one of"),
        ('undo = {path = "u", words = {yes = "yes"}}', "must be true or false"),
        ('undo = {value = "yes"}', "must be true or false"),
        ('undo = {path = "u", words = {}}', "words is empty"),
        ('country = {path = "c", words = {x = true}}', "must be a text"),
        ('watch_ms = {path = "w", words = {x = "1"}}', "words cannot be used here"),
        ('actor_created_at = {join = ["day", "clock"]}', "give the layout of the text with time"),
        ('actor_created_at = {join = ["day", "clock"], time = "ms"}', "give the layout of the text with time"),
        ('country = "$"', "needs each"),
        ('country = {key = "$"}', "only path can lead to it"),
        ('country = {path = "c", exists = true}', "exists cannot be used here"),
        ('undo = {path = "d", exists = true, words = {x = true}}', "exists and words cannot be used together"),
        ('undo = {first = [{path = "d", exists = true}, "e"]}', "exists cannot be inside first"),
        ("undo = {value = true, exists = true}", "a constant always exists"),
        ('country = {path = "c", hop = 0}', "hop cannot be used here"),
        ("country = {timestamp = true}", "country is not a time"),
        ('actor_created_at = {timestamp = true, time = "s"}', "in milliseconds already"),
        ('id = {path = "i", pattern = "("}', "not a valid regular expression"),
        ('id = {path = "i", pattern = "x"}', "one group"),
        ('id = {value = "i", none = ["i"]}', "a constant cannot have"),
        ('id = {outer = "i"}', "outer needs each"),
        ('id = {path = "i", default = "x"}', "Extra inputs are not permitted"),
        ('viewer = "u"', "unknown field 'viewer'"),
    ],
)
def test_a_source_that_cannot_work_is_refused(fields: str, sentence: str) -> None:
    assert sentence in _refusal(f"[map]\n{NEEDED}{fields}")


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ('keep = [{path = "kind"}]', "a condition needs one of"),
        ('keep = [{is = ["play"]}]', "exactly one of"),
        ('keep = [{path = "kind", is = []}]', "at least one word"),
        ('keep = [{path = "s", at_least = 300, at_most = 200}]', "no value can match"),
        ('keep = [{path = "s", matches = "("}]', "not a valid regular expression"),
        ("keep = [{value = 1, is = 1}]", "cannot test a constant"),
        ('keep = [{path = "s", time = "s", is = 1}]', "time cannot be used here"),
        ('keep = [{outer = "s", is = 1}]', "outer needs each"),
        ('each = "items"', "each needs a map"),
        ('transform = "json"', "package.module:function"),
        ('transform = "no_such_module:f"', "cannot be imported"),
        ('transform = "json:no_such_function"', "has no function no_such_function"),
        ('transform = "json:loads"\nkeep = [{path = "s", is = 1}]', "transform and keep cannot be used together"),
        ('transform = "json:loads"\neach = "items"', "transform and each cannot be used together"),
        ('metric = "share"', "metric"),
        ("earliest = -1", "earliest"),
    ],
)
def test_an_input_that_cannot_work_is_refused(keys: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Input.model_validate(tomllib.loads(f'topic = "plays"\n{keys}'))
    assert sentence in str(caught.value)


def test_a_map_needs_what_an_event_needs() -> None:
    assert "the map lacks target" in _refusal('[map]\nts = "t"\nactor = "a"')


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    refusal = _refusal('format = "xml"')
    assert "format: Value error, 'xml' is not a format that can be read" in refusal
    assert "json" in refusal
