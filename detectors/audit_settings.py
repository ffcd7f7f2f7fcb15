"""Settings of an audit: spans, rules, thresholds, detectors in shadow."""

from __future__ import annotations

from dataclasses import dataclass, field

from detectors.cases.explanations import Promotion
from detectors.catalog.registry import IN_SHADOW
from detectors.intake.rules.settings import RuleSettings
from detectors.scoring.river_models import ConfiguredModel
from detectors.thresholds import Rulebook
from detectors.windows.scales import TICK_SECONDS


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Settings of an audit. ``config`` is the version of the configuration, which every flag carries."""

    tick_seconds: int = TICK_SECONDS
    counts_seconds: int = 30
    dedupe_ids: int = 100_000
    partition: int = 0
    partitions: int = 1
    """partitions over which the targets are spread"""
    config: str = "sha256:unset"
    shadow: frozenset[str] = IN_SHADOW
    """detectors that learn but have no part in verdicts"""
    rules: RuleSettings = field(default_factory=RuleSettings)
    models: tuple[ConfiguredModel, ...] = ()
    """River models that the operator adds as detectors"""
    rulebook: Rulebook = field(default_factory=Rulebook)
    explained: bool = True
    """whether explained surges are published as flags"""
    promotions: tuple[Promotion, ...] = ()
    settle_hours: int = 48
    """hours in which the accounts of a case that rests on evidence of one kind may do something else; 0: such evidence
    opens no case"""
