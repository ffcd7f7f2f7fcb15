"""Takes samples: the first rows of a recorded file, or the last records of a topic."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from streams.codecs.codec import Reader
from streams.codecs.registry import codec_named
from streams.ingest.mapping.records import Records
from streams.kafka.reader import Reader as TopicReader
from streams.maps.sample import Sample
from streams.offline.recorded.decoding import records_of
from streams.offline.recorded.file import RecordedFile
from streams.settings.inputs import Input, Mapping, ReplayMap
from streams.settings.section import SettingsError
from streams.settings.settings import Settings

TABLES = ("csv", "tsv", "parquet")
ANY_MAP: dict[str, Any] = {
    "metric": "view",
    "map": {"ts": {"value": 1}, "actor": {"value": "-"}, "target": {"value": "-"}},
}
"""A map that needs no column, to read a file that has no map yet."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Sampled records, and how to read them."""

    name: str
    records: Records
    format: str | None = None
    """format of the file, if it is one"""
    codec: str = "json"
    """name of the codec that reads the records"""
    unreadable: int = 0
    """number of rows of the file that are not documents"""
    example: str = ""
    """problem of the first of them"""

    def problem(self) -> str:
        """Why the first record that is no document is none; empty if all are documents."""
        if self.example:
            return self.example
        reader = codec_named(self.codec).reader(dict[str, Any] | list[Any])
        refused = next((found for value in self.records.value for found in reader.read([value]).refused), None)
        return "" if refused is None else refused.message

    def sample(self, latest_ms: float) -> Sample:
        """The records that are documents, as a sample to suggest a map from."""
        documents, keys, headers = [], [], []
        reader = codec_named(self.codec).reader(Any)
        for place, value in enumerate(self.records.value):
            document = _document(reader, value)
            if document is not None:
                documents.append(document)
                keys.append(self.records.key[place])
                headers.append([] if self.records.headers is None else list(self.records.headers[place]))
        return Sample(
            documents,
            self.name,
            latest_ms,
            tabular=self.format in TABLES,
            timed=self.records.timestamp_ms is not None,
            keys=keys,
            headers=headers,
        )


def _document(reader: Reader, value: bytes | None) -> Any:
    """The document of a value; None if it is none, or if it has bytes that are not UTF-8."""
    found = reader.read([value])
    if not found.rows or not isinstance(found.rows[0], dict | list):
        return None
    return None if found.surrogates and _has_surrogates(found.rows[0]) else found.rows[0]


def _has_surrogates(document: Any) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in json.dumps(document, ensure_ascii=False))


def file_sample(path: Path, size: int, clock_ms: int, layout: ReplayMap | None = None) -> tuple[Sampled, Input]:
    """The first rows of a file, and the input that reads it with a map. Raises SettingsError."""
    recorded = RecordedFile(path, layout)
    with closing(recorded.rows()) as every:
        rows = list(islice(every, size))
    documents = [row for row in rows if row.value is not None]
    records = records_of(documents, 0, clock_ms)
    broken = [f"line {row.line}: {row.message}" for row in rows if row.value is None]
    sampled = Sampled(path.name, records, recorded.format, unreadable=len(broken), example=next(iter(broken), ""))
    return sampled, recorded.input


def file_without_map(path: Path, size: int, clock_ms: int) -> Sampled:
    """The first rows of a file without a map. Raises SettingsError."""
    return file_sample(path, size, clock_ms, ReplayMap.model_validate(ANY_MAP))[0]


def topic_sample(settings: Settings, topic: str, size: int) -> Sampled:
    """The last records of a topic. Raises BrokerError."""
    reader = TopicReader(settings, topic)
    try:
        found = reader.last(size)
    finally:
        reader.close()
    moments = [int(record.timestamp) for record in found]
    records = Records(
        np.array([record.offset for record in found], np.int64),
        [record.key for record in found],
        [record.value for record in found],
        np.array(moments, np.int64),
        headers=[record.headers for record in found],
        timestamp_ms=moments,
    )
    return Sampled(topic, records, codec=_codec_name(settings, topic))


def _codec_name(settings: Settings, topic: str) -> str:
    return next((source.codec_name() for source in settings.inputs if source.topic == topic), "json")


def input_of(config: Mapping, topic: str, codec: str) -> Input:
    """A map as the input of a topic; ``codec`` is used unless the map names another. Raises SettingsError."""
    name = config.format if isinstance(config, Input) else codec
    given = config.model_dump(exclude={"file", "topic", "format"}, exclude_defaults=True, by_alias=True)
    try:
        return Input.model_validate({**given, "topic": topic, "format": name})
    except ValueError as error:
        raise SettingsError(f"the map cannot be used for topic {topic}: {error}") from None
