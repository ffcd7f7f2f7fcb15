"""Writes a draft as TOML with comments: a map for ``truecount replay``, or an input of a configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from streams.maps.choice import Choice
from streams.maps.costs import COSTS, cost_of
from streams.maps.doubts import printable
from streams.maps.sample import Draft

WIDTH = 118
"""Largest length of a line with its comment; of a longer one the comment is on the line above."""


def page_of(draft: Draft, *, head: Iterable[str], topic: str | None = None, format_: str | None = None) -> str:
    """The TOML text.

    ``head`` are comments at its top. With ``topic``, it is an input, and ``format_`` names its codec. Without, it is a
    map of a file, and ``format_`` is the file's format.
    """
    lines = [f"# {printable(line)}" for line in head]
    lines += [f"# {printable(line)}" for line in draft.notes]
    if draft.missing:
        lines.append(f"# NOT FOUND: {', '.join(draft.missing)}. Write below where each of them is: the map needs them.")
    lines.append("")
    if topic is not None:
        lines += ["[[inputs]]", f"topic = {_value(topic)}"]
        lines += [f"format = {_value(format_)}"] if format_ not in (None, "json") else []
    lines += _top(draft)
    if topic is None:
        lines += ["", "[file]", f"format = {_value(format_ or 'ndjson')}", "", "[map]"]
    else:
        lines += ["", "[inputs.map]"]
    for name, choice in draft.choices.items():
        lines += _entry(name, choice)
    absent = [name for name in COSTS if name not in draft.choices]
    if absent:
        lines += ["", "# Optional fields that were not found, and what is lost without them:"]
        lines += [f"#   {name}: {cost_of(name)}" for name in absent]
    return "\n".join(lines) + "\n"


def _top(draft: Draft) -> list[str]:
    lines = [] if draft.metric is None else [f"metric = {_value(draft.metric)}"]
    if draft.each is not None:
        lines.append(f"each = {_value(draft.each)}  # each element of this list becomes an event")
    if draft.repeated is not None:
        lines += [f"# {draft.repeated}", "relations = false"]
    for name, conditions, comment in (
        ("keep", draft.keep, "other records are skipped, and counted as skipped"),
        ("skip", draft.skip, "these records are skipped"),
    ):
        if conditions:
            lines += [f"{name} = [  # {comment}", *(f"    {_value(condition)}," for condition in conditions), "]"]
    return lines


def _entry(name: str, choice: Choice) -> list[str]:
    comment = f"  # {'' if choice.sure else 'unsure: '}{printable(choice.why)}"
    entry = f"{name} = {_value(_short(choice.source))}"
    lines = [entry + comment] if len(entry + comment) <= WIDTH else [comment.strip(), entry]
    return lines + [f"# or: {name} = {_value(_short(other))}" for other in choice.others]


def _short(source: dict[str, Any]) -> Any:
    path = source.get("path")
    return path if isinstance(path, str) and len(source) == 1 else source


def _value(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)


def _key(key: str) -> str:
    return key if key.isascii() and key.replace("_", "").isalnum() else _value(key)
