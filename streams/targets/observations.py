"""Updates metrics from the outcomes of an audit, and measures the time from an event to its published output."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.cases.statuses import ACCUSING, OPENED
from detectors.events.event import METRICS
from detectors.events.key import metric_name_of
from detectors.records import Flag, Outcome
from streams import metrics
from streams.metric_series import COUNT, FLAG


def count_outcome(outcome: Outcome) -> None:
    """Add an outcome to the counters."""
    for flag in outcome.flags:
        metrics.FLAGS.labels(flag.metric, flag.verdict, flag.status).inc()
        if _opens(flag):
            metrics.FLAG_REASONS.labels(flag.metric, _leading(flag)).inc()
    for correction in outcome.corrections:
        metrics.CORRECTED.labels(correction.metric, correction.to).inc(correction.count)
    for hit in outcome.hits:
        metrics.REJECTED.labels(metric_name_of(hit.key), hit.reason).inc(hit.events)
    metrics.LATE.inc(outcome.late)
    metrics.HISTORIC.inc(outcome.historic)
    metrics.DUPLICATES.inc(outcome.duplicates)
    metrics.UNMATCHED_UNDOS.inc(outcome.unmatched_undos)
    for found, undos in outcome.undos.items():
        metrics.UNDOS.labels(found).inc(undos)
    metrics.WINDOWS.inc(outcome.windows)
    for name, windows in zip(METRICS, outcome.withheld, strict=True):
        metrics.WITHHELD.labels(name).inc(windows)
    metrics.PUT_OFF.inc(outcome.put_off)
    for verdict, windows in outcome.judged.items():
        metrics.JUDGED.labels(verdict).inc(windows)
    for (detector, verdict), windows in outcome.witnesses.items():
        metrics.WITNESSES.labels(detector, verdict).inc(windows)
    for name, events in zip(METRICS, outcome.entered, strict=True):
        if events:
            metrics.EVENTS.labels(name).inc(events)


def _opens(flag: Flag) -> bool:
    return flag.status == OPENED and flag.verdict in ACCUSING


def _leading(flag: Flag) -> str:
    """The first reason after the surge: it names what is wrong with the crowd."""
    codes = [reason.code for reason in flag.reasons]
    return codes[1] if len(codes) > 1 else (codes[0] if codes else "none")


@dataclass(slots=True)
class OutputTimes:
    """The event times that the outputs of one checkpoint cover, in epoch ms."""

    flags: list[int] = field(default_factory=list)
    onsets: list[tuple[str, int]] = field(default_factory=list)
    """metric and onset of the incidents whose first flag is among the outputs"""
    counts: set[int] = field(default_factory=set)
    """one for each publication, which has a count for every target that changed"""

    def add(self, outcome: Outcome) -> None:
        """Add the flags and counts of an outcome."""
        for flag in outcome.flags:
            self.flags.append(flag.until)
            if _opens(flag):
                self.onsets.append((flag.metric, flag.onset))
        if outcome.counts:
            self.counts.add(outcome.counts[-1].as_of)

    def observe(self, now_ms: int) -> None:
        """The outputs are committed now."""
        for output, times in ((FLAG, self.flags), (COUNT, self.counts)):
            for covered_ms in times:
                metrics.OUTPUT_LATENCY.labels(output).observe(_seconds(covered_ms, now_ms))
        for metric, onset_ms in self.onsets:
            metrics.DETECTION_SECONDS.labels(metric).observe(_seconds(onset_ms, now_ms))


def _seconds(since_ms: int, now_ms: int) -> float:
    """A window that is judged before it ends, and a clock that is set back, would give a negative time."""
    return max(0, now_ms - since_ms) / 1000
