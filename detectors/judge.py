"""Closed windows put before the judge: is it worth a look, what was expected, what speaks against it."""

from __future__ import annotations

from detectors.actors.rulings import CERTAIN
from detectors.cases.explanations import Explanations
from detectors.cases.incidents import Incidents
from detectors.catalog.registry import ACCOUNTS, CROWD_DETECTORS, DRIP, ESTIMATING_CODES, LOCKSTEP, SURGE, WATCH, WHO
from detectors.catalog.surge import cusum
from detectors.events.key import is_view, metric_of
from detectors.failures import UNCONTAINED
from detectors.features import names as f
from detectors.features.names import EVENTS_MIN
from detectors.measurement.window_view import WindowView
from detectors.platform.platform import Platform
from detectors.scoring.detector import Finding, score_of
from detectors.scoring.river_models import ConfiguredModel, ModelDetector
from detectors.scoring.sentences import RENTED_NETWORKS_CODE
from detectors.state.case import ARTIFICIAL, Step
from detectors.state.days import Day
from detectors.state.marks import Marks
from detectors.state.target_state import TargetState
from detectors.thresholds import SURGE_LEAST, SURGE_SCORE, Rulebook, Thresholds
from detectors.verdict.bands import band_opinion
from detectors.verdict.crowd import crowd_score
from detectors.verdict.days import accumulate, artificial_of, known_past, opinion_of
from detectors.verdict.evidence import CREDIBLE_P, PART_MIN, WITNESS_SCORE, WindowEvidence
from detectors.verdict.marked_share import EstimatedShare, convicting_marks, share_beyond, share_with_marks
from detectors.verdict.opinion import Opinion, about_several_events, min_excess_events, opinion
from detectors.verdict.referrers import UNSEEN_CODE, by_networks, by_unusual_referrers
from detectors.verdict.same_people import same_people
from detectors.windows.scales import MINUTE_MS, MINUTES, TICK, Scale

TRAIL_MAX = 360
"""Ticks remembered since the onset of a surge (an hour of ten-second ticks)."""

TICK_FACTOR = 3.0
TICK_EVENTS_MIN = 20
"""A tick is worth a look from this many times its expectation on, and from so many events."""

ASKED_HALF_LIFE_MS = 30 * MINUTE_MS
"""After half an hour a look counts half as one of many."""

LEARN_CROWD_BELOW = 2.0
"""Crowd score from which a window in a surge teaches nothing: it may be what we are here to find."""


