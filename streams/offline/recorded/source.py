"""Reads a recorded file as UTF-8. Compression and encoding are recognised by content."""

from __future__ import annotations

import codecs
import gzip
import re
import shutil
import stat
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from streams.settings.section import SettingsError

CHUNK_BYTES = 1 << 20
PACKED_BYTES = 16 * 1024
"""Compressed zstd data that is read at once: small, because it can expand very much."""
HEAD_BYTES = 64 * 1024
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = tuple(bytes([0x50 + n, 0x2A, 0x4D, 0x18]) for n in range(16))
ZSTD_WINDOW_BYTES = 1 << 31
"""The largest window of a frame (``zstd --long=31``): zstandard refuses more than 8 MB by default."""

PARQUET = b"PAR1"
UNSUPPORTED = {
    rb"BZh[1-9]1AY": "compressed with bzip2",
    rb"\xfd7zXZ": "compressed with xz",
    rb"PK\x03\x04": "compressed with zip (or an Excel workbook)",
    rb"\x04\x22\x4d\x18": "compressed with lz4",
    rb"7z\xbc\xaf": "compressed with 7z",
    rb"\xff\x06\x00\x00sNaPpY": "compressed with snappy",
    rb"Obj\x01": "an Avro file",
    rb"ORC[\n\x03]": "an ORC file",
    rb"ARROW1": "an Arrow file",
    rb"SQLite ": "a database of SQLite",
    rb"\xd0\xcf\x11\xe0": "an Excel workbook",
}
"""Beginnings of files that are not supported → what such a file is, for the error message."""
READ = "CSV, TSV, NDJSON, JSON and Parquet are read, each also compressed once with gzip or zstd"

# UTF-32 first: its mark begins with the mark of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LONGEST_MARK_BYTES = 4


class FileSource:
    """A file that can be read more than once. A file that is not regular, such as a pipe, is copied first.

    Raises SettingsError with the name of the file if it is cut off, damaged or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.encoding = ""
        """encoding of the file if it is not UTF-8; set when reading begins"""
        self._raw: BinaryIO | None = None
        self._copy: Any = None
        try:
            found = path.stat()
            if stat.S_ISDIR(found.st_mode):
                raise SettingsError(f"{path} is a directory; give a file in it")
            if not stat.S_ISREG(found.st_mode):
                self._copy = tempfile.TemporaryFile(prefix="truecount-")  # noqa: SIM115  # open as long as this object
                with path.open("rb") as pipe:
                    shutil.copyfileobj(pipe, self._copy)
            self.size_bytes = found.st_size if self._copy is None else self._copy.tell()
        except OSError as error:
            raise self._unreadable(error) from None

    def read_bytes(self) -> int:
        """How far the file has been read, in bytes on disk."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self.size_bytes

    def is_parquet(self) -> bool:
        """Whether the file is Parquet, which is not read in chunks."""
        with self.opened() as raw:
            return raw.read(len(PARQUET)) == PARQUET

    def opened(self) -> BinaryIO:
        """The file itself, from its beginning. Raises SettingsError."""
        try:
            if self._copy is None:
                return self.path.open("rb")
            self._copy.seek(0)
            return open(self._copy.fileno(), "rb", closefd=False)  # a pipe's copy has no path
        except OSError as error:
            raise self._unreadable(error) from None

    def head(self) -> bytes:
        """The beginning of the text, at most HEAD_BYTES."""
        text = b""
        with closing(self.chunks()) as chunks:
            for chunk in chunks:
                text += chunk
                if len(text) >= HEAD_BYTES:
                    break
        return text[:HEAD_BYTES]

    def chunks(self) -> Generator[bytes, None, None]:
        """The text as UTF-8, in pieces of about CHUNK_BYTES, without a byte-order mark. Raises SettingsError."""
        try:
            with self.opened() as raw:
                self._raw = raw
                yield from self._decoded(self._unpacked(raw))
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> SettingsError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return SettingsError(f"cannot read {self.path}: {reason}")

    def _unpacked(self, raw: BinaryIO) -> Iterator[bytes]:
        magic = raw.read(10)
        raw.seek(0)
        for start, name in UNSUPPORTED.items():
            if re.match(start, magic):
                raise SettingsError(f"{self.path} is {name}, which is not supported; {READ}")
        if magic.startswith(GZIP):
            read: Callable[[int], bytes] = gzip.GzipFile(fileobj=raw).read
        elif magic.startswith((ZSTD, *ZSTD_SKIPPABLE)):
            yield from _unzstd(raw)
            return
        else:
            read = raw.read
        while chunk := read(CHUNK_BYTES):
            yield chunk

    def _decoded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        first = b""
        for chunk in chunks:
            first += chunk
            if len(first) >= LONGEST_MARK_BYTES:
                break
        for mark, encoding in MARKS:
            if first.startswith(mark):
                self.encoding, first = encoding, first[len(mark) :]
                break
        if not self.encoding:
            yield first
            yield from chunks
            return
        # A lone surrogate or an incomplete last character must not end the reading: it is replaced.
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        yield decoder.decode(first).encode("utf-8")
        for chunk in chunks:
            yield decoder.decode(chunk).encode("utf-8")
        yield decoder.decode(b"", final=True).encode("utf-8")

    def original(self, text: bytes) -> bytes:
        """The bytes of a text in the uncompressed file."""
        return text.decode("utf-8", "replace").encode(self.encoding) if self.encoding else text


def _unzstd(raw: BinaryIO) -> Iterator[bytes]:
    """All frames, one after the other. Raises EOFError if the last one is cut off."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    frame, begun = unpacker.decompressobj(), False
    while chunk := raw.read(PACKED_BYTES):
        while chunk:
            begun = True
            if text := frame.decompress(chunk):
                yield text
            chunk = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame, begun = unpacker.decompressobj(), False
    if begun:
        raise EOFError("it is cut off: the last zstd frame has no end")
