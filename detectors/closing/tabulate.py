"""Makes the table of windows that close together: people, expectations, scores of surges, features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from detectors.actors.conduct import ConductRulings
from detectors.campaigns.bands import Bands
from detectors.campaigns.pairs import BAND_MIN
from detectors.campaigns.sellers import find_sellers, sellers_among
from detectors.campaigns.visits import CROWD_MAX
from detectors.catalog.registry import SURGE
from detectors.closing.table import Closing, ClosingTable, CrowdCount, Row
from detectors.closing.viewers import count_viewers
from detectors.events.key import metric_of
from detectors.features import names as f
from detectors.features.columns import selected
from detectors.features.crowd import numbers_of_newcomers
from detectors.features.names import EVENTS_MIN
from detectors.features.people import people_of
from detectors.judge import Judge
from detectors.measurement.expectation import expected_count
from detectors.measurement.measuring import expect, features_of, measure, set_expected
from detectors.measurement.other_metrics import OtherMetrics
from detectors.measurement.window_view import WindowView, habits_unknown
from detectors.measurement.window_views import WindowViews
from detectors.reference.known_actors import are_unknown
from detectors.scoring.detector import score_many
from detectors.scoring.sentences import usual
from detectors.scoring.shares import Shares
from detectors.thresholds import SURGE_LEAST
from detectors.windows.scales import DAY_MS, HOUR_MS


class Surroundings(Protocol):
    """What a table is made of besides its rows. ``WindowClosing`` has it."""

    @property
    def views(self) -> WindowViews:
        """Makes windows under judgement, and has what surrounds them."""
        ...

    @property
    def judge(self) -> Judge:
        """Has the names of the detectors with a vote."""
        ...

    @property
    def bands(self) -> Bands:
        """Finds bands."""
        ...


def tabulate(rows: list[Row], closing: Closing, around: Surroundings) -> ClosingTable:
    """The table of rows of one metric. It changes nothing that could not be computed again."""
    metric, views = metric_of(rows[0][0]), around.views
    platform, reference = views.platforms[metric], views.other_metrics.reference(metric)
    teaching = platform.teaching(closing.scale, [key for key, _, _ in rows], closing.start)
    season = platform.season(closing.scale, closing.start)
    table = ClosingTable(rows, metric, platform, reference, season, teaching)
    bands: dict[int, list[int]] = {}
    if closing.order == 1:
        bands = _meet(table, around.bands)
    _expect(table, closing, views.other_metrics)
    if closing.scale.span_ms >= HOUR_MS:
        _find_sellers(table, closing, views.rulings.conduct)
    _open(table, closing, around, bands)
    if metric:
        count_viewers(table, closing, views.other_metrics, views.platforms[0])
    _measure(table)
    _ask(table, around.judge.voting)
    return table


def _meet(table: ClosingTable, bands: Bands) -> dict[int, list[int]]:
    """Compare the actors with those known before. Returns the rows that may have a band, with their actors."""
    people = table.people = people_of([crowd for _, _, crowd in table.rows])
    unmet = are_unknown(people.actor, (table.platform.known, table.reference.known))
    counts = [column.tolist() for column in numbers_of_newcomers(people, unmet)]
    suspects = np.bincount(people.window, bands.lockstep.are_suspects(people.actor), people.windows)
    several = np.nonzero(people.events > 1)[0]
    for place, events in zip(people.window[several].tolist(), people.events[several].tolist(), strict=True):
        table.most[place] = max(events, table.most.get(place, 0))
    found: dict[int, list[int]] = {}
    seen, first_seen, first = people.actor[~unmet].tolist(), 0, 0
    for place, ((_, _, crowd), number, new, aged, new_aged, odd) in enumerate(
        zip(table.rows, *counts, suspects.tolist(), strict=True)
    ):
        crowd.met, crowd.unmet, crowd.asked, crowd.newcomers = number - new, new, aged, new_aged
        if number - new >= 2 and number <= CROWD_MAX and not crowd.sampled:
            table.together[place] = seen[first_seen : first_seen + number - new]
        if odd >= BAND_MIN and not crowd.sampled:
            found[place] = people.actor[first : first + number].tolist()
        first, first_seen = first + number, first_seen + number - new
    return found


def _expect(table: ClosingTable, closing: Closing, other: OtherMetrics) -> None:
    """Set the expected counts and the scores of the surges of all crowds."""
    platform, scale, start = table.platform, closing.scale, closing.start
    crowds: list[tuple[int, int, int, float, float]] = []
    for place, (key, state, crowd) in enumerate(table.rows):
        if crowd.n >= EVENTS_MIN:
            since = other.windows_since_first_view(key, scale, start)
            expected = expected_count(state, scale, start, platform, since_first_view=since)
            crowds.append((place, crowd.n, since, *expected))
    if not crowds:
        return
    places, counts, sinces, means, dispersions = zip(*crowds, strict=True)
    columns = {
        name: np.array(column, np.float64)
        for name, column in ((f.COUNT, counts), (f.EXPECTED, means), (f.DISPERSION, dispersions))
    }
    surges = score_many(platform.detectors_of(scale)[SURGE], columns).tolist()
    table.crowds = dict(zip(places, map(CrowdCount, means, dispersions, sinces, surges), strict=True))


def _find_sellers(table: ClosingTable, closing: Closing, conduct: ConductRulings) -> None:
    """Find the accounts of sellers among the people of crowds, by the rulings that are known now."""
    sellers = conduct.sellers(closing.start + closing.scale.span_ms)
    if not sellers:
        return
    for place in table.crowds:
        found, people = sellers_among(table.rows[place][2], sellers)
        table.sellers_among[place] = len(found), people
        if len(found) >= f.SELLERS_MIN:
            table.sellers[place] = found


def _open(table: ClosingTable, closing: Closing, around: Surroundings, bands: dict[int, list[int]]) -> None:
    """Make a window under judgement of each row that is measured, surges, or has evidence of its own.

    Of the other rows only the count is learned. They are most of those that close together.
    """
    experienced, is_day = table.reference.experienced(), closing.scale.span_ms >= DAY_MS
    for place, (_, state, _) in enumerate(table.rows):
        count = table.crowds.get(place)
        if count is None:
            if state.case is not None or place in bands:
                expect(_view(table, place, closing, around.views))
            continue
        surging = count.surge >= SURGE_LEAST or state.case is not None
        judged = experienced and (surging or is_day)
        measured = judged or table.teaching[place].crowd or habits_unknown(state, closing.scale)
        if measured or surging or state.slow is not None or place in bands or place in table.sellers:
            _open_crowd(_view(table, place, closing, around.views), count, closing, around.views.other_metrics)
        if judged:
            table.judged.add(place)
        if measured:
            table.measured[place] = len(table.measured)
    for place, sellers in table.sellers.items():
        find_sellers(table.windows[place], sellers)
    for place, actors in bands.items():
        around.bands.find_band(table.windows[place], actors)


def _view(table: ClosingTable, place: int, closing: Closing, views: WindowViews) -> WindowView:
    window = table.windows[place] = views.view(closing.order, closing.start, table.rows[place], closing.outcome)
    return window


def _open_crowd(window: WindowView, count: CrowdCount, closing: Closing, other: OtherMetrics) -> None:
    """Set what is known of a window with a crowd before it is measured."""
    set_expected(window, count.expected, count.dispersion)
    window.windows_since_first_view = count.windows_since_first_view
    window.other_counts = other.counts(window.key, closing.order, closing.start, closing.lessons.views)
    window.views_days = other.days(window.key) if window.is_closed_day() else 0
    window.surge = count.surge
    window.note_surge(count.surge)


def _measure(table: ClosingTable) -> None:
    """Measure the crowds that are judged, and those that are learned from."""
    if not table.measured:
        return
    places = list(table.measured)
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
