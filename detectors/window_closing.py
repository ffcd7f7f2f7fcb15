"""Closes windows: measures each against its surroundings, judges it, and learns from all that closed together.

Surroundings are the target's other metrics, known actors and bands of actors who act together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from detectors.actors.rulings import Rulings
from detectors.campaigns.bands import Bands
from detectors.events.key import NO_KEY, is_view, metric_of
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.features.interaction import with_accounts
from detectors.features.names import EVENTS_MIN
from detectors.intake.rules.act_rules import ActRules
from detectors.judge import Judge
from detectors.measurement.other_metrics import OtherMetrics
from detectors.measurement.window_view import WindowView
from detectors.platform.lessons import FROM_VIEWS, Lessons
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.reference.known_actors import count_newcomers
from detectors.rollback import Savepoint
from detectors.windows.scales import HOUR


@dataclass(frozen=True, slots=True)
class WindowClosing:
    """See the module. All fields belong to one audit."""

    judge: Judge
    bands: Bands
    rulings: Rulings
    other_metrics: OtherMetrics
    platforms: list[Platform]
    rules: ActRules
    parts: tuple[int, ...]
    """see scales.parts_of"""

    def judge_whole(self, window: WindowView) -> None:
        """Judge a window. If that fails, restore everything it has changed."""
        state, crowd = window.target_state, window.crowd
        if crowd.n < EVENTS_MIN and state.case is None and window.ends and f.BAND not in window.x:
            self.judge.judge_window(window)  # such a window is only learned from
            return
        savepoint = Savepoint(state, window.outcome, crowd, window.platform.discoveries)
        try:
            self.judge.judge_window(window)
        except Exception:
            savepoint.restore()
            raise

    def learn(self, lessons: Lessons, outcome: Outcome) -> Iterator[None]:
        """Learn from the windows that have closed together."""
        try:
            self.bands.lockstep.learn()
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # nothing is learned of bands from these windows
            self.bands.lockstep.broken_off()
            outcome.fail("lockstep", NO_KEY, lessons.start, 0, error)
        try:
            yield from lessons.teach(self.platforms)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # no more is learned of the platform from these windows
            for platform in self.platforms:
                platform.changed = True
            outcome.fail("platform", NO_KEY, lessons.start, 0, error)

    def close(self, window: WindowView, order: int, lessons: Lessons) -> None:
        """Measure the actors of a closed window, add it to ``lessons`` and judge it."""
        key, crowd, platform, scale, start = window.key, window.crowd, window.platform, window.scale, window.start
        views, metric = self.platforms[0], metric_of(key)
        actors: Set[int] = frozenset()
        unmet: list[int] = []
        lessons.add_window(metric, crowd)
        window.reference = self.other_metrics.reference(metric)
        if order == 1:
            actors = crowd.actor_hashes()
            self._follow(window, len(actors))
            known = [platform.known] if platform is window.reference else [platform.known, window.reference.known]
            unmet = count_newcomers(crowd, actors, known)
            lessons.actors[metric].extend(actors)
        window.rates, window.rulings = views.rates, self.rulings
        window.parts, window.teaches = self.parts[order], platform.teaching(scale, key, start)
        if metric and scale.name == HOUR and window.teaches.mix:
            lessons.add_acts(metric, crowd, viewed=self.other_metrics.viewed(key))
        self._count_viewers(window, lessons)
        if crowd.n >= EVENTS_MIN:
            window.other_counts = self.other_metrics.counts(key, order, start, lessons.views)
            window.views_days = self.other_metrics.days(key)
            window.windows_since_first_view = self.other_metrics.windows_since_first_view(key, scale, start)
            if metric == 0 and order > 1 and window.teaches.crowd:
                people = with_accounts(crowd, views.knows_accounts())
                lessons.interactions.append((people, *window.other_counts[1:]))
        self.judge_with_bands(window, actors, unmet)
        if metric == 0 and crowd.n >= EVENTS_MIN:
            self._note_views(window, order, lessons)

    def _note_views(self, window: WindowView, order: int, lessons: Lessons) -> None:
        """Record a closed window of views for the windows of likes and follows that close after it."""
        try:
            lessons.viewed.update(self.other_metrics.viewers_in_closing_window(window.key, order, window.crowd))
            lessons.views[window.key] = window.crowd.n - window.crowd.quarantined
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the verdict on the views is kept
            window.fail("learning", error)

    def _follow(self, window: WindowView, people: int) -> None:
        """Let the daily rule count the actors who came often."""
        try:
            self.rules.follow(window.key, window.crowd, people, window.end)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the window is judged without the rule
            self.rules.broken_off(metric_of(window.key))
            window.fail("rules", error)

    def _count_viewers(self, window: WindowView, lessons: Lessons) -> None:
        """Count the actors of a closed window of likes or follows who had viewed the target.

        The number is a feature of the window and part of the platform's baseline.
        """
        key, crowd = window.key, window.crowd
        if is_view(key):
            return
        clean = window.target_state.case is None and not crowd.quarantined
        teaches = clean and window.scale.name in FROM_VIEWS and window.teaches.mix and self.other_metrics.viewed(key)
        if not teaches and crowd.n < EVENTS_MIN:
            return
        metric, viewers, checked = (
            metric_of(key),
            self.other_metrics.viewer_events(key, crowd),
            self.other_metrics.checkable_people(key, crowd),
        )
        if teaches:
            lessons.add_viewers(metric, crowd, viewers, checked=checked)
        if crowd.n >= EVENTS_MIN:
            window.viewer_events = self.other_metrics.possible_viewer_events(key, crowd, viewers) + lessons.viewed.get(
                key, 0.0
            )
            window.all_views_emitted = checked >= f.PEOPLE_MIN and lessons.emits_every_view(self.platforms[0], metric)

    def judge_with_bands(self, window: WindowView, actors: Set[int], unmet: Iterable[int] = ()) -> None:
        """Judge a window. If its actors are given, find the bands among them first, and learn who came together."""
        if len(actors) < 2:
            self.judge_whole(window)
            return
        self.bands.find_band(window, actors)
        if not window.early:
            self.bands.note(window, actors, unmet)
        self.judge_whole(window)
