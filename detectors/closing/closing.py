"""Closes windows: all that end together are measured as tables, judged where they may be suspicious, and learned from.

The stages of a table are expect, measure, score, decide, apply, learn. All windows of a closing are scored against what
was learned before it, those of views before those of likes and follows. So neither the size of a table nor the order in
which tasks run changes a result. What the platform learns, it learns when all have been judged. Only decisions see
earlier decisions of the same closing, in the order of keys: the bound of false discoveries, and rulings on actors.

If the measuring of a table fails, each of its rows is processed alone, so a failure ends one window only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice

from detectors.campaigns.bands import Bands
from detectors.closing.learning import hand_over, learn_small, learn_window, teach
from detectors.closing.table import Closing, ClosingTable, Row
from detectors.closing.tabulate import tabulate
from detectors.events.key import VIEW, Key, metric_of
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.features.names import EVENTS_MIN
from detectors.intake.rules.act_rules import ActRules
from detectors.judge import Decision, Judge
from detectors.measurement.early_windows import EarlyWindows
from detectors.measurement.window_views import WindowViews
from detectors.open_windows import OpenWindows
from detectors.platform.lessons import Lessons
from detectors.records import Outcome
from detectors.state.target_states import CHANGED_AT_ONCE, TargetStates
from detectors.windows.crowd import Crowd

STEP_WINDOWS = 32
"""Windows judged one by one between two pauses: some milliseconds of work."""


@dataclass(frozen=True, slots=True)
class WindowClosing:
    """See the module. All fields belong to one audit."""

    target_states: TargetStates
    views: WindowViews
    open_windows: OpenWindows
    judge: Judge
    bands: Bands
    rules: ActRules
    early: EarlyWindows
    record_unjudged: Callable[[tuple[str, Exception], Key, Crowd, Outcome], None]
    record: Callable[[tuple[str, Exception], Key, int, int, Outcome], None]
    """see Containment"""

    def close(self, order: int, start: int, now_ms: int, outcome: Outcome) -> Iterator[None]:
        """Close the windows of a scale that begin at ``start``, with pauses."""
        scale = self.views.scales[order]
        closing = Closing(order, scale, start, Lessons(scale, start), outcome)
        for keys in _tables(self.target_states.take_waiting(order, start)):
            yield
            rows: list[Row] = []
            for key, state in zip(keys, self.target_states.change_many(keys), strict=True):
                crowd = state.open.pop(closing.scale.name, None)
                if crowd is not None:  # otherwise a failure dropped this window
                    rows.append((key, state, crowd))
            if rows:
                yield from self._close(rows, closing)
        if any(closing.lessons.windows):  # if all were dropped, a restarted task knows none of them
            yield from self.early.take(now_ms, closing.lessons.events, outcome)
            yield from teach(closing, self.views.platforms, self.bands)

    def _close(self, rows: list[Row], closing: Closing) -> Iterator[None]:
        try:
            table = self._tabulate(rows, closing)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # a failure ends one window only
            if len(rows) > 1:
                for row in rows:
                    yield from self._close([row], closing)
                return
            key, _, crowd = rows[0]
            closing.outcome.windows += 1
            closing.lessons.add_windows(metric_of(key), [crowd.n])
            self._unjudged(rows[0], closing, error)
        else:
            yield from self._decide(table, closing)
            hand_over(table, closing)
        if closing.order + 1 < len(self.views.scales):
            for row in rows:
                self._lengthen(row, closing)

    def _tabulate(self, rows: list[Row], closing: Closing) -> ClosingTable:
        return tabulate(rows, closing, self)

    def _decide(self, table: ClosingTable, closing: Closing) -> Iterator[None]:
        """Judge the rows that surge or have a case, one by one, and learn from each what its target learns."""
        closing.outcome.windows += len(table.rows)
        closing.lessons.add_windows(table.metric, [crowd.n for _, _, crowd in table.rows])
        judged = 0
        for place, row in enumerate(table.rows):
            try:
                self._finish(table, place, closing)
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # a failure ends this window only
                self._unjudged(row, closing, error)
            judged += place in table.judged
            if judged == STEP_WINDOWS:
                judged = 0
                yield

    def _finish(self, table: ClosingTable, place: int, closing: Closing) -> None:
        """Judge a row if it is suspicious, and let its target learn."""
        crowd = table.rows[place][2]
        if place in table.most or place in table.together:
            self._note_actors(table, place, closing)
        if place in table.windows or place in table.crowds:
            decision = self._judge(table, place) if table.is_judged(place) else None
            learn_window(table, place, closing, decision)
        else:
            learn_small(table, place, closing)
        if table.metric == VIEW and crowd.n >= EVENTS_MIN:
            self._note_views(table, place, closing)

    def _judge(self, table: ClosingTable, place: int) -> Decision:
        window = table.windows[place]
        # Rulings of this closing count too: they are made in the order of keys.
        rulings = self.views.rulings
        if len(rulings) and f.STRANGERS in window.x:
            ruled = rulings.share(window.crowd.actor_hashes(), window.key)
            if ruled != window.x.get(f.RULED):
                window.x, window.asked = {**window.x, f.RULED: ruled}, None
        return self.judge.decide(window, judged=place in table.judged)

    def _note_actors(self, table: ClosingTable, place: int, closing: Closing) -> None:
        """Let the daily rule count the actors who came often, and note who came together."""
        key, state, crowd = table.rows[place]
        most, together = table.most.get(place), table.together.get(place)
        if most is not None:
            try:
                self.rules.follow(key, crowd, most, closing.start + closing.scale.span_ms)
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # the window is judged without the rule
                self.rules.broken_off(table.metric)
                closing.outcome.fail("rules", key, closing.start, 0, error)
        if together:
            self.bands.note(key, state, crowd, together, partial(table.expected, place, closing.scale, closing.start))

    def _note_views(self, table: ClosingTable, place: int, closing: Closing) -> None:
        """Record a closed window of views for the windows of likes and follows that close after it."""
        key, state, crowd = table.rows[place]
        lessons, window = closing.lessons, table.windows.get(place)
        others = None if window is None else window.other_counts
        try:
            if closing.order > 1 and table.teaching[place].crowd and others is not None:
                people = table.people_who_can_act(place)
                table.interactions.append((people, *others[1:]))
                if not crowd.quarantined and state.case is None:
                    table.unflagged.append((people, sum(others[1:])))
            lessons.viewed.update(self.views.other_metrics.viewers_in_closing_window(key, closing.order, crowd))
            lessons.views[key] = crowd.n - crowd.quarantined
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the verdict on the views is kept
            closing.outcome.fail("learning", key, closing.start, 0, error)

    def _unjudged(self, row: Row, closing: Closing, error: Exception) -> None:
        key, _, crowd = row
        self.views.platforms[metric_of(key)].changed = True
        self.record_unjudged((closing.scale.name, error), key, crowd, closing.outcome)

    def _lengthen(self, row: Row, closing: Closing) -> None:
        """Merge a closed window into the next longer one."""
        key, state, crowd = row
        order, outcome = closing.order + 1, closing.outcome
        name = self.views.scales[order].name
        longer = state.open.get(name)
        unjudged = 0 if longer is None else longer.n - longer.unjudged
        try:
            crowd.squares = crowd.n * crowd.n
            longer = self.open_windows.merge(order, closing.start, key, state, crowd)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the contents of a half-merged window are unknown
            state.open.pop(name, None)
            self.record((name, error), key, closing.start, unjudged + crowd.n - crowd.unjudged, outcome)
            return
        try:
            self.early.merged(order, key, state, longer)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the window is judged at its end
            outcome.fail("early", key, closing.start, 0, error)


def _tables(waiting: Iterable[Key]) -> Iterator[list[Key]]:
    """The keys of each table: of one metric, in order."""
    for _, keys in groupby(waiting, metric_of):
        while table := list(islice(keys, CHANGED_AT_ONCE)):
            yield table
