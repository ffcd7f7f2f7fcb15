"""Features of one crowd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detectors.features.columns import rows_of
from detectors.features.crowd import crowd_columns, newcomers_of
from detectors.features.names import Features
from detectors.features.people import people_of
from detectors.reference.known_actors import KnownActors
from detectors.reference.mixes import Mix
from detectors.windows.crowd import Crowd


def crowd_features(crowd: Crowd, mixes: Mapping[str, Mix], known: Sequence[KnownActors]) -> Features:
    """As ``crowd_columns`` for one crowd."""
    people = people_of([crowd])
    return rows_of(crowd_columns([crowd], people, mixes, newcomers_of([crowd], people, known)), [0])[0]
