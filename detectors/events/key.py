"""The key of one metric of one target. State is stored by key.

A key is text: the metric's index as one digit, then the target's id. The text is part of the persisted layout. Keys
sort by metric, then by target. One digit is enough for ten metrics; there are three.

Up to a million keys are in memory, so a key is a plain ``str`` at run time (docs/decisions/0031-keys.md has the
measurements). ``Key`` is a separate type for the type checker only: a target cannot be passed in place of a key.
"""

from __future__ import annotations

from typing import NewType

from detectors.events.event import METRIC_INDEX, METRICS

Key = NewType("Key", str)

NO_KEY = Key("")
"""In place of a key if something concerns the whole partition."""

VIEW = METRIC_INDEX["view"]
"""The only metric whose acts an honest actor may repeat."""

_VIEW = str(VIEW)
_INDEX = {str(index): index for index in range(len(METRICS))}
_NAME = {str(index): name for index, name in enumerate(METRICS)}


def key_of(metric: int, target: str) -> Key:
    """Key of a target's metric.

    >>> key = key_of(1, "video-7")
    >>> str(key), metric_of(key), metric_name_of(key), target_of(key), is_view(key)
    ('1video-7', 1, 'like', 'video-7', False)
    >>> str(other_metric(key, VIEW))
    '0video-7'
    """
    return f"{metric}{target}"  # type: ignore[return-value]  # Key(…) would be one more call for each key


def metric_of(key: Key) -> int:
    """Index of a key's metric in METRICS."""
    return _INDEX[key[0]]


def metric_name_of(key: Key) -> str:
    """Name of a key's metric."""
    return _NAME[key[0]]


def target_of(key: Key) -> str:
    """Id of a key's target."""
    return key[1:]


def is_view(key: Key) -> bool:
    """Whether a key is of views."""
    return key[0] == _VIEW


def other_metric(key: Key, metric: int) -> Key:
    """Key of another metric of the same target."""
    return f"{metric}{key[1:]}"  # type: ignore[return-value]  # as above