class Cases:
    """The judge's desk of one audit."""

    def __init__(
        self,
        scales: tuple[Scale, ...],
        incidents: Incidents,
        explanations: Explanations,
        *,
        shadow: frozenset[str],
        models: tuple[ConfiguredModel, ...] = (),
        rulebook: Rulebook = Rulebook(),  # noqa: B008  # it is frozen
    ) -> None:
        self._rulebook = rulebook
        self._scales = scales
        self._incidents = incidents
        self._explanations = explanations
        silent = shadow | {model.name for model in models if model.shadow}
        names = (*CROWD_DETECTORS, *(model.name for model in models))
        self._voting = tuple(name for name in names if name not in silent)
        self._silent = tuple(name for name in names if name in silent)
        who, how = (
            tuple(model.name for model in models if model.family == family and not model.shadow)
            for family in ("who", "how")
        )
        self._models = who, how
        self._names_of_models = tuple(model.name for model in models)
        self._tick_ratio = scales[0].span_ms / scales[1].span_ms

    def needs_judging(self, watched: TargetState, count: int, platform: Platform) -> bool:
        """Whether a closed tick must be judged by itself, or can wait for its five minutes."""
        if watched.case is not None:
            return True
        if count < TICK_EVENTS_MIN:
            return False
        level = watched.levels.get(MINUTES)
        usual = level.mean if level is not None else platform.typical.get(MINUTES, 0.0)
        return watched.cusum > 0.0 or count > TICK_FACTOR * self._tick_ratio * usual

    def look(self, look: WindowView) -> None:
        """Judge a window; at its end, learn from it if nothing speaks against it."""
        tick = look.scale.name == TICK
        if tick:
            look.ratio = self._tick_ratio
        look.crowd.looked = look.crowd.n
        watched, platform = look.target_state, look.platform
        small = look.crowd.n < EVENTS_MIN and watched.case is None and f.BAND not in look.x
        if small and not (tick or look.early):
            look.learn(measured=False, suspicious=False)  # most windows are so small; there may be millions of them
            return
        look.expect()
        surge = crowd = 0.0
        view: Opinion | None = None
        closed = not (tick or look.early)
        learned = closed and look.crowd.n >= EVENTS_MIN and (look.teaches.crowd or look.habits_unknown())
        if look.crowd.n >= (f.FEW_MIN if look.early else EVENTS_MIN):
            surge = platform.detectors_of(look.scale)[SURGE].score_one(look.x)
            asked = surge >= SURGE_LEAST or watched.case is not None
            look.note_surge(surge)
            judged = look.reference.experienced() and (asked or look.is_closed_day())
            if judged or learned:
                look.measure()
            if judged:
                said = self._evidence(look)
                view = self._opinion(look, surge, said) if asked else None
                crowd = 0.0 if view is None else view.crowd
                if look.is_closed_day() and DRIP in self._voting:
                    view = self._over_days(look, surge, said, view)
        view = self._with_band(look, view)
        if tick:
            self._follow_onset(look)
        if view is not None and view.verdict is not None:
            self._explanations.end(look)
            self._incidents.act(look, view)
            _rule(look, view)
        else:
            self._incidents.follow(look)
            if view is not None:
                self._explanations.consider(look, view, self._rulebook.of(look.key))
            if tick and watched.trail:
                watched.trail[-1].quarantined = look.crowd.quarantined
        if closed:
            self._teach(look, surge, crowd, measured=learned)

    @staticmethod
    def _teach(look: WindowView, surge: float, crowd: float, *, measured: bool) -> None:
        slow = look.target_state.slow
        unjudged = surge >= SURGE_SCORE and not look.reference.experienced()
        suspicious = unjudged or (surge >= SURGE_LEAST and crowd >= LEARN_CROWD_BELOW)
        if slow is not None:
            suspicious = suspicious or slow.holds()
            if look.is_closed_day():
                slow.close_day(look.start, look.crowd)
        look.learn(measured=measured, suspicious=suspicious)

    def _evidence(self, look: WindowView) -> WindowEvidence:
        x, platform = look.x, look.platform
        findings = [
            finding
            for name in self._voting
            for finding in about_several_events(platform.detector(name, look.scale).findings(x), x[f.COUNT])
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
            known = (platform.known, look.reference.known) if seen_before_counts else ()
            x[f.SAME_SHARE], x[f.SAME] = same_people(look.crowd, look.mixes(), known)
        rented = next(((score_of(g.p), g.share) for g in findings if g.code == RENTED_NETWORKS_CODE), (0.0, 0.0))
        return WindowEvidence(evidence, rented, findings)

    def _opinion(self, look: WindowView, surge: float, said: WindowEvidence) -> Opinion:
        x, platform, evidence = look.x, look.platform, dict(said.evidence)
        if look.target_state.case is None:
            _count_asked(look)
        limits = self._rulebook.of(look.key)
        if self._explanations.promotion(look) is not None:
            x.pop(f.VIEWED_FIRST, None)  # what is odd in one respect is explained
        score = crowd_score(x, evidence, said.rented, self._models)
        marks, marked = self._marked(look, said.findings, convicted=score >= limits.suspect_score)
        view = opinion(
            x,
            (surge, score),
            (platform.detectors_of(look.scale)[SURGE].findings(x), said.findings),
            case=look.target_state.case,
            already=look.crowd.quarantined,
            limits=limits,
            marked=marked,
        )
        view.marks = marks
        if look.target_state.case is None:
            view = _bounded(look, view, limits)
        for name in self._silent:
            try:
                evidence[name] = platform.detector(name, look.scale).score_one(x), 0.0
            except UNCONTAINED:
                raise
            except Exception as error:  # noqa: BLE001  # whoever has no vote spoils no verdict either
                look.fail("shadow", error)
        look.outcome.note(view.verdict, [name for name, (score, _) in evidence.items() if score >= WITNESS_SCORE])
        for name in self._names_of_models:
            detector = platform.detector(name, look.scale)
            if isinstance(detector, ModelDetector) and detector.failed():
                look.outcome.witnesses[name, "failed"] = look.outcome.witnesses.get((name, "failed"), 0) + 1
        return view

    def _over_days(self, look: WindowView, surge: float, said: WindowEvidence, view: Opinion | None) -> Opinion | None:
        """Add a closed day to those before it; what they say together, if it is more than the day says alone."""
        crowd, watched = look.crowd, look.target_state
        artificial = artificial_of(look.x, said.findings, surge)
        day = Day(look.start, crowd.n, 0.0, False, *artificial, crowd.log_from)
        past = known_past(look.x, watched.levels.get(look.scale.name), look.views_days)
        watched.slow = slow = accumulate(watched.slow, day, look.x, said, past=past, models=self._models)
        over_days = None if slow is None else opinion_of(slow, look.x, said.findings, self._rulebook.of(look.key))
        if over_days is None:
            return view
        if view is not None and view.artificial > over_days.artificial:
            if view.verdict == ARTIFICIAL or over_days.verdict != ARTIFICIAL:
                return view
            over_days.artificial, over_days.low, over_days.high = view.artificial, view.low, view.high
        over_days.marks, _ = self._marked(look, said.findings, convicted=True)
        return over_days

    def _with_band(self, look: WindowView, view: Opinion | None) -> Opinion | None:
        """The opinion of a window; if a band was found in it, the band's own where that says more."""
        if f.BAND not in look.x or LOCKSTEP not in self._voting or not look.reference.experienced():
            return view
        surges = look.platform.detectors_of(look.scale)[SURGE]
        surge, limits = surges.score_one(look.x), self._rulebook.of(look.key)
        band = band_opinion(look.x, surge, case=look.target_state.case, already=look.crowd.quarantined, limits=limits)
        if band is None or (view is not None and view.verdict is not None and view.artificial >= band.artificial):
            return view
        band.findings = [*surges.findings(look.x), *look.platform.detector(LOCKSTEP, look.scale).findings(look.x)]
        return band

    @staticmethod
    def _marked(look: WindowView, findings: list[Finding], *, convicted: bool) -> tuple[Marks, EstimatedShare]:
        """What the findings point at in a crowd, and the part of it that has these marks or those of the open case."""
        case, mixes = look.target_state.case, look.mixes()
        shares = {g.code: g.share for g in findings if g.p <= CREDIBLE_P and g.code in ESTIMATING_CODES}
        marks = convicting_marks(look.crowd, shares if convicted else {}, mixes)
        wanted = marks if case is None else case.marks.joined(marks)
        told = max((finding.share for finding in findings if finding.code in wanted.codes), default=0.0)
        by_marks = share_with_marks(look.crowd, wanted, mixes, look.reference.usual(f.FRESH) or 0.0)
        return marks, max(by_marks, share_beyond(told, 0.0, look.crowd.n))

    def _follow_onset(self, look: WindowView) -> None:
        watched = look.target_state
        idle = (look.start - watched.cusum_at) // look.scale.span_ms - 1 if watched.cusum_at >= 0 else 0
        watched.cusum = cusum(watched.cusum, idle, look.x)
        watched.cusum_at = look.start
        if watched.cusum <= 0.0:
            watched.trail = []
            return
        crowd = look.crowd
        watched.trail.append(Step(look.start, crowd.n, look.x["expected"], crowd.quarantined, crowd.log_from))
        if len(watched.trail) > TRAIL_MAX:
            del watched.trail[0]


def _count_asked(look: WindowView) -> None:
    """Note how often a surge without a case was judged: whoever looks often finds something by chance."""
    watched = look.target_state
    watched.asked = 1.0 + watched.asked * 0.5 ** (max(0, look.until - watched.asked_at) / ASKED_HALF_LIFE_MS)
    watched.asked_at = max(watched.asked_at, look.until)
    look.x[f.TIMES_JUDGED] = watched.asked


def _rule(look: WindowView, view: Opinion) -> None:
    """Hold it of a crowd that was bought nearly as a whole, if anything is wrong with its people: of likes by those who
    did not open what they like nothing else may be known, and accounts are taken over."""
    case = look.target_state.case
    told = [*view.findings, *(case.reasons if case is not None else ())]
    known = is_view(look.key) or any(reason.detector in WHO and reason.p <= CREDIBLE_P for reason in told)
    if known and view.verdict == ARTIFICIAL and look.rulings is not None and view.artificial >= CERTAIN * look.crowd.n:
        look.rulings.note(look.crowd.actors, look.key)


def _bounded(look: WindowView, view: Opinion, limits: Thresholds) -> Opinion:
    """A verdict that would open a case, withheld if too many alarms would be wrong (``platform.false_discoveries``)."""
    excess = round(look.x[f.COUNT] - look.x[f.EXPECTED])
    if view.surge < limits.surge_score_least or excess < min_excess_events(limits):
        return view
    bound, before = look.platform.discoveries, look.platform.discoveries.reward
    withheld = view.verdict is not None and not bound.allows(10.0**-view.crowd, limits.false_discovery_rate)
    if withheld:
        look.outcome.withheld[metric_of(look.key)] += 1
        view = Opinion(None, view.surge, view.crowd, [], 0.0, 0.0, 0.0)
    bound.tested(alarm=view.verdict is not None)
    look.platform.changed = look.platform.changed or bound.reward != before
    return view
