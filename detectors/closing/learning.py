"""What is learned of closed windows.

Each target's levels and habits are learned at once, the platform's baseline when all windows have been judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from detectors.campaigns.bands import Bands
from detectors.closing.table import Closing, ClosingTable
from detectors.events.key import NO_KEY, is_view
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.features.columns import selected
from detectors.judge import Decision
from detectors.measurement.window_view import WindowView, habits_unknown
from detectors.platform.platform import RUNGS, Platform
from detectors.state.level import Level
from detectors.state.target_state import TargetState
from detectors.thresholds import SURGE_LEAST, SURGE_SCORE
from detectors.windows.crowd import Crowd
from detectors.windows.scales import HOUR

HABIT_FADING = 0.1
"""Weight of a window in the target's own habits (about its last ten windows)."""

LEARN_CROWD_BELOW = 2.0
"""Crowd score from which nothing is learned from a window in a surge: it may be fraud."""


def learn_small(table: ClosingTable, place: int, closing: Closing) -> None:
    """Learn from a window without a crowd, or with one that is not measured. There may be millions of them."""
    _, state, crowd = table.rows[place]
    _learn_level(state, closing, crowd.n - crowd.quarantined, table.season)
    if not crowd.quarantined:
        _teach_platform(table, place, crowd)


def learn_window(table: ClosingTable, place: int, closing: Closing, decision: Decision | None) -> None:
    """Learn from a window with a crowd or a case, after the ``decision`` on it if it was judged by itself.

    A suspicious window counts at most as expected.
    Quarantined events are excluded. An exception ends only the learning; the verdict remains valid.
    """
    window = table.windows.get(place)
    try:
        if window is None:
            learn_small(table, place, closing)
        else:
            _learn(table, place, window, closing, decision or Decision(0.0, window.x[f.EXPECTED]))
    except UNCONTAINED:
        raise
    except Exception as error:  # noqa: BLE001  # any failure is limited to learning from this window
        table.platform.changed = True
        closing.outcome.fail("learning", table.rows[place][0], closing.start, 0, error)


def _learn(table: ClosingTable, place: int, window: WindowView, closing: Closing, decision: Decision) -> None:
    state, crowd, surge = window.target_state, window.crowd, window.surge
    slow = state.slow
    suspicious = (surge >= SURGE_SCORE and not window.reference.experienced()) or (
        surge >= SURGE_LEAST and decision.crowd >= LEARN_CROWD_BELOW
    )
    if slow is not None:
        suspicious = suspicious or slow.blocks_learning()
        if window.is_closed_day():
            slow.close_day(window.start, crowd)
    honest = crowd.n - crowd.quarantined
    if suspicious:
        honest = min(honest, math.ceil(decision.expected))
    _learn_level(state, closing, honest, table.season)
    if crowd.quarantined or suspicious or state.case is not None:
        return
    _teach_platform(table, place, crowd)
    measured = table.measured.get(place)
    if measured is not None and window.is_closed_day():
        _learn_interaction(table, place, window)
    if measured is None or not (table.teaching[place].crowd or habits_unknown(state, closing.scale)):
        return
    if table.teaching[place].crowd:
        table.teaching_crowds.append(measured)
    _learn_habits(state, closing, table.values(), measured)


def _learn_level(state: TargetState, closing: Closing, honest: int, season: float) -> None:
    name = closing.scale.name
    level = state.levels.get(name)
    if level is None:
        level = state.levels[name] = Level()
    level.learn(closing.scale, closing.start, max(0, honest), season)


def _teach_platform(table: ClosingTable, place: int, crowd: Crowd) -> None:
    table.typical.append(crowd.n)
    if table.people is not None and crowd.n > crowd.nobody and table.teaching[place].mix:
        table.mixing.append(place)


def _learn_habits(state: TargetState, closing: Closing, values: dict[str, list[float]], measured: int) -> None:
    habits = state.habits.setdefault(RUNGS[closing.scale.name], {})
    for name, column in values.items():
        value = column[measured]
        if value == value:  # noqa: PLR0124  # not NaN
            own = habits.get(name)
            if own is None:
                habits[name] = [value, 1]
            else:
                own[1] += 1
                own[0] += (value - own[0]) * max(HABIT_FADING, 1.0 / own[1])


def _learn_interaction(table: ClosingTable, place: int, window: WindowView) -> None:
    """Learn how often the viewers of a closed day liked the target or followed it."""
    rates = None if window.rates is None else window.rates.per_person(window.scale.name)
    if rates is not None and is_view(window.key) and window.other_counts is not None:
        came, expected = window.target_state.interaction
        kept, people = 1.0 - HABIT_FADING, table.people_who_can_act(place)
        window.target_state.interaction = (
            kept * came + min(people, sum(window.other_counts[1:])),
            kept * expected + people * sum(rates),
        )


def hand_over(table: ClosingTable, closing: Closing) -> None:
    """Add what the platform learns of a table's windows, which have been judged, to the lessons of the closing."""
    try:
        _hand_over(table, closing)
    except UNCONTAINED:
        raise
    except Exception as error:  # noqa: BLE001  # the verdicts remain; less is learned of these windows
        table.platform.changed = True
        closing.outcome.fail("learning", NO_KEY, closing.start, 0, error)


def _hand_over(table: ClosingTable, closing: Closing) -> None:
    lessons, metric = closing.lessons, table.metric
    for events, viewed in table.acts:
        lessons.add_acts(metric, events, viewed=viewed)
    for events, viewers in table.checked_acts:
        lessons.add_viewers(metric, events, viewers)
    lessons.interactions += table.interactions
    lessons.unflagged += table.unflagged
    own = lessons.by_metric[metric]
    own.typical += table.typical
    if closing.scale.name == HOUR:
        own.add_sellers([n for place, n in table.sellers_among.items() if not table.rows[place][2].quarantined])
    if table.people is not None:
        lessons.actors[metric].frombytes(table.people.actor.tobytes())
        if table.mixing:
            crowds = [table.rows[place][2] for place in table.mixing]
            accounts = [(crowd.asked, crowd.newcomers) for crowd in crowds]
            people = table.people.selected(np.array(table.mixing, np.intp))
            own.add_people(people, [crowd.named for crowd in crowds], accounts)
    if table.teaching_crowds:
        own.add_crowds(selected(table.columns, np.array(table.teaching_crowds, np.intp)))


def teach(closing: Closing, platforms: list[Platform], bands: Bands) -> Iterator[None]:
    """Learn from all windows that have closed together, with pauses."""
    outcome, start = closing.outcome, closing.start
    try:
        bands.lockstep.learn()
    except UNCONTAINED:
        raise
    except Exception as error:  # noqa: BLE001  # nothing is learned of bands from these windows
        bands.lockstep.broken_off()
        outcome.fail("lockstep", NO_KEY, start, 0, error)

    def fail(error: Exception) -> None:
        outcome.fail("learning", NO_KEY, start, 0, error)

    try:
        yield from closing.lessons.teach(platforms, fail)
    except UNCONTAINED:
        raise
    except Exception as error:  # noqa: BLE001  # no more is learned of the platform from these windows
        for platform in platforms:
            platform.changed = True
        outcome.fail("platform", NO_KEY, start, 0, error)
