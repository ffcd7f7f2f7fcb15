"""Measures windows: expected counts, and the features of many windows of one metric and scale as columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors.events.key import is_view, metric_of
from detectors.features import names as f
from detectors.features.columns import Column, Columns, columns_of, rows_of
from detectors.features.crowd import crowd_columns, evenness, newcomers_of
from detectors.features.interaction import lonely, silent
from detectors.features.people import People, people_of
from detectors.measurement.expectation import expected_count
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import RUNGS
from detectors.reference.ended_views import EndedViews
from detectors.reference.rates import VIEWED_BEFORE, Rates
from detectors.scoring.sentences import habit, usual
from detectors.windows.scales import HOUR, HOUR_MS, MINUTES

HABIT_WINDOWS_MIN = 3
"""Windows after which a target's own habit replaces the platform's mean."""

UNVIEWED_MAX = 0.5
"""Usual share of followers without a view from which on such followers are no evidence."""

HALF_HOUR_MS = HOUR_MS // 2
VIEWED_MS = 3 * HOUR_MS
"""Time since a target's first view after which likes by people who did not view it may count as evidence."""


def expect(window: WindowView) -> None:
    """Set count, expected count and dispersion."""
    expected, dispersion = expected_count(
        *(window.target_state, window.scale, window.start, window.platform),
        ratio=window.ratio,
        since_first_view=window.windows_since_first_view,
    )
    set_expected(window, expected, dispersion)


def set_expected(window: WindowView, expected: float, dispersion: float) -> None:
    """As ``expect``, if the expected count is known."""
    crowd = window.crowd
    x = {f.COUNT: float(crowd.n), f.EXPECTED: expected, f.DISPERSION: dispersion}
    if crowd.nobody:
        x[f.NAMED] = crowd.named / crowd.n
    window.x = x


def measure(windows: Sequence[WindowView], people: People | None = None) -> Columns:
    """The features of windows of one metric and scale, all closed or all open. Their counts are expected already.

    ``people`` are those of the windows' crowds. The columns have what is learned of a window; ``features_of`` adds what
    only a verdict needs.
    """
    first, crowds = windows[0], [window.crowd for window in windows]
    people = people_of(crowds) if people is None else people
    mixes = first.reference.mixes
    known = newcomers_of(crowds, people, (first.platform.known, first.reference.known))
    direct = first.reference.usual(f.NO_REFERRER) if is_view(first.key) else None
    x = columns_of([window.x for window in windows]) | crowd_columns(crowds, people, mixes, known, direct)
    if f.PEOPLE in x:
        for window, number in zip(windows, np.nan_to_num(x[f.PEOPLE]).tolist(), strict=True):
            window.people = number
    if is_view(first.key) and f.WATCH in x:
        _compare_with_ended_views(windows, people, x[f.WATCH])
    if first.parts and not first.early:
        even = evenness(crowds, first.parts)
        if not np.isnan(even).all():
            x[f.EVEN], x[f.PARTS] = even, np.where(np.isnan(even), np.nan, float(first.parts))
    if first.rulings is not None and f.STRANGERS in x:
        ruled = first.rulings.shares(people.window, people.actor, [window.key for window in windows])
        x[f.RULED] = np.where(np.isnan(x[f.STRANGERS]), np.nan, ruled)
        if first.rulings.conduct.received:
            ruled = first.rulings.conduct.shares(people.window, people.actor, len(windows), first.until)
            x[f.SUSPECTED] = np.where(np.isnan(x[f.STRANGERS]), np.nan, ruled)
    _interaction(windows, x)
    _habits(windows, x)
    return x


def features_of(windows: Sequence[WindowView], columns: Columns, places: Sequence[int]) -> list[dict[str, float]]:
    """The features of some of the measured windows, with those that only a verdict needs."""
    rows = rows_of(columns, places)
    for place, x in zip(places, rows, strict=True):
        window = windows[place]
        reference = window.reference
        x[f.ONCE] = float(not is_view(window.key))
        if not is_view(window.key):
            _viewed_first(window, x)
        for name in (f.FRESH, f.DORMANT):
            share = reference.usual(name)
            if share is not None:
                x[usual(name)] = share
    return rows


def measure_all(windows: Sequence[WindowView]) -> None:
    """Set all features of windows of one metric and scale, all closed or all open."""
    if windows:
        for window, x in zip(windows, features_of(windows, measure(windows), range(len(windows))), strict=True):
            window.x = x


