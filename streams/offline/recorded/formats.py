"""Recognises the format of a recorded file, by its content and its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import orjson

Format = Literal["csv", "tsv", "ndjson", "json", "parquet"]

PACKED = (".gz", ".gzip", ".zst", ".zstd")
NAMES: dict[str, Format] = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_ARRAY = re.compile(rb"\s*\[\s*(?:[{\]]|\Z)")
_OBJECT = re.compile(rb"\s*\{")
_ARRAYS = re.compile(rb"\s*\[[^\r\n]*\]\s*[\r\n]\s*\[")
_LINES = re.compile(rb"[\r\n]+")


def text_format(path: Path, head: bytes, declared: Format | None = None) -> Format:
    """The format of a text file that begins with ``head``; ``declared`` is the format in its map.

    An array of records is always recognised, and so are lines of one array each, which are NDJSON. Otherwise the
    declared format decides, then the name, then the content.

    >>> text_format(Path("x.csv.gz"), b"a,b")
    'csv'
    >>> text_format(Path("x"), b'[{"a": 1}]'), text_format(Path("x.json"), b'{"a": 1}')
    ('json', 'ndjson')
    >>> text_format(Path("x"), b'[{"a": 1}]\\n[{"a": 2}]'), text_format(Path("x.ndjson"), b'{"a": 1}{"a": 2}')
    ('ndjson', 'json')
    >>> text_format(Path("x"), b"a\\tb")
    'tsv'
    """
    if _ARRAY.match(head):
        return "ndjson" if _ARRAYS.match(head) and _is_ndjson(head) else "json"
    if declared is not None:
        return declared
    named = NAMES.get(Path(_unpacked(path.name)).suffix.lower())
    if named not in (None, "ndjson"):
        return named
    if _OBJECT.match(head):
        return "ndjson" if _is_ndjson(head) else "json"
    if named is not None:
        return named
    header = _LINES.split(head.lstrip(), maxsplit=1)[0]
    return "tsv" if header.count(b"\t") > header.count(b",") else "csv"


def _unpacked(name: str) -> str:
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return name


def _is_ndjson(head: bytes) -> bool:
    """Whether the first line is a document, or the second begins one.

    Neither is so if a record has several lines, or if all records are in one line.
    """
    lines = [line for line in _LINES.split(head) if line.strip()]
    try:
        orjson.loads(lines[0])
    except orjson.JSONDecodeError:
        return len(lines) > 1 and lines[1].startswith(b"{")
    return True
