"""Teaches a mix the histogram of one window."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from detectors.reference.mixes import Mix, weights_of


def learn(mix: Mix, counts: Mapping[int, int]) -> None:
    """Learn a window's number of people by bucket."""
    buckets, people = np.array(list(counts), np.int64), np.array(list(counts.values()), np.int64)
    mix.learn(buckets, weights_of(np.zeros(len(buckets), np.intp), people))
