"""Judges one window that is measured: gather evidence, make an opinion of it, act on that.

Each stage takes what the one before returns. Features and evidence do not change once they are made.
"""

from __future__ import annotations

from typing import NamedTuple

from detectors.actors.rulings import CERTAIN
from detectors.cases.explanations import Explanations
from detectors.cases.incidents import Incidents
from detectors.cases.settlements import SETTLEMENTS_MAX
from detectors.catalog.registry import (
    CROWD_DETECTORS,
    DRIP,
    LOCKSTEP,
    RECORD,
    SURGE,
    WATCH,
    WHO,
)
from detectors.catalog.surge import cusum
from detectors.controls import Removed
from detectors.events.key import is_view
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.features.names import EVENTS_MIN
from detectors.measurement.measuring import expect, measure_all
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.rollback import Savepoint
from detectors.scoring.river_models import ConfiguredModel, ModelDetector
from detectors.state.case import ARTIFICIAL, Step
from detectors.state.target_state import TargetState
from detectors.thresholds import SURGE_LEAST, Rulebook, Thresholds
from detectors.verdict.alone import overwhelming
from detectors.verdict.bands import with_band
from detectors.verdict.days import with_past_days
from detectors.verdict.evidence import CREDIBLE_P, WITNESS_SCORE, WindowEvidence
from detectors.verdict.gathering import gather
from detectors.verdict.opinion import Opinion
from detectors.verdict.repeated_tests import with_judgings
from detectors.verdict.sellers import with_sellers
from detectors.verdict.window_opinion import window_opinion
from detectors.windows.scales import MINUTES, TICK, Scale

TRAIL_MAX = 360
"""Ticks stored since the onset of a surge (an hour of ten-second ticks)."""

TICK_FACTOR = 3.0
TICK_EVENTS_MIN = 20
"""A tick is judged by itself if it has more than this many times its expectation, and at least so many events."""


class Decision(NamedTuple):
    """What a decision on a window says of what may be learned from it."""

    crowd: float
    """score of its crowd by its own evidence (-log10 p), 0.0 if it is not judged"""
    expected: float
    """expected events, beside those of a drip"""


