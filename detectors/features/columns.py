"""Features of many windows as columns: by name an array with one number for each window, NaN where absent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.features import names as f

Column = NDArray[np.float64]
Columns = dict[str, Column]


def columns_of(rows: Sequence[Mapping[str, float]]) -> Columns:
    """The features of windows as columns.

    >>> columns = columns_of([{"count": 3.0}, {"count": 5.0, "fresh": 0.5}])
    >>> columns["count"].tolist(), columns["fresh"].tolist()
    ([3.0, 5.0], [nan, 0.5])
    """
    names = dict.fromkeys(name for x in rows for name in x)
    return {name: np.array([x.get(name, math.nan) for x in rows], np.float64) for name in names}


def number_of(columns: Columns) -> int:
    """The number of windows, 0 without columns."""
    return len(next(iter(columns.values()), ()))


def observations(name: str, columns: Columns) -> NDArray[np.int64]:
    """Number of people or events on which a feature is observed, by window; see ``names.observations``."""
    number = number_of(columns)
    if name in f.PEOPLE_FEATURES:
        people = columns.get(f.PEOPLE)
        return np.zeros(number, np.int64) if people is None else np.nan_to_num(people).astype(np.int64)
    counts, named = columns.get(f.COUNT), columns.get(f.NAMED)
    if counts is None:
        return np.zeros(number, np.int64)
    if named is not None and name not in f.UNNAMED_FEATURES:
        counts = counts * np.where(np.isnan(named), 1.0, named)
    return np.rint(np.nan_to_num(counts)).astype(np.int64)


def rows_of(columns: Columns, places: Sequence[int]) -> list[dict[str, float]]:
    """The features of some of the windows, without those that are absent."""
    rows: list[dict[str, float]] = [{} for _ in places]
    at = np.asarray(places, np.intp)
    for name, column in columns.items():
        for x, value in zip(rows, column[at].tolist(), strict=True):
            if value == value:  # noqa: PLR0124  # not NaN
                x[name] = value
    return rows


def selected(columns: Columns, places: NDArray[np.intp]) -> Columns:
    """The columns of some of the windows."""
    return {name: column[places] for name, column in columns.items()}


def joined(parts: Sequence[tuple[int, Columns]]) -> Columns:
    """The columns of several groups of windows, given as (number of windows, columns), one after the other."""
    names = dict.fromkeys(name for _, columns in parts for name in columns)
    absent = {count: np.full(count, np.nan) for count, _ in parts}
    return {name: np.concatenate([columns.get(name, absent[count]) for count, columns in parts]) for name in names}
