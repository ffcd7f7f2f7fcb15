"""Windows of one target as they come before the judge, in numbers: what came and what was expected."""

from __future__ import annotations

from detectors.actors.conduct import ConductRulings
from detectors.cases.case_records import CaseRecords
from detectors.cases.flags import Flags
from detectors.cases.given_back import GivenBack
from detectors.events.key import VIEW, Key, key_of
from detectors.features import names as f
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.state.case import ARTIFICIAL
from detectors.state.target_state import TargetState
from detectors.verdict.opinion import Opinion
from detectors.windows.crowd import Crowd
from detectors.windows.scales import DAY_MS, Scale, ladder

KEY = key_of(VIEW, "v")
SCALES = ladder(10)
TICK, MINUTES, HOUR, DAY = SCALES
START_MS = 10_000 * DAY_MS
"""Start of a window of every scale."""


def given_back(records: CaseRecords, conduct: ConductRulings | None = None) -> GivenBack:
    """What gives back events of cases, by these rulings or by none."""
    return GivenBack(ConductRulings() if conduct is None else conduct, records)


def flags() -> Flags:
    """What makes flags of partition 0."""
    return Flags(partition=0, config="sha256:test")


def window(
    state: TargetState,
    *,
    count: int,
    expected: float,
    number: int = 0,
    people: int = 100,
    crowd: Crowd | None = None,
    early_at_ms: int = -1,
    key: Key = KEY,
    scale: Scale = MINUTES,
) -> WindowView:
    """The ``number``-th window of a scale since START_MS."""
    platform, start = Platform(), START_MS + number * scale.span_ms
    seen = Crowd(start=start, n=count) if crowd is None else crowd
    seen.n = count
    view = WindowView(key, state, scale, start, seen, platform, platform, Outcome(), early_at_ms=early_at_ms)
    view.x = {f.COUNT: float(count), f.EXPECTED: expected, f.DISPERSION: 50.0, f.PEOPLE: float(people)}
    return view


def verdict(artificial: float, *, verdict: str | None = ARTIFICIAL, surge: float = 20.0, crowd: float = 6.0) -> Opinion:
    """What a judge finds in a window, by its own evidence."""
    return Opinion(verdict, surge, crowd, [], artificial, artificial, artificial, own_evidence=True)


def ordinary_crowd(*, surge: float = 20.0) -> Opinion:
    """What a judge finds in a window that surges and whose crowd is the platform's own."""
    return Opinion(None, surge, 0.5, [], 0.0, 0.0, 0.0)
