"""The codecs by the name of their format."""

from __future__ import annotations

from collections.abc import Callable

from streams.codecs.codec import Codec
from streams.codecs.json import JsonCodec

CODECS: dict[str, Callable[[], Codec]] = {JsonCodec.name: JsonCodec}
"""Value of ``format`` in the settings of an input → what makes its codec, once for each input partition."""


def codec_named(name: str) -> Codec:
    """Make the codec of a format. Raises ValueError with a sentence."""
    if name not in CODECS:
        raise ValueError(f"{name!r} is not a format that can be read; there is {', '.join(sorted(CODECS))}")
    return CODECS[name]()
