"""Judges one window: expect, measure, collect evidence, decide, act on the verdict, learn."""

from __future__ import annotations

from detectors.actors.rulings import CERTAIN
from detectors.cases.explanations import Explanations
from detectors.cases.incidents import Incidents
from detectors.cases.settlements import SETTLEMENTS_MAX
from detectors.catalog.registry import (
    ACCOUNTS,
    CROWD_DETECTORS,
    DRIP,
    ESTIMATING_CODES,
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
from detectors.scoring.detector import Finding, score_of
from detectors.scoring.river_models import ConfiguredModel, ModelDetector
from detectors.scoring.sentences import RENTED_NETWORKS_CODE
from detectors.state.case import ARTIFICIAL, Step
from detectors.state.days import Day
from detectors.state.marks import Marks
from detectors.state.target_state import TargetState
from detectors.thresholds import SURGE_LEAST, Rulebook, Thresholds
from detectors.verdict.alone import ALONE, alone_opinion, conduct_is_seen, overwhelming
from detectors.verdict.bands import with_band
from detectors.verdict.before_case import limit_to_case
from detectors.verdict.crowd import crowd_score
from detectors.verdict.days import accumulate, artificial_of, known_past, opinion_of
from detectors.verdict.evidence import CREDIBLE_P, PART_MIN, WITNESS_SCORE, WindowEvidence
from detectors.verdict.marked_share import (
    RULINGS,
    EstimatedShare,
    convicting_marks,
    share_beyond,
    share_with_codes,
    share_with_marks,
    share_with_rulings,
)
from detectors.verdict.opinion import Opinion, about_several_events, opinion
from detectors.verdict.referrers import UNSEEN_CODE, by_networks, by_unusual_referrers
from detectors.verdict.repeated_tests import count_judging, limit_false_discoveries
from detectors.verdict.same_people import same_people
from detectors.verdict.sellers import with_sellers
from detectors.windows.scales import MINUTES, TICK, Scale

TRAIL_MAX = 360
"""Ticks stored since the onset of a surge (an hour of ten-second ticks)."""

TICK_FACTOR = 3.0
TICK_EVENTS_MIN = 20
"""A tick is judged by itself if it has more than this many times its expectation, and at least so many events."""


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

    def decide(self, window: WindowView, *, judged: bool) -> float:
        """Decide on an open or a closed window, whose surge is scored. Returns the score of its crowd (-log10 p).

        ``judged`` is whether its crowd has been measured and is judged. If it fails, everything it has changed is
        restored.
        """
        savepoint = Savepoint(window.target_state, window.outcome, window.crowd, window.platform.discoveries)
        try:
            score = self._decide(window, judged=judged)
        except Exception:
            savepoint.restore()
            raise
        self._record_rulings(window)
        return score

    @staticmethod
    def _record_rulings(window: WindowView) -> None:
        case = window.target_state.case
        if not window.convicted or window.rulings is None or case is None:
            return
        news = window.rulings.note(window.crowd.people["actor"].tolist(), window.key)
        if news:
            share = min(1.0, case.purity())
            window.outcome.requests.append(Removed(window.until, case.flag_id, window.key, share, sorted(news)))

    def _decide(self, window: WindowView, *, judged: bool) -> float:
        """Decide on a measured window, and act on the verdict. Returns the score of its crowd."""
        state, tick, surge = window.target_state, window.scale.name == TICK, window.surge
        view: Opinion | None = None
        crowd = 0.0
        if judged:
            window_evidence = self._evidence(window)
            if surge >= SURGE_LEAST or state.case is not None or self._is_overwhelming_day(window, window_evidence):
                view = self._opinion(window, surge, window_evidence)
                crowd = view.crowd
            if window.is_closed_day() and DRIP in self.voting:
                view = self._with_past_days(window, surge, window_evidence, view)
        view = self._with_known_people(window, view)
        if tick:
            self._track_onset(window)
        if view is not None and view.verdict is not None:
            self._explanations.end(window)
            self._incidents.act(window, view)
            window.convicted = _convicts(window, view)
        else:
            self._incidents.follow(window)
            if view is not None:
                self._explanations.consider(window, view, self._rulebook.of(window.key))
            if tick and state.trail:
                state.trail[-1].quarantined = window.crowd.quarantined
        return crowd

    def _evidence(self, window: WindowView) -> WindowEvidence:
        x, platform = window.x, window.platform
        findings = [
            finding
            for name in (self.voting if window.asked is None else window.asked)
            for finding in about_several_events(platform.detector(name, window.scale).findings(x), x[f.COUNT])
        ]
        findings.sort(key=lambda finding: (finding.p, finding.code))
        seen_before_counts = not by_unusual_referrers(x) or by_networks(findings)
        if not seen_before_counts:
            findings = [finding for finding in findings if finding.code != UNSEEN_CODE]
        evidence: dict[str, tuple[float, float]] = {}
        for finding in findings:
            score, share = evidence.get(finding.detector, (0.0, 0.0))
            evidence[finding.detector] = max(score, score_of(finding.p)), max(share, finding.share)
        if min(evidence.get(ACCOUNTS, (0.0, 0.0))[1], evidence.get(WATCH, (0.0, 0.0))[1]) >= PART_MIN:
            known = (platform.known, window.reference.known) if seen_before_counts else ()
            x[f.SAME_SHARE], x[f.SAME] = same_people(window.crowd, window.mixes(), known)
        rented = next(((score_of(g.p), g.share) for g in findings if g.code == RENTED_NETWORKS_CODE), (0.0, 0.0))
        return WindowEvidence(evidence, rented, findings)

    def _opinion(self, window: WindowView, surge: float, window_evidence: WindowEvidence) -> Opinion:
        x, platform, evidence = window.x, window.platform, dict(window_evidence.evidence)
        if window.target_state.case is None:
            count_judging(window)
        limits = self._rulebook.of(window.key)
        if self._explanations.promotion(window) is not None:
            x.pop(f.VIEWED_FIRST, None)  # the promotion explains acts without a view
        score = crowd_score(x, evidence, window_evidence.rented, self._models) if evidence else 0.0
        marks, marked = self._marked_share(window, window_evidence.findings, convicted=score >= limits.suspect_score)
        view = opinion(
            x,
            (surge, score),
            (platform.detectors_of(window.scale)[SURGE].findings(x), window_evidence.findings),
            case=window.target_state.case,
            already=window.crowd.quarantined,
            limits=limits,
            marked=marked,
        )
        view.marks = marks
        view = limit_to_case(window, view, window_evidence, self._models, limits)
        view = self._alone(window, view, window_evidence.findings, limits)
        if window.target_state.case is None:
            view = limit_false_discoveries(window, view, limits)
        for name in self._shadow if window.shadowed or view.verdict is not None else ():
            try:
                evidence[name] = platform.detector(name, window.scale).score_one(x), 0.0
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # a detector in shadow must not spoil a verdict
                window.fail("shadow", error)
        window.outcome.note(view.verdict, [name for name, (score, _) in evidence.items() if score >= WITNESS_SCORE])
        for name in self._model_names:
            detector = platform.detector(name, window.scale)
            if isinstance(detector, ModelDetector) and detector.failed():
                window.outcome.witnesses[name, "failed"] = window.outcome.witnesses.get((name, "failed"), 0) + 1
        return view

    def _is_overwhelming_day(self, window: WindowView, window_evidence: WindowEvidence) -> bool:
        """Whether this is the end of a day with overwhelming evidence of one kind, which needs no surge."""
        limits = self._rulebook.of(window.key)
        return window.is_closed_day() and overwhelming(window_evidence.findings, limits) is not None

    def _alone(self, window: WindowView, view: Opinion, findings: list[Finding], limits: Thresholds) -> Opinion:
        """The opinion by evidence of one kind, if that is overwhelming and nothing else decides."""
        state = window.target_state
        free = len(state.settlements) < SETTLEMENTS_MAX if state.case is None else state.case.settles
        found = overwhelming(findings, limits) if self._settles and free and not view.own_evidence else None
        if found is None or conduct_is_seen(window.x) or is_view(window.key):
            return view
        same_kind = [finding for finding in findings if finding.code in ALONE]
        marks, marked = self._marked_share(window, same_kind, convicted=True)
        surges = window.platform.detectors_of(window.scale)[SURGE].findings(window.x)
        alone = alone_opinion(
            window.x,
            (view.surge, surges),
            found,
            case=state.case,
            already=window.crowd.quarantined,
            limits=limits,
            marked=marked,
        )
        if alone is None:
            return view
        alone.marks = marks
        return alone

    def _with_past_days(
        self, window: WindowView, surge: float, window_evidence: WindowEvidence, view: Opinion | None
    ) -> Opinion | None:
        """Add a closed day to the past days. Returns their joint opinion if it finds more than the day's own."""
        crowd, state = window.crowd, window.target_state
        artificial = artificial_of(window.x, window_evidence.findings, surge)
        day = Day(window.start, crowd.n, 0.0, False, *artificial, crowd.log_from)
        past = known_past(window.x, state.levels.get(window.scale.name), window.views_days)
        state.slow = slow = accumulate(state.slow, day, window.x, window_evidence, past=past, models=self._models)
        over_days = (
            None
            if slow is None
            else opinion_of(slow, window.x, window_evidence.findings, self._rulebook.of(window.key))
        )
        if over_days is None:
            return view
        if view is not None and view.artificial > over_days.artificial:
            if view.verdict == ARTIFICIAL or over_days.verdict != ARTIFICIAL:
                return view
            over_days.artificial, over_days.low, over_days.high = view.artificial, view.low, view.high
        over_days.marks, _ = self._marked_share(window, window_evidence.findings, convicted=True)
        return over_days

    def _with_known_people(self, window: WindowView, view: Opinion | None) -> Opinion | None:
        """The opinion of a window, or of those of its people whose events are known one by one if they have more."""
        if not window.reference.experienced():
            return view
        limits = self._rulebook.of(window.key)
        if f.BAND in window.x and LOCKSTEP in self.voting:
            view = with_band(window, view, limits)
        if window.sellers and RECORD in self.voting and WATCH in self.voting:
            view = with_sellers(window, view, limits)
        return view

    @staticmethod
    def _marked_share(window: WindowView, findings: list[Finding], *, convicted: bool) -> tuple[Marks, EstimatedShare]:
        """The marks (traits) that convict a crowd, and the share of it with these or with the open case's marks."""
        case = window.target_state.case
        if case is None and not convicted:
            return Marks(), share_beyond(0.0, 0.0, window.crowd.n)
        mixes = window.mixes()
        shares = {g.code: g.share for g in findings if g.p <= CREDIBLE_P and g.code in ESTIMATING_CODES}
        marks = convicting_marks(window.crowd, shares if convicted else {}, mixes)
        wanted = marks if case is None else case.marks.joined(marks)
        share_found = share_with_codes(findings, wanted.codes)
        by_marks = share_with_marks(window.crowd, wanted, mixes, window.reference.usual(f.FRESH) or 0.0)
        found = max(by_marks, share_beyond(share_found, 0.0, window.crowd.n))
        if window.rulings is not None and not RULINGS.isdisjoint(wanted.codes):
            ruled = window.rulings.with_ruling(window.crowd.people["actor"].tolist(), window.key, window.until)
            found = max(found, share_with_rulings(window.crowd, ruled))
        return marks, found

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