def _compare_with_ended_views(windows: Sequence[WindowView], people: People, watch: Column) -> None:
    """Set WATCH anew for windows of which only people who have left may be known (``WindowView.mixes``)."""
    if windows[0].platform.rates.emitted_at_start():
        return
    edges = np.searchsorted(people.watch_window, np.arange(len(windows) + 1)).tolist()
    for place, window in enumerate(windows):
        if watch[place] == watch[place] and window.age_ms() is not None:  # not NaN
            mix = window.mixes()[f.WATCH]
            if isinstance(mix, EndedViews):
                here = slice(edges[place], edges[place + 1])
                counts: dict[int, int] = {}
                for bucket, events in zip(
                    people.watch_bucket[here].tolist(), people.watch_events[here].tolist(), strict=True
                ):
                    counts[bucket] = counts.get(bucket, 0) + events
                watch[place] = mix.excess(counts)


def _interaction(windows: Sequence[WindowView], x: Columns) -> None:
    first = windows[0]
    rates = None if first.rates is None else first.rates.per_person(first.scale.name)
    if first.rates is None or rates is None:
        return
    if is_view(first.key):
        if first.parts and f.PEOPLE in x:
            people = x[f.ACCOUNT_HOLDERS] if first.reference.knows_accounts() else x[f.PEOPLE]
            acts = np.array([np.nan if w.other_counts is None else sum(w.other_counts[1:]) for w in windows])
            missing, expected = silent(people, acts, sum(rates))
            if not np.isnan(missing).all():
                x[f.SILENT], x[f.INTERACTIONS] = missing, expected
                ratio, shape = np.array([first.rates.own(*w.target_state.interaction) for w in windows]).T
                x[f.OWN_INTERACTIONS] = expected * ratio
                x[f.INTERACTION_SHAPE] = np.where(np.isnan(missing), np.nan, shape)
        return
    metric = metric_of(first.key)
    _unviewed(windows, x)
    found = []
    for window in windows:
        own: dict[str, float] = {}
        found.append(own)
        if window.other_counts is not None and window.rates is not None and window.crowd.named:
            without_views = _usual_without_views(window, metric, window.rates)
            if without_views is not None:
                views = window.other_counts[0]
                own[f.LONELY] = lonely(window.crowd.named, views, rates[metric - 1], window.viewer_events)
                own[usual(f.LONELY)] = without_views
    x.update(columns_of(found))


def _unviewed(windows: Sequence[WindowView], x: Columns) -> None:
    """Add the share of followers who had not viewed the owner, where it is known of most of a window's followers."""
    usually = windows[0].platform.usual(f.UNVIEWED)
    if usually is None or usually >= UNVIEWED_MAX:
        return
    shares = np.full(len(windows), np.nan)
    for place, window in enumerate(windows):
        counted = window.target_state.followers
        if counted is not None:
            followers, unviewed = counted.of(window.scale.name, window.start)
            if followers >= max(f.PEOPLE_MIN, f.GIVEN_SHARE * window.crowd.named):
                shares[place] = unviewed / followers
    if not np.isnan(shares).all():
        x[f.UNVIEWED], x[usual(f.UNVIEWED)] = shares, np.full(len(windows), usually)


def _viewed_first(window: WindowView, x: dict[str, float]) -> None:
    rates = window.rates
    if rates is None or window.other_counts is None or rates.per_person(window.scale.name) is None:
        return
    first = rates.viewed_first(window.scale.name, metric_of(window.key), least=VIEWED_BEFORE)
    seen_ms = window.windows_since_first_view * window.scale.span_ms
    if first is not None and window.all_views_emitted and seen_ms >= VIEWED_MS:
        x[f.VIEWED_FIRST] = first


def _usual_without_views(window: WindowView, metric: int, rates: Rates) -> float | None:
    """Usual share of likes or follows without a view so far, None while it cannot be known.

    If views are emitted when playback ends, it is known for a closed day. It is known for a closed hour too if the
    surge is at least half an hour old, or if there is no surge, unless views of the target may last longer than that:
    then many who came in this hour are still viewing.
    """
    without_views, age_ms = rates.usually_lonely(metric), window.age_ms()
    if window.is_closed_day() or without_views is None:
        return without_views
    closed_hour = window.scale.span_ms >= HOUR_MS and not window.early
    ended = window.longest_view_ms <= HALF_HOUR_MS and (age_ms is None or age_ms >= HALF_HOUR_MS)
    if not rates.emitted_at_start() and not (closed_hour and ended):
        return None
    first = rates.viewed_first(HOUR if closed_hour else MINUTES, metric)
    return None if first is None else max(without_views, 1.0 - first)


def _habits(windows: Sequence[WindowView], x: Columns) -> None:
    """Add each target's own habits, where it has enough windows."""
    rung = RUNGS[windows[0].scale.name]
    for place, window in enumerate(windows):
        for name, (mean, count) in window.target_state.habits.get(rung, {}).items():
            if count >= HABIT_WINDOWS_MIN:
                column = x.get(habit(name))
                if column is None:
                    column = x[habit(name)] = np.full(len(windows), np.nan)
                column[place] = mean
