"""Makes the table of windows that close together: people, expectations, scores of surges, features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from detectors.actors.rulings import Rulings
from detectors.campaigns.bands import Bands
from detectors.campaigns.pairs import BAND_MIN
from detectors.campaigns.visits import CROWD_MAX
from detectors.catalog.registry import SURGE
from detectors.closing.table import Closing, ClosingTable, Row
from detectors.closing.viewers import count_viewers
from detectors.events.key import metric_of
from detectors.features import names as f
from detectors.features.columns import columns_of, selected
from detectors.features.crowd import numbers_of_newcomers
from detectors.features.names import EVENTS_MIN
from detectors.features.people import people_of
from detectors.judge import Judge
from detectors.measurement.measuring import expect, features_of, measure
from detectors.measurement.other_metrics import OtherMetrics
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.reference.known_actors import are_unknown
from detectors.scoring.detector import score_many
from detectors.scoring.sentences import usual
from detectors.scoring.shares import Shares
from detectors.thresholds import SURGE_LEAST


class Surroundings(Protocol):
    """What a table is made of besides its rows. ``WindowClosing`` has it."""

    @property
    def platforms(self) -> list[Platform]:
        """The platforms by metric."""
        ...

    @property
    def other_metrics(self) -> OtherMetrics:
        """Reads the other metrics of a target."""
        ...

    @property
    def judge(self) -> Judge:
        """Has the names of the detectors with a vote."""
        ...

    @property
    def bands(self) -> Bands:
        """Finds bands."""
        ...

    @property
    def rulings(self) -> Rulings:
        """Recorded rulings on actors."""
        ...

    @property
    def parts(self) -> tuple[int, ...]:
        """See scales.parts_of."""
        ...


def tabulate(rows: list[Row], closing: Closing, around: Surroundings) -> ClosingTable:
    """The table of rows of one metric. It changes nothing that could not be computed again."""
    metric = metric_of(rows[0][0])
    platform, reference = around.platforms[metric], around.other_metrics.reference(metric)
    teaching = [platform.teaching(closing.scale, key, closing.start) for key, _, _ in rows]
    season = platform.season(closing.scale, closing.start)
    table = ClosingTable(rows, metric, platform, reference, season, teaching)
    bands: dict[int, list[int]] = {}
    if closing.order == 1:
        bands = _meet(table, around.bands)
    _open(table, closing, around, bands)
    if metric:
        count_viewers(table, closing, around.other_metrics, around.platforms[0])
    _expect(table, around, bands)
    _measure(table)
    _ask(table, around.judge.voting)
    return table


def _meet(table: ClosingTable, bands: Bands) -> dict[int, list[int]]:
    """Compare the actors with those known before. Returns the rows that may have a band, with their actors."""
    people = table.people = people_of([crowd for _, _, crowd in table.rows])
    unmet = are_unknown(people.actor, (table.platform.known, table.reference.known))
    counts = [column.tolist() for column in numbers_of_newcomers(people, unmet)]
    suspects = np.bincount(people.window, bands.lockstep.are_suspects(people.actor), people.windows)
    found: dict[int, list[int]] = {}
    edges = np.searchsorted(people.window, np.arange(people.windows + 1)).tolist()
    for place, ((_, _, crowd), number, new, aged, new_aged, odd) in enumerate(
        zip(table.rows, *counts, suspects.tolist(), strict=True)
    ):
        crowd.met, crowd.unmet, crowd.asked, crowd.newcomers = number - new, new, aged, new_aged
        table.met.append(number)
        if number < 2 or crowd.sampled:
            continue
        here = slice(edges[place], edges[place + 1])
        if number <= CROWD_MAX and number - new >= 2:
            table.together[place] = people.actor[here][~unmet[here]].tolist()
        if odd >= BAND_MIN:
            found[place] = people.actor[here].tolist()
    return found


def _open(table: ClosingTable, closing: Closing, around: Surroundings, bands: dict[int, list[int]]) -> None:
    """Make a window under judgement of each row that has a crowd, a case or possibly a band."""
    views, other = around.platforms[0], around.other_metrics
    for place, (key, state, crowd) in enumerate(table.rows):
        if crowd.n >= EVENTS_MIN or state.case is not None or place in bands:
            window = WindowView(
                *(key, state, closing.scale, closing.start, crowd, table.platform, table.reference, closing.outcome),
                parts=around.parts[closing.order],
                rates=views.rates,
                rulings=around.rulings,
            )
            table.windows[place] = window
            if crowd.n >= EVENTS_MIN:
                window.other_counts = other.counts(key, closing.order, closing.start, closing.lessons.views)
                window.views_days = other.days(key) if window.is_closed_day() else 0
                window.windows_since_first_view = other.windows_since_first_view(key, closing.scale, closing.start)


def _expect(table: ClosingTable, around: Surroundings, bands: dict[int, list[int]]) -> None:
    """Set the expected counts, the bands and the scores of the surges."""
    crowds = []
    for place, window in table.windows.items():
        expect(window)
        if place in bands:
            around.bands.find_band(window, bands[place])
        if window.crowd.n >= EVENTS_MIN:
            crowds.append(place)
    if not crowds:
        return
    detector = table.platform.detectors_of(table.windows[crowds[0]].scale)[SURGE]
    scores = score_many(detector, columns_of([table.windows[place].x for place in crowds]))
    for place, surge in zip(crowds, scores.tolist(), strict=True):
        window = table.windows[place]
        window.surge = surge
        window.note_surge(surge)


def _measure(table: ClosingTable) -> None:
    """Measure the crowds that are judged, and those that are learned from."""
    experienced = table.reference.experienced()
    places: list[int] = []
    for place, window in table.windows.items():
        if window.crowd.n < EVENTS_MIN:
            continue
        surging = window.surge >= SURGE_LEAST or window.target_state.case is not None
        judged = experienced and (surging or window.is_closed_day())
        if judged:
            table.judged.add(place)
        if judged or table.teaching[place].crowd or window.habits_unknown():
            table.measured[place] = len(places)
            places.append(place)
    if not places:
        return
    windows = [table.windows[place] for place in places]
    people = None if table.people is None else table.people.selected(np.array(places, np.intp))
    table.columns = measure(windows, people)
    judged_places = [place for place in places if place in table.judged]
    rows = features_of(windows, table.columns, [table.measured[place] for place in judged_places])
    for place, x in zip(judged_places, rows, strict=True):
        table.windows[place].x = x


def _ask(table: ClosingTable, voting: Sequence[str]) -> None:
    """Score the judged crowds by all detectors of shares at once: those without a score have no findings."""
    places = sorted(table.judged)
    if not places:
        return
    rows = np.array([table.measured[place] for place in places], np.intp)
    columns = selected(table.columns, rows)
    for name in (f.FRESH, f.DORMANT):
        share = table.reference.usual(name)
        if share is not None:
            columns[usual(name)] = np.full(len(rows), share)
    scale = table.windows[places[0]].scale
    asked: list[list[str]] = [[] for _ in places]
    for name in voting:
        detector = table.platform.detector(name, scale)
        scores = score_many(detector, columns).tolist() if isinstance(detector, Shares) else [1.0] * len(places)
        for names, score in zip(asked, scores, strict=True):
            if score > 0.0:
                names.append(name)
    for place, names in zip(places, asked, strict=True):
        table.windows[place].asked = tuple(names)
        table.windows[place].shadowed = table.teaching[place].crowd
