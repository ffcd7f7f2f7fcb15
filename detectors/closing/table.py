"""The windows of one metric that close together, as a table: at most some hundred rows at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from detectors.events.key import Key
from detectors.features import names as f
from detectors.features.columns import Columns
from detectors.features.people import People
from detectors.measurement.expectation import expected_count
from detectors.measurement.window_view import WindowView
from detectors.platform.lessons import Lessons
from detectors.platform.platform import Platform, Teaching
from detectors.records import Outcome
from detectors.state.target_state import TargetState
from detectors.windows.crowd import Crowd
from detectors.windows.scales import Scale

Row = tuple[Key, TargetState, Crowd]
"""A key, its state, and its window that has closed."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The closing of all windows of a scale that begin at ``start``."""

    order: int
    """place of the scale"""
    scale: Scale
    start: int
    lessons: Lessons
    outcome: Outcome


class CrowdCount(NamedTuple):
    """The count of a closed window with a crowd, compared with what is expected."""

    expected: float
    dispersion: float
    """see ``expectation.expected_count``"""
    windows_since_first_view: int
    surge: float
    """see ``WindowView``"""


@dataclass(slots=True)
class ClosingTable:
    """Rows of one metric. Platforms do not change while their windows are judged: they learn afterwards."""

    rows: list[Row]
    metric: int
    platform: Platform
    reference: Platform
    season: float
    """expected activity at that time relative to the average"""
    teaching: list[Teaching]
    """by row, what the platform may learn of the window"""
    people: People | None = None
    """of all rows, for windows of five minutes only"""
    most: dict[int, int] = field(default_factory=dict)
    """with ``people``: by place, the most events of one actor, where that is several"""
    together: dict[int, list[int]] = field(default_factory=dict)
    """by place, the actors seen before whose meetings may be learned"""
    sellers: dict[int, set[int]] = field(default_factory=dict)
    """of an hour or a day: by place, its sampled people that are a seller's accounts, if these are SELLERS_MIN"""
    sellers_among: dict[int, tuple[int, int]] = field(default_factory=dict)
    """by place of a crowd, the number of its sampled people that are a seller's accounts, and of all of them"""
    crowds: dict[int, CrowdCount] = field(default_factory=dict)
    """by place, the rows that have a crowd"""
    windows: dict[int, WindowView] = field(default_factory=dict)
    """by place, the rows that are measured, surge, or have a case, suspicious days or a band"""
    columns: Columns = field(default_factory=dict)
    measured: dict[int, int] = field(default_factory=dict)
    """place of a measured row → its place in ``columns``"""
    acts: list[tuple[int, bool]] = field(default_factory=list)
    """likes or follows of an hour, and whether their target is also viewed"""
    checked_acts: list[tuple[int, float]] = field(default_factory=list)
    """likes or follows of viewed targets, and how many of them are by actors who had viewed"""
    judged: set[int] = field(default_factory=set)
    """places of rows whose crowd is judged"""
    typical: list[int] = field(default_factory=list)
    """counts of the unflagged windows"""
    mixing: list[int] = field(default_factory=list)
    """places of the rows whose people the platform learns"""
    teaching_crowds: list[int] = field(default_factory=list)
    """places in ``columns`` of the crowds that detectors learn"""
    interactions: list[tuple[float, int, int]] = field(default_factory=list)
    """people who viewed, likes and follows of crowds of views"""
    unflagged: list[tuple[float, int]] = field(default_factory=list)
    """people who viewed, likes and follows together, of those without artificial events"""
    _values: dict[str, list[float]] = field(default_factory=dict)

    def values(self) -> dict[str, list[float]]:
        """The columns of the features of crowds as lists, made once."""
        if not self._values:
            self._values = {name: self.columns[name].tolist() for name in f.CROWD_FEATURES if name in self.columns}
        return self._values

    def people_who_can_act(self, place: int) -> float:
        """People of a measured row who can like: those with an account, or all if the platform sends no ages."""
        column = self.columns.get(f.ACCOUNT_HOLDERS if self.reference.knows_accounts() else f.PEOPLE)
        people = math.nan if column is None else column[self.measured[place]].item()
        return 0.0 if math.isnan(people) else people

    def is_judged(self, place: int) -> bool:
        """Whether a row is judged by itself."""
        window = self.windows.get(place)
        if window is None:
            return False
        return (
            place in self.judged or window.target_state.case is not None or f.BAND in window.x or bool(window.sellers)
        )

    def expected(self, place: int, scale: Scale, start: int) -> float:
        """The expected count of a row."""
        crowd = self.crowds.get(place)
        if crowd is not None:
            return crowd.expected
        return expected_count(self.rows[place][1], scale, start, self.platform)[0]