class Judge:
    """Judges the windows of one audit."""

    def __init__(
        self,
        scales: tuple[Scale, ...],
        incidents: Incidents,
        explanations: Explanations,
        *,
        shadow: frozenset[str],
        models: tuple[ConfiguredModel, ...] = (),
        rulebook: Rulebook = Rulebook(),  # noqa: B008  # it is frozen
        settles: bool = True,
    ) -> None:
        """``settles`` is whether overwhelming evidence of one kind opens cases (``verdict.alone``)."""
        self._settles = settles
        self._rulebook = rulebook
        self._scales = scales
        self._incidents = incidents
        self._explanations = explanations
        in_shadow = shadow | {model.name for model in models if model.shadow}
        names = (*CROWD_DETECTORS, *(model.name for model in models))
        self.voting = tuple(name for name in names if name not in in_shadow)
        """the detectors with a vote"""
        self._shadow = tuple(name for name in names if name in in_shadow)
        who, how = (
            tuple(model.name for model in models if model.family == family and not model.shadow)
            for family in ("who", "how")
        )
        self._models = who, how
        self._model_names = tuple(model.name for model in models)
        self._tick_ratio = scales[0].span_ms / scales[1].span_ms

    def needs_judging(self, state: TargetState, count: int, platform: Platform) -> bool:
        """Whether a closed tick must be judged by itself. Otherwise it is judged with its five minutes."""
        if state.case is not None:
            return True
        if count < TICK_EVENTS_MIN:
            return False
        level = state.levels.get(MINUTES)
        usual = level.mean if level is not None else platform.typical.get(MINUTES, 0.0)
        return state.cusum > 0.0 or count > TICK_FACTOR * self._tick_ratio * usual

    def judge_tick(self, window: WindowView) -> None:
        """Judge a tick by itself. If that fails, restore everything it has changed."""
        savepoint = Savepoint(window.target_state, window.outcome, window.crowd, window.platform.discoveries)
        try:
            window.ratio = self._tick_ratio
            measured = self.prepare_open(window)
            if measured:
                measure_all([window])
            self._decide(window, judged=measured)
        except Exception:
            savepoint.restore()
            raise
        self._record_rulings(window)

    def prepare_open(self, window: WindowView) -> bool:
        """Expect the count of a tick or an open window and score its surge. Returns whether it must be measured."""
        expect(window)
        if window.crowd.n < (f.FEW_MIN if window.early else EVENTS_MIN):
            return False
        window.surge = window.platform.detectors_of(window.scale)[SURGE].score_one(window.x)
        window.note_surge(window.surge)
        surging = window.surge >= SURGE_LEAST or window.target_state.case is not None
        return surging and window.reference.experienced()

    def decide(self, window: WindowView, *, judged: bool) -> Decision:
        """Decide on an open or a closed window, whose surge is scored.

        ``judged`` is whether its crowd has been measured and is judged. If it fails, everything it has changed is
        restored.
        """
        savepoint = Savepoint(window.target_state, window.outcome, window.crowd, window.platform.discoveries)
        try:
            decision = self._decide(window, judged=judged)
        except Exception:
            savepoint.restore()
            raise
        self._record_rulings(window)
        return decision

    def _decide(self, window: WindowView, *, judged: bool) -> Decision:
        """Gather the evidence about a window, make an opinion of it, and act on that."""
        limits = self._rulebook.of(window.key)
        own: Opinion | None = None
        view: Opinion | None = None
        if judged:
            promoted = self._explanations.promotion(window) is not None
            found = gather(window, self.voting, promoted=promoted)
            if self._is_worth_an_opinion(window, found, limits):
                found = with_judgings(window, found)
                own = view = self._opinion(window, found, limits)
            if window.is_closed_day() and DRIP in self.voting:
                view = with_past_days(window, found, own, limits, self._models)
        if window.reference.experienced():
            view = self._with_known_people(window, view, limits)
        self._act(window, view, limits)
        expected = window.x[f.EXPECTED] if view is None else view.expected(window.x)
        return Decision(0.0 if own is None else own.crowd, expected)

    @staticmethod
    def _is_worth_an_opinion(window: WindowView, found: WindowEvidence, limits: Thresholds) -> bool:
        """Whether a window surges, has a case, or is a closed day with overwhelming evidence, which needs no surge."""
        if window.surge >= SURGE_LEAST or window.target_state.case is not None:
            return True
        return window.is_closed_day() and overwhelming(found.findings, limits) is not None

    def _opinion(self, window: WindowView, found: WindowEvidence, limits: Thresholds) -> Opinion:
        """The opinion on a window by its own evidence. Notes which detectors have evidence, also those in shadow."""
        state = window.target_state
        free = len(state.settlements) < SETTLEMENTS_MAX if state.case is None else state.case.settles
        view = window_opinion(window, found, limits, models=self._models, settles=self._settles and free)
        self._note_witnesses(window, found, view)
        return view

    def _note_witnesses(self, window: WindowView, found: WindowEvidence, view: Opinion) -> None:
        platform, outcome = window.platform, window.outcome
        scores = {name: score for name, (score, _) in found.evidence.items()}
        for name in self._shadow if window.shadowed or view.verdict is not None else ():
            try:
                scores[name] = platform.detector(name, window.scale).score_one(found.x)
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # a detector in shadow must not spoil a verdict
                window.fail("shadow", error)
        outcome.note(view.verdict, [name for name, score in scores.items() if score >= WITNESS_SCORE])
        for name in self._model_names:
            detector = platform.detector(name, window.scale)
            if isinstance(detector, ModelDetector) and detector.failed():
                outcome.witnesses[name, "failed"] = outcome.witnesses.get((name, "failed"), 0) + 1

    def _with_known_people(self, window: WindowView, view: Opinion | None, limits: Thresholds) -> Opinion | None:
        """The opinion of a window, or of those of its people whose events are known one by one if they have more."""
        found = view
        if f.BAND in window.x and LOCKSTEP in self.voting:
            found = with_band(window, found, limits)
        if window.sellers and RECORD in self.voting and WATCH in self.voting:
            found = with_sellers(window, found, limits)
        if found is not None and view is not None:
            found.beside_drip = view.beside_drip
        return found

    def _act(self, window: WindowView, view: Opinion | None, limits: Thresholds) -> None:
        """Open, continue or explain what an opinion is about."""
        state, tick = window.target_state, window.scale.name == TICK
        if tick:
            self._track_onset(window)
        if view is not None and view.verdict is not None:
            self._explanations.end(window)
            self._incidents.act(window, view)
            window.convicted = _convicts(window, view)
            return
        self._incidents.follow(window)
        if view is not None:
            self._explanations.consider(window, view, limits)
        if tick and state.trail:
            state.trail[-1].quarantined = window.crowd.quarantined

    @staticmethod
    def _record_rulings(window: WindowView) -> None:
        case = window.target_state.case
        if not window.convicted or window.rulings is None or case is None:
            return
        news = window.rulings.note(window.crowd.people["actor"].tolist(), window.key)
        if news:
            share = min(1.0, case.purity())
            window.outcome.requests.append(Removed(window.until, case.flag_id, window.key, share, sorted(news)))

    def _track_onset(self, window: WindowView) -> None:
        state = window.target_state
        idle = (window.start - state.cusum_at) // window.scale.span_ms - 1 if state.cusum_at >= 0 else 0
        state.cusum = cusum(state.cusum, idle, window.x)
        state.cusum_at = window.start
        if state.cusum <= 0.0:
            state.trail = []
            return
        crowd = window.crowd
        state.trail.append(Step(window.start, crowd.n, window.x["expected"], crowd.quarantined, crowd.log_from))
        if len(state.trail) > TRAIL_MAX:
            del state.trail[0]


def _convicts(window: WindowView, view: Opinion) -> bool:
    """Whether each sampled actor gets a ruling: the crowd is at least 90 % artificial.

    For likes and follows, also require evidence about the people themselves: honest accounts may be hijacked.
    """
    case = window.target_state.case
    reasons = [*view.findings, *(case.reasons if case is not None else ())]
    if view.sellers:  # what rests on rulings gives no rulings
        return False
    known = is_view(window.key) or any(reason.detector in WHO and reason.p <= CREDIBLE_P for reason in reasons)
    return known and view.verdict == ARTIFICIAL and view.artificial >= CERTAIN * window.crowd.n
