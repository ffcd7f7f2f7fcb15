"""Windows put before the judge: with what stands beside them, with who acts together, and what they teach together."""

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
from detectors.judge import Cases
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
    """See the module. All that is here belongs to one audit."""

    cases: Cases
    company: Bands
    rulings: Rulings
    peers: OtherMetrics
    platforms: list[Platform]
    rules: ActRules
    parts: tuple[int, ...]
    """see scales.parts_of"""

    def look(self, look: WindowView) -> None:
        """Put a window before the judge: judged wholly, or not at all."""
        watched, crowd = look.target_state, look.crowd
        if crowd.n < EVENTS_MIN and watched.case is None and look.ends and f.BAND not in look.x:
            self.cases.look(look)  # such a window only teaches
            return
        kept = Savepoint(watched, look.outcome, crowd, look.platform.discoveries)
        try:
            self.cases.look(look)
        except Exception:
            kept.restore()
            raise

    def learn(self, closing: Lessons, outcome: Outcome) -> Iterator[None]:
        """Let the windows that have closed together teach what they teach together."""
        try:
            self.company.lockstep.learn()
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # these windows teach nothing of who comes together
            self.company.lockstep.broken_off()
            outcome.fail("lockstep", NO_KEY, closing.start, 0, error)
        try:
            yield from closing.teach(self.platforms)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # these windows teach no more of the platform
            for platform in self.platforms:
                platform.changed = True
            outcome.fail("platform", NO_KEY, closing.start, 0, error)

    def close(self, look: WindowView, order: int, closing: Lessons) -> None:
        """Learn who came to a closed window, and put it before the judge."""
        key, crowd, platform, scale, start = look.key, look.crowd, look.platform, look.scale, look.start
        views, metric = self.platforms[0], metric_of(key)
        actors: Set[int] = frozenset()
        unmet: list[int] = []
        closing.note(metric, crowd)
        look.reference = self.peers.reference(metric)
        if order == 1:
            actors = crowd.actor_hashes()
            self._follow(look, len(actors))
            known = [platform.known] if platform is look.reference else [platform.known, look.reference.known]
            unmet = count_newcomers(crowd, actors, known)
            closing.met[metric].extend(actors)
        look.rates, look.rulings = views.rates, self.rulings
        look.parts, look.teaches = self.parts[order], platform.teaching(scale, key, start)
        if metric and scale.name == HOUR and look.teaches.mix:
            closing.note_beside(metric, crowd, viewed=self.peers.viewed(key))
        self._ask_who_viewed(look, closing)
        if crowd.n >= EVENTS_MIN:
            look.other_counts = self.peers.counts(key, order, start, closing.views)
            look.views_days = self.peers.days(key)
            look.windows_since_first_view = self.peers.windows_since_first_view(key, scale, start)
            if metric == 0 and order > 1 and look.teaches.crowd:
                people = with_accounts(crowd, views.knows_accounts())
                closing.interactions.append((people, *look.other_counts[1:]))
        self.judge(look, actors, unmet)
        if metric == 0 and crowd.n >= EVENTS_MIN:
            self._note_views(look, order, closing)

    def _note_views(self, look: WindowView, order: int, closing: Lessons) -> None:
        """Let the windows of likes and follows that close after one of views know of it."""
        try:
            closing.viewed.update(self.peers.viewers_in_closing_window(look.key, order, look.crowd))
            closing.views[look.key] = look.crowd.n - look.crowd.quarantined
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the verdict on the views stands
            look.fail("learning", error)

    def _follow(self, look: WindowView, people: int) -> None:
        """Let the rules count for a day who came often."""
        try:
            self.rules.follow(look.key, look.crowd, people, look.end)
        except UNCONTAINED:
            raise
        except Exception as error:  # noqa: BLE001  # the window is judged without
            self.rules.broken_off(metric_of(look.key))
            look.fail("rules", error)

    def _ask_who_viewed(self, look: WindowView, closing: Lessons) -> None:
        """Ask who in a closed window of likes or follows had viewed the target, for its look and for what is usual."""
        key, crowd = look.key, look.crowd
        if is_view(key):
            return
        unheld = look.target_state.case is None and not crowd.quarantined
        teaches = unheld and look.scale.name in FROM_VIEWS and look.teaches.mix and self.peers.viewed(key)
        if not teaches and crowd.n < EVENTS_MIN:
            return
        metric, viewers, asked = (
            metric_of(key),
            self.peers.viewer_events(key, crowd),
            self.peers.checkable_people(key, crowd),
        )
        if teaches:
            closing.note_viewers(metric, crowd, viewers, asked=asked)
        if crowd.n >= EVENTS_MIN:
            look.viewer_events = self.peers.possible_viewer_events(key, crowd, viewers) + closing.viewed.get(key, 0.0)
            look.all_views_emitted = asked >= f.PEOPLE_MIN and closing.emits_every_view(self.platforms[0], metric)

    def judge(self, look: WindowView, actors: Set[int], unmet: Iterable[int] = ()) -> None:
        """Put a window before the judge. If its actors are given, say who of them act together, and learn who came."""
        if len(actors) < 2:
            self.look(look)
            return
        self.company.find_band(look, actors)
        if not look.early:
            self.company.note(look, actors, unmet)
        self.look(look)
