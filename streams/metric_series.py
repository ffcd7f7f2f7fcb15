"""Creates all known series of the metrics with value 0: a series that begins at 1 has no increase for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from detectors.cases.given_back import RULINGS_REVERSED
from detectors.cases.settlements import CODES as SETTLED_CODES
from detectors.cases.settlements import EMPTY_ACCOUNTS
from detectors.cases.statuses import ENDINGS, STATUSES
from detectors.catalog.registry import CROWD_DETECTORS, REASON_CODES
from detectors.controls import KINDS
from detectors.events.event import METRICS
from detectors.failures import PARTS
from detectors.intake.rules.reasons import RULES
from detectors.relations.relation_entry import UNDO_RESULTS
from detectors.state.case import ARTIFICIAL, SUSPECT
from detectors.state.ledger import QUARANTINED, UNDONE, VALID
from streams import metrics
from streams.deadletters import SKIPPED, UNREAD, Why
from streams.grammar.fields import OPTIONAL

OUTPUTS = (FLAG, COUNT) = ("flag", "count")
"""Values of the label ``output``."""

COUNT_PARTS = (VALID, "invalid", QUARANTINED, UNDONE)
"""Values of the label ``part`` of counted events."""

ANSWERS = (ANSWERED, REFUSED) = ("answered", "refused")
RELOAD_OUTCOMES = ("applied", "unchanged", "refused")
CHECKPOINT_OUTCOMES = ("committed", "failed")


def create(reads: Mapping[str, Iterable[str]], *, models: Iterable[str] = ()) -> None:
    """Create all series. ``reads`` has the topics of each role, ``models`` the names of the configured detectors."""
    _fill(metrics.RELOADS, RELOAD_OUTCOMES)
    metrics.LAST_RELOAD_GOOD.set(1)
    _input_series()
    _role_series(reads)
    if "actors" in reads:
        _fill(metrics.RULINGS, KINDS)
        _fill(metrics.REVERSED_RULINGS, KINDS)
        _fill(metrics.ANSWERED, ANSWERS)
    _detection_series((*CROWD_DETECTORS, *models))


def _input_series() -> None:
    _fill(metrics.DEAD_LETTERS, [str(why) for why in Why])
    _fill(metrics.SKIPPED_RECORDS, SKIPPED)
    _fill(metrics.UNREAD_FIELDS, OPTIONAL, [str(why) for why in UNREAD])


def _role_series(reads: Mapping[str, Iterable[str]]) -> None:
    for role, topics in reads.items():
        _fill(metrics.CHECKPOINTS, [role], CHECKPOINT_OUTCOMES)
        for histogram in (metrics.CHECKPOINT_SECONDS, metrics.COMMIT_LATENCY, metrics.BATCH_SECONDS):
            _fill(histogram, [role])
        _fill(metrics.TASKS, [role])
        _fill(metrics.TASK_FAILURES, [role])
        _fill(metrics.RECORDS, [role], topics)
        _fill(metrics.DELETED, [role], topics)


def _detection_series(detectors: Iterable[str]) -> None:
    verdicts = (SUSPECT, ARTIFICIAL)
    _fill(metrics.UNJUDGED_WINDOWS, PARTS)
    _fill(metrics.JUDGED, ("none", *verdicts))
    _fill(metrics.WITNESSES, detectors, ("none", *verdicts, "failed"))
    _fill(metrics.EVENTS, METRICS)
    _fill(metrics.WITHHELD, METRICS)
    _fill(metrics.REJECTED, METRICS, RULES)
    _fill(metrics.UNDOS, UNDO_RESULTS)
    _fill(metrics.FLAGS, METRICS, ENDINGS, STATUSES)
    _fill(metrics.FLAG_REASONS, METRICS, (*REASON_CODES, *SETTLED_CODES, RULINGS_REVERSED, *RULES, "none"))
    _fill(metrics.CORRECTED, METRICS, (VALID, QUARANTINED, *REASON_CODES, EMPTY_ACCOUNTS))
    _fill(metrics.DETECTION_SECONDS, METRICS)
    _fill(metrics.OUTPUT_LATENCY, OUTPUTS)


def _fill(metric: Counter | Gauge | Histogram, *labels: Iterable[Any]) -> None:
    for values in product(*labels):
        metric.labels(*values)
