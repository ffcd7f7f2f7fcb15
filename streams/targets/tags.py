"""Tags of events under the present configuration: the log may have been written under another one."""

from __future__ import annotations

import numpy as np

from detectors.events.actor import without_account
from detectors.events.block import EventBlock
from detectors.events.event import METRICS
from detectors.intake.rules.reasons import EXEMPT, NOTHING, TAGS
from detectors.intake.rules.settings import RuleSettings
from detectors.state.ledger import DUPLICATE_ID
from streams.log.hashing import actor_hashes
from streams.settings.rules import Rules


def rule_settings(rules: Rules) -> RuleSettings:
    """The settings of the rules, as the detectors take them."""
    return RuleSettings(
        off=frozenset(rules.off),
        actors=frozenset(rules.allow.actors),
        targets=frozenset(rules.allow.targets),
        double_click_seconds=tuple(getattr(rules.double_click, metric) for metric in METRICS),
        per_minute=rules.rate.per_minute,
        per_day=rules.rate.per_day,
    )


class EffectiveTags:
    """Corrects the tags of the log: removes those of rules that are off, and marks listed names as exempt."""

    def __init__(self, settings: RuleSettings) -> None:
        self._off = [tag for tag, reason in enumerate(TAGS) if reason in settings.off]
        self._targets = settings.targets
        self._actors = np.sort(actor_hashes(sorted(settings.actors)))
        self._ids = DUPLICATE_ID not in settings.off
        self._has_exempt_names = bool(settings.targets or settings.actors)

    def apply(self, block: EventBlock | None) -> EventBlock | None:
        """Correct the tags of a block in place, and return it."""
        if block is None:
            return None
        if not self._ids:
            block.ident = None
        if block.rule is None and not self._has_exempt_names:
            return block
        tags = np.zeros(len(block.target), np.int8) if block.rule is None else np.array(block.rule, np.int8)
        if self._off:
            tags[np.isin(tags, self._off)] = NOTHING
        if len(self._actors):
            tags[np.isin(without_account(np.asarray(block.actor, np.int64)), self._actors)] = EXEMPT
        if self._targets:
            tags[[target in self._targets for target in block.target]] = EXEMPT
        block.rule = tags if tags.any() else None
        return block
