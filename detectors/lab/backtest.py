"""Runs labelled events through the detectors of a live worker, and measures the result.

Partitions, watermarks and lateness are as in production; only the transport is missing. ``measure`` defines the
figures, ``baselines`` the methods that truecount is compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from detectors.accounts.settings import AccountSettings
from detectors.audit import Audit, AuditSettings
from detectors.cases.statuses import REVERSED
from detectors.catalog.registry import CROWD_DETECTORS, SURGE
from detectors.catalog.surge import SURGE_CODE
from detectors.events.key import metric_name_of, target_of
from detectors.lab.account_measures import measure_rulings, measure_settlements
from detectors.lab.baselines import BASELINES
from detectors.lab.coupled_accounts import CoupledAccounts
from detectors.lab.measure import Alarm, Report, Truth, measure
from detectors.lab.removals import Removal, TargetMetric, remaining
from detectors.lab.scenarios.registry import QUIET, SCENARIOS, Scenario
from detectors.lab.scenarios.scene import BASE_RATE
from detectors.lab.traffic.blocks import Packer
from detectors.lab.traffic.platform import Labelled, Platform
from detectors.records import Flag, Outcome
from detectors.state.case import ARTIFICIAL, EXPLAINED, SUSPECT
from detectors.windows.scales import DAY_MS

START_MS = 1_700_006_400_000 // DAY_MS * DAY_MS
"""Midnight at which every run begins."""

RUN_VIEWS = 400_000.0
"""Background views of a run. It does not depend on the length, so long scenarios have fewer views per day."""

LATENESS_MS = 10_000
STEP_MS = 600_000
"""Most that event time moves at once where accounts are observed: an audit waits an hour for an answer."""
PARTITIONS = 2
METHOD = "truecount"


def platform_for(scenario: Scenario, seed: int, *, views: float = RUN_VIEWS) -> Platform:
    """A platform whose background has about ``views`` views over a whole run of the scenario."""
    per_day = views / (scenario.quiet_days + scenario.days)
    return Platform(seed, targets=max(200, int(views / 800)), actors=max(2000, int(views / 15)), views_per_day=per_day)


def run(
    scenario_id: str,
    seed: int,
    *,
    views: float = RUN_VIEWS,
    base_rate: float = BASE_RATE,
    strength: float = 1.0,
    without: Iterable[str] = (),
    methods: Iterable[str] = (METHOD,),
    shadow: Iterable[str] = (),
    settings: AuditSettings | None = None,
    accounts: AccountSettings | None = None,
    partitions: int = PARTITIONS,
) -> list[Report]:
    """Reports of the methods ("truecount" or a baseline's name) on the same events of one scenario.

    ``without`` are event fields that the platform does not send. ``shadow`` are detectors without a vote, in addition
    to those of ``settings``, the settings of the audits. With ``accounts``, accounts are observed beside the audits.
    The targets are spread over ``partitions``.
    """
    scenario = QUIET if scenario_id == QUIET.id else SCENARIOS[scenario_id]
    platform = platform_for(scenario, seed, views=views)
    stream = scenario.events(platform, seed=seed, start_ms=START_MS, base_rate=base_rate, strength=strength)
    quiet_until = START_MS + round(scenario.quiet_days * DAY_MS)
    return judge_stream(
        stream,
        scenario_id,
        seed,
        quiet_until_ms=quiet_until,
        without=without,
        methods=methods,
        shadow=shadow,
        settings=settings,
        accounts=accounts,
        partitions=partitions,
    )


def judge_stream(
    stream: Iterator[list[Labelled]],
    name: str,
    seed: int = 0,
    *,
    quiet_until_ms: int | None,
    without: Iterable[str] = (),
    methods: Iterable[str] = (METHOD,),
    shadow: Iterable[str] = (),
    settings: AuditSettings | None = None,
    accounts: AccountSettings | None = None,
    partitions: int = PARTITIONS,
) -> list[Report]:
    """Reports of the methods on any labelled stream; other parameters as in ``run``.

    Baselines learn their thresholds before ``quiet_until_ms``, or from the whole stream if it is None.
    """
    truth = Truth()
    without, methods = tuple(without), tuple(methods)
    runners: list[Runner] = [
        AuditRun(without, partitions=partitions, shadow=shadow, settings=settings, accounts=accounts)
        if m == METHOD
        else BASELINES[m](quiet_until_ms, without)
        for m in methods
    ]
    for chunk in stream:
        truth.note(chunk)
        for runner in runners:
            runner.take(chunk)
    reports = []
    for method, runner in zip(methods, runners, strict=True):
        removals, alarms = runner.finish()
        report = measure(Report(name, method, seed), truth, removals, alarms)
        if isinstance(runner, AuditRun):
            report.explained = len({flag.flag_id for flag in runner.outcome.flags if flag.verdict == EXPLAINED})
            report.judged = dict(sorted(runner.outcome.judged.items()))
            for (detector, verdict), windows in sorted(runner.outcome.witnesses.items()):
                report.witnesses.setdefault(detector, {})[verdict] = windows
            report.reversed = len({flag.flag_id for flag in runner.outcome.flags if flag.status == REVERSED})
            note_failures(report, runner)
            measure_settlements(report, truth, runner.outcome)
            if runner.accounts is not None:
                measure_rulings(report, truth, runner.accounts.rulings)
        reports.append(report)
    return reports


class Runner(Protocol):
    """A method under test: it gets the stream in order of time, and returns its removals and flags at the end."""

    def take(self, chunk: list[Labelled]) -> None:
        """Process a chunk of the stream."""
        ...

    def finish(self) -> tuple[list[Removal], list[Alarm]]:
        """Process the end of the stream, and return what was removed and flagged."""
        ...


class AuditRun:
    """The audits of all partitions of one stream, with their accounts if wanted. ``outcome`` collects flags and
    corrections."""

    def __init__(
        self,
        without: Iterable[str] = (),
        *,
        partitions: int = PARTITIONS,
        shadow: Iterable[str] = (),
        settings: AuditSettings | None = None,
        accounts: AccountSettings | None = None,
    ) -> None:
        settings = settings or AuditSettings()
        if accounts is None:
            settings = replace(settings, settle_hours=0)
        without = tuple(without)
        self._packer = Packer(partitions, without)
        names = frozenset(shadow)
        unknown = sorted(names - set(CROWD_DETECTORS))
        if unknown:
            raise NoSuchDetectorError(
                f"no such detector: {', '.join(unknown)}; one of {', '.join(CROWD_DETECTORS)} can be left out"
            )
        names |= settings.shadow
        settings = replace(settings, partitions=partitions, config="lab", shadow=names)
        self.audits = [Audit(replace(settings, partition=partition)) for partition in range(partitions)]
        self.accounts = None if accounts is None else CoupledAccounts(self.audits, without, accounts)
        self.outcome = Outcome()
        self._position = 0
        self._latest_ms = -1
        self._now = -1

    def take(self, chunk: list[Labelled]) -> None:
        """Audit a chunk of the stream. With accounts, time moves in steps of STEP_MS: they must be able to answer."""
        if self.accounts is None:
            self._take(chunk)
            return
        for piece in _pieces(chunk):
            first = piece[0].event.ts - LATENESS_MS
            while 0 <= self._now < first - STEP_MS:
                self._advance(self._now + STEP_MS)
            self._take(piece)

    def finish(self) -> tuple[list[Removal], list[Alarm]]:
        """Close all windows and cases, and return removals that were not reversed, and flags.

        What accounts would do after the stream is not known, so questions that are open at its end get no answer.
        """
        end, accounts = self._latest_ms + 4 * DAY_MS, self.accounts
        if accounts is not None:
            accounts.hand_on(self._position, self.outcome)
        for audit in self.audits:
            audit.advance(end, self.outcome)
        self.outcome.counts.clear()
        return removals_of(self.outcome), alarms_of(self.outcome)

    def _take(self, chunk: list[Labelled]) -> None:
        self._position += 1
        self._latest_ms = max(self._latest_ms, chunk[-1].event.ts)
        for place, block in self._packer.pack(labelled.event for labelled in chunk):
            self.audits[place].observe(block, self._position, self.outcome)
        if self.accounts is not None:
            self.accounts.observe(chunk)
        self._advance(self._latest_ms - LATENESS_MS)

    def _advance(self, now_ms: int) -> None:
        """Move event time: of the audits first, then of the accounts, whose controls reach the audits at once."""
        self._now = now_ms
        for audit in self.audits:
            audit.advance(now_ms, self.outcome)
            if self.accounts is not None:
                self.accounts.request(audit.settings.partition, self.outcome.requests)
                self.outcome.requests.clear()
        if self.accounts is not None:
            self.accounts.advance(now_ms)
            self.accounts.hand_on(self._position, self.outcome)
        self.outcome.counts.clear()


def note_failures(report: Report, run: AuditRun) -> None:
    """Add the exceptions that a run has contained to its report."""
    for outcome in (run.outcome,) if run.accounts is None else (run.outcome, run.accounts.outcome):
        for part, failures in sorted(outcome.failures.items()):
            report.failures[part] = report.failures.get(part, 0) + failures
        if report.first_failure is None and outcome.unjudged:
            report.first_failure = outcome.unjudged[0].error


def _pieces(chunk: list[Labelled]) -> Iterator[list[Labelled]]:
    """A chunk in pieces of at most STEP_MS."""
    piece: list[Labelled] = []
    for labelled in chunk:
        if piece and labelled.event.ts - piece[0].event.ts >= STEP_MS:
            yield piece
            piece = []
        piece.append(labelled)
    yield piece


class NoSuchDetectorError(ValueError):
    """Raised for an unknown name of a detector that is to have no vote."""


def removals_of(outcome: Outcome) -> list[Removal]:
    """Events made invalid by rules, and those of the quarantined events that were not given back."""
    by_rules = [
        Removal(
            TargetMetric(target_of(hit.key), metric_name_of(hit.key)), hit.start, hit.end, hit.events, reason=hit.reason
        )
        for hit in outcome.hits
    ]
    return by_rules + remaining(outcome.corrections)


def alarms_of(outcome: Outcome) -> list[Alarm]:
    """Flags by their last revision, raised when the window that opened them closed. Reversed ones accuse nobody."""
    first: dict[str, Flag] = {}
    last: dict[str, Flag] = {}
    for flag in outcome.flags:
        first.setdefault(flag.flag_id, flag)
        last[flag.flag_id] = flag
    alarms = []
    for ident, flag in last.items():
        if flag.verdict not in (SUSPECT, ARTIFICIAL) or flag.status == REVERSED:
            continue
        key = TargetMetric(flag.target, flag.metric)
        part = flag.artificial.value / max(1, flag.observed)
        score = flag.score / 100.0 * min(1.0, part)
        reason = next((r.code for r in flag.reasons if r.detector != SURGE), SURGE_CODE)
        raised = first[ident].until + LATENESS_MS
        alarms.append(
            Alarm(ident, key, flag.onset, flag.until, raised, score, flag.artificial.value, reason, flag.verdict)
        )
    return alarms
