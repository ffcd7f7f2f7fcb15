"""What an audit is given: spans, rules, thresholds, detectors without a vote."""

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
    """What an audit is told. ``config`` is the version every flag carries."""

    tick_seconds: int = TICK_SECONDS
    counts_seconds: int = 30
    dedupe_ids: int = 100_000
    partition: int = 0
    config: str = "sha256:unset"
    shadow: frozenset[str] = IN_SHADOW
    """detectors that learn but have no vote"""
    rules: RuleSettings = field(default_factory=RuleSettings)
    models: tuple[ConfiguredModel, ...] = ()
    """River models of an operator's choice, detectors of their own"""
    rulebook: Rulebook = field(default_factory=Rulebook)
    explained: bool = True
    """whether strong surges that are accounted for are told"""
    promotions: tuple[Promotion, ...] = ()
