"""Flag records of cases, explained surges and rule bursts."""

from __future__ import annotations

from detectors.events.key import Key, metric_name_of, target_of
from detectors.records import Flag, Interval, Moment, Outcome, Reason
from detectors.state.case import Case, Explained
from detectors.state.removals import RuleBurst


class Flags:
    """Emits the flags of one partition, with its number and the configuration's version."""

    def __init__(self, *, partition: int, config: str) -> None:
        self._partition = partition
        self._config = config

    def emit(
        self,
        key: Key,
        incident: Case | Explained | RuleBurst,
        status: str,
        outcome: Outcome,
        *,
        verdict: str,
        score: int,
        observed: int,
        expected: Interval[int],
        artificial: Interval[int],
    ) -> None:
        """Add the next revision of a key's incident to the outcome. ``status`` is opened, updated or closed."""
        incident.revision += 1
        outcome.flags.append(
            Flag(
                flag_id=incident.flag_id,
                revision=incident.revision,
                status=status,
                target=target_of(key),
                metric=metric_name_of(key),
                verdict=verdict,
                score=score,
                onset=incident.onset,
                until=incident.until,
                observed=observed,
                expected=expected,
                artificial=artificial,
                reasons=[Reason(e.code, e.detector, e.value, e.baseline, e.p, e.text) for e in incident.reasons],
                config=self._config,
                log={"partition": self._partition, "from": incident.log_from, "to": incident.log_to},
                series=[Moment(p.start, p.start + p.span, p.observed, round(p.expected, 1)) for p in incident.series],
            )
        )
