"""Tags of the log as a configuration has them: the log may have been written under another one."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.events.block import EventBlock
from detectors.intake.rules.reasons import EXEMPT, NOTHING, TAGS
from detectors.intake.rules.settings import RuleSettings
from detectors.state.ledger import DUPLICATE_ID
from streams.log.hashing import actor_hashes
from streams.settings.rules import Rules
from streams.targets.tags import EffectiveTags, rule_settings

ROBOT, LISTED = 1, 2
"""Tags of two rules."""


def block(rule: list[int] | None) -> EventBlock:
    """Three events on targets a, b and c by three actors, one of whom has no account."""
    hashes = actor_hashes(["ann", "bob", "cyd"])
    actors = [int(hashes[0]) | 1, int(hashes[1]), int(hashes[2])]
    made = EventBlock(target=["a", "b", "c"], metric=[0] * 3, ts=[1] * 3, actor=actors)
    made.rule, made.ident = rule, [7, 8, 9]
    return made


def ruled(rule: list[int] | None, **settings: Any) -> list[int] | None:
    """The tags of the three events under a configuration."""
    after = EffectiveTags(RuleSettings(**settings)).apply(block(rule))
    assert after is not None
    return None if after.rule is None else list(after.rule)


def test_tags_stand_where_nothing_else_is_configured() -> None:
    assert ruled([ROBOT, NOTHING, LISTED]) == [ROBOT, NOTHING, LISTED]
    assert ruled(None) is None
    assert EffectiveTags(RuleSettings()).apply(None) is None


def test_tags_of_a_rule_that_is_off_are_taken_away_and_of_no_other() -> None:
    assert ruled([ROBOT, NOTHING, LISTED], off=frozenset({TAGS[ROBOT]})) == [NOTHING, NOTHING, LISTED]
    assert ruled([ROBOT, NOTHING, NOTHING], off=frozenset({TAGS[ROBOT]})) is None


@pytest.mark.parametrize("rule", [None, [ROBOT, ROBOT, ROBOT]])
def test_listed_names_are_exempt_whatever_else_is_known_of_them(rule: list[int] | None) -> None:
    other = NOTHING if rule is None else ROBOT
    assert ruled(rule, actors=frozenset({"ann"})) == [EXEMPT, other, other]
    assert ruled(rule, actors=frozenset({"bob", "cyd"})) == [other, EXEMPT, EXEMPT]
    assert ruled(rule, targets=frozenset({"c"})) == [other, other, EXEMPT]
    assert ruled(rule, actors=frozenset({"ann"}), targets=frozenset({"b"})) == [EXEMPT, EXEMPT, other]


def test_names_that_do_not_occur_change_nothing() -> None:
    assert ruled(None, actors=frozenset({"zoe"}), targets=frozenset({"z"})) is None


def test_ids_are_left_out_where_duplicates_are_not_looked_for() -> None:
    assert EffectiveTags(RuleSettings()).apply(block(None)).ident == [7, 8, 9]  # type: ignore[union-attr]  # it is a block
    without = EffectiveTags(RuleSettings(off=frozenset({DUPLICATE_ID}))).apply(block(None))
    assert without is not None
    assert without.ident is None


def test_detectors_are_given_the_rules_as_they_are_configured() -> None:
    rules = Rules.model_validate(
        {
            "off": ["rate"],
            "allow": {"actors": ["ann"], "targets": ["v"]},
            "double_click": {"view": 10, "like": 20, "follow": 5},
            "rate": {"per_minute": 7, "per_day": 70},
        }
    )
    assert rule_settings(rules) == RuleSettings(
        off=frozenset({"rate"}),
        actors=frozenset({"ann"}),
        targets=frozenset({"v"}),
        double_click_seconds=(10, 20, 5),
        per_minute=7,
        per_day=70,
    )
