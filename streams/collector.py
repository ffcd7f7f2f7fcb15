"""Python's garbage collector, told what a stream processor is like."""

from __future__ import annotations

import gc

GC_THRESHOLDS = (100_000, 50, 100)
"""State is millions of small objects without cycles: Python's default (700) would walk them all the time."""


def rest() -> None:
    """For a process that ends: nothing that is left needs to be looked through. Python would, with all of the state."""
    gc.freeze()


def relax() -> None:
    """For the process: look for cycles rarely. What is in no cycle is freed at once all the same."""
    gc.set_threshold(*GC_THRESHOLDS)
