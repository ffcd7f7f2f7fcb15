"""Tags events for the rules that need the address or the user agent, which do not go into the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from detectors.intake.rules.reasons import DECLARED_ROBOT, EXEMPT, LISTED_AGENT, LISTED_NETWORK, NOTHING, TAGS
from streams.ingest.rules.matchers import Agents, Networks
from streams.ingest.rules.robots import Robots
from streams.settings.rules import Rules

CACHE_ENTRIES = 100_000
"""Number of addresses and of user agents with a cached tag."""

Texts = Sequence[str | None]


class Tagger:
    """Tags events by the rules of a configuration. The tag of an address or a user agent is computed once."""

    def __init__(self, rules: Rules) -> None:
        self.follow(rules)

    def follow(self, rules: Rules) -> None:
        """Use these rules from now on."""
        self._agents = _CachedTags(_agent_judge(rules))
        spared, listed = Networks(rules.allow.networks), Networks(_unless_off(LISTED_NETWORK, rules, rules.networks))
        self._networks = _CachedTags(_judge(spared.has, listed.has, LISTED_NETWORK)) if spared or listed else None

    def tags(self, ips: Texts, agents: Texts) -> list[int] | None:
        """Give a tag (see TAGS) for each event, by its address and its user agent; None if no event has one.

        An exemption overrides a match. A match by address overrides one by user agent.
        """
        found = self._agents.tags(agents)
        by_network = None if self._networks is None else self._networks.tags(ips)
        if found is None or by_network is None:
            return found or by_network
        return [max(both) if NOTHING in both else min(both) for both in zip(found, by_network, strict=True)]


class _CachedTags:
    """Caches the tags of up to CACHE_ENTRIES texts."""

    def __init__(self, judge: Callable[[str], int]) -> None:
        self._judge = judge
        self._known: dict[str | None, int] = {None: NOTHING}
        self._quiet = True
        """whether no cached text has a tag"""

    def tags(self, texts: Texts) -> list[int] | None:
        known = self._known
        new = set(texts).difference(known)
        if new:
            if len(known) + len(new) > CACHE_ENTRIES:
                known.clear()
                known[None] = NOTHING
                self._quiet = True
                new = set(texts) - {None}
            for text in new:
                if text is not None:
                    tag = known[text] = self._judge(text)
                    self._quiet = self._quiet and tag == NOTHING
        if self._quiet:
            return None
        tags = list(map(known.__getitem__, texts))
        return tags if any(tags) else None


def _agent_judge(rules: Rules) -> Callable[[str], int]:
    listed = Agents(_unless_off(LISTED_AGENT, rules, rules.agents))
    judge = _judge(Agents(rules.allow.agents).has, listed.has, LISTED_AGENT)
    if DECLARED_ROBOT in rules.off:
        return judge
    declares, robot = _robots().declares, TAGS.index(DECLARED_ROBOT)

    def with_robots(text: str) -> int:
        return judge(text) or (robot if declares(text) else NOTHING)

    return with_robots


def _judge(spared: Callable[[str], bool], listed: Callable[[str], bool], reason: str) -> Callable[[str], int]:
    tag = TAGS.index(reason)
    return lambda text: EXEMPT if spared(text) else tag if listed(text) else NOTHING


def _unless_off(rule: str, rules: Rules, entries: tuple[str, ...]) -> tuple[str, ...]:
    return () if rule in rules.off else entries


_robots = cache(Robots)
"""Compiled at the first use: most commands need no robots."""
