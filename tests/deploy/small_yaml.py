"""Reads the part of YAML that our own deployment files use: no YAML library is needed for a few tests.

Mappings and sequences in blocks, flow lists and maps on one line, plain and double-quoted scalars, literal
blocks (``|``), comments. Whatever else YAML has is refused. Scalars stay strings.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|[^\s"'\[\]{}&*!|>#,:-][^\s:]*):(?:\s+(.*))?$""")
_TOKEN = re.compile(r"""\s*([\[\]{},]|"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s\[\]{},"'][^\[\]{},]*)""")
_REFUSED = ("&", "*", "!", ">", "%", "@", "`", "---")

Line = tuple[int, str]


def read(path: Path) -> Any:
    """The document as dicts, lists and strings. Raises ValueError for what it does not know."""
    lines: list[Line] = []
    for raw in path.read_text().splitlines():
        text = raw.strip()
        if "\t" in raw:
            raise ValueError(f"a tab: {raw!r}")
        if text and not text.startswith("#"):
            lines.append((len(raw) - len(raw.lstrip()), text))
    value, rest = _block(lines, lines[0][0])
    if rest:
        raise ValueError(f"cannot read {rest[0][1]!r}")
    return value


def _block(lines: list[Line], indent: int) -> tuple[Any, list[Line]]:
    return _sequence(lines, indent) if lines[0][1].startswith("- ") else _mapping(lines, indent)


def _sequence(lines: list[Line], indent: int) -> tuple[list[Any], list[Line]]:
    items: list[Any] = []
    while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
        text = lines[0][1][2:].strip()
        if _KEY.match(text):
            inner = indent + 2
            item, lines = _mapping([(inner, text), *lines[1:]], inner)
        else:
            item, lines = _scalar(text), lines[1:]
        items.append(item)
    return items, lines


def _mapping(lines: list[Line], indent: int) -> tuple[dict[str, Any], list[Line]]:
    found: dict[str, Any] = {}
    while lines and lines[0][0] == indent and not lines[0][1].startswith("- "):
        match = _KEY.match(lines[0][1])
        if match is None:
            raise ValueError(f"cannot read {lines[0][1]!r}")
        key, text, lines = _scalar(match[1]), (match[2] or "").strip(), lines[1:]
        if key in found:
            raise ValueError(f"{key} stands twice")
        deeper = bool(lines) and (lines[0][0] > indent or (lines[0][0] == indent and lines[0][1].startswith("- ")))
        if text == "|":
            end = next((n for n, (column, _) in enumerate(lines) if column <= indent), len(lines))
            found[key], lines = "\n".join(line for _, line in lines[:end]), lines[end:]
        elif text or not deeper:
            found[key] = _scalar(text)
        else:
            found[key], lines = _block(lines, lines[0][0])
    return found, lines


def _scalar(text: str) -> Any:
    if not text:
        return None
    if text[0] in "[{":
        tokens = _TOKEN.findall(text)
        value, rest = _flow(tokens)
        if rest:
            raise ValueError(f"cannot read {text!r}")
        return value
    return _plain(text)


def _plain(text: str) -> str:
    if text.startswith('"'):
        return str(json.loads(text))
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text.startswith(_REFUSED) or " #" in text or ": " in text:
        raise ValueError(f"cannot read {text!r}")
    return text


def _flow(tokens: list[str]) -> tuple[Any, list[str]]:
    if tokens[0] not in "[{":
        return _plain(tokens[0].strip()), tokens[1:]
    opening, tokens = tokens[0], tokens[1:]
    closing = "]" if opening == "[" else "}"
    items: list[Any] = []
    entries: dict[str, Any] = {}
    while tokens[0] != closing:
        if opening == "[":
            item, tokens = _flow(tokens)
            items.append(item)
        else:
            key, colon, text = tokens[0].partition(": ") if ": " in tokens[0] else tokens[0].partition(":")
            if not colon:
                raise ValueError(f"no value for {key!r}")
            value, tokens = _flow([text.strip(), *tokens[1:]] if text.strip() else tokens[1:])
            entries[_plain(key.strip())] = value
        if tokens[0] == ",":
            tokens = tokens[1:]
    return (items if opening == "[" else entries), tokens[1:]
