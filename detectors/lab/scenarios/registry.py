"""All scenarios by permanent id. An id is never reused or redefined, because recorded figures refer to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from detectors.lab.scenarios import (
    accounts,
    honest,
    honest_delivery,
    honest_repeats,
    overt,
    sessions,
    stealthy,
    together,
)
from detectors.lab.scenarios.channels import CHANNELS_VOLUME, channels
from detectors.lab.scenarios.likes_only import LIKES_ONLY_VOLUME, likes_only
from detectors.lab.scenarios.scene import BASE_RATE, Scene, overlay
from detectors.lab.traffic.platform import Labelled, Platform
from detectors.lab.traffic.stream import FOLLOWS_PER_VIEW, LIKES_PER_VIEW
from detectors.windows.scales import DAY_MS

OVERT, STEALTHY, HONEST = "overt", "stealthy", "honest"

Build = Callable[[Scene], list[Labelled]]
Rewrite = Callable[[Scene, Iterator[list[Labelled]]], Iterator[list[Labelled]]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: its class, its length after the quiet days, what makes its events, what rewrites its background."""

    id: str
    kind: str
    build: Build | None = None
    rewrite: Rewrite | None = None
    days: float = 0.5
    quiet_days: float = 1.0
    volume: float = 1.0
    """events of the rewritten background per event of the usual one"""

    @property
    def about(self) -> str:
        """The traffic that it models, and why it must or must not be flagged."""
        text = (self.build or self.rewrite).__doc__ or ""
        return " ".join(text.split())

    def events(
        self,
        platform: Platform,
        *,
        seed: int,
        start_ms: int,
        base_rate: float = BASE_RATE,
        strength: float = 1.0,
    ) -> Iterator[list[Labelled]]:
        """The platform's stream with this scenario, from ``start_ms`` for ``quiet_days`` + ``days``."""
        from_ms = start_ms + round(self.quiet_days * DAY_MS)
        end_ms = from_ms + round(self.days * DAY_MS)
        views = platform.views_per_day * (end_ms - start_ms) / DAY_MS
        expected = views * (1.0 + LIKES_PER_VIEW + FOLLOWS_PER_VIEW) * self.volume
        scene = Scene(
            scenario=self.id,
            platform=platform,
            rng=np.random.default_rng([seed, 5, *self.id.encode()]),
            start_ms=start_ms,
            from_ms=from_ms,
            end_ms=end_ms,
            budget=round(expected * base_rate / (1.0 - base_rate)),
            strength=strength,
        )
        background = platform.events(start_ms, end_ms)
        if self.rewrite is not None:
            background = self.rewrite(scene, background)
        return background if self.build is None else overlay(background, self.build(scene))


def _on_channels(ident: str, kind: str, build: Build, *, days: float, quiet_days: float = 1.0) -> Scenario:
    """A scenario on the platform with channels."""
    return Scenario(ident, kind, build, channels, days, quiet_days, CHANNELS_VOLUME)


def _on_likes(ident: str, kind: str, build: Build, *, days: float, quiet_days: float) -> Scenario:
    """A scenario on the platform that sends only likes."""
    return Scenario(ident, kind, build, likes_only, days, quiet_days, LIKES_ONLY_VOLUME)


SCENARIOS: dict[str, Scenario] = {
    scenario.id: scenario
    for scenario in (
        Scenario("botnet_burst", OVERT, overt.botnet_burst),
        Scenario("datacentre_burst", OVERT, overt.datacentre_burst),
        Scenario("click_farm", OVERT, overt.click_farm),
        Scenario("replay_loop", OVERT, overt.replay_loop),
        Scenario("like_farm", OVERT, overt.like_farm),
        Scenario("follower_seller", OVERT, overt.follower_seller),
        Scenario("views_with_likes", OVERT, overt.views_with_likes),
        Scenario("sabotage", OVERT, overt.sabotage),
        Scenario("several_orders", OVERT, overt.several_orders),
        Scenario("follower_drip", STEALTHY, stealthy.follower_drip, days=3.0, quiet_days=5.0),
        Scenario("residential_proxies", STEALTHY, stealthy.residential_proxies),
        Scenario("even_delivery", STEALTHY, stealthy.even_delivery),
        Scenario("reused_accounts", STEALTHY, stealthy.reused_accounts),
        Scenario("mimic", STEALTHY, stealthy.mimic, days=1.0, quiet_days=2.0),
        Scenario("slow_drip", STEALTHY, stealthy.slow_drip, days=3.0, quiet_days=5.0),
        Scenario("sleepers", STEALTHY, stealthy.sleepers),
        Scenario("members_likes", STEALTHY, stealthy.members_likes),
        Scenario("hidden_in_hit", STEALTHY, stealthy.hidden_in_hit),
        Scenario("poisoning", STEALTHY, stealthy.poisoning, days=2.0, quiet_days=5.0),
        Scenario("lockstep", STEALTHY, together.lockstep, days=2.0),
        _on_channels("fresh_followers", OVERT, accounts.fresh_followers, days=2.75, quiet_days=1.5),
        _on_likes("likes_only_fresh", OVERT, accounts.likes_only_fresh, days=4.25, quiet_days=2.0),
        _on_channels("driven_browsers", STEALTHY, sessions.driven_browsers, days=1.0),
        _on_channels("view_exchange", STEALTHY, sessions.view_exchange, days=2.0),
        Scenario("news_spike", HONEST, honest.news_spike),
        Scenario("celebrity_share", HONEST, honest.celebrity_share),
        Scenario("premiere", HONEST, honest.premiere),
        Scenario("embedded_player", HONEST, honest.embedded_player),
        Scenario("lapsed_accounts", HONEST, honest.lapsed_accounts),
        Scenario("paid_promotion", HONEST, honest.paid_promotion),
        Scenario("school_nat", HONEST, honest.school_nat),
        Scenario("carrier_nat", HONEST, honest.carrier_nat),
        Scenario("super_fans", HONEST, honest_repeats.super_fans),
        Scenario("sleep_loops", HONEST, honest_repeats.sleep_loops, days=1.0),
        Scenario("night_country", HONEST, honest.night_country, days=1.0),
        Scenario("new_target", HONEST, honest.new_target),
        Scenario("bulk_catalogue", HONEST, honest_repeats.bulk_catalogue),
        Scenario("release_fans", HONEST, together.release_fans, days=2.0),
        Scenario("playlist_followers", HONEST, together.playlist_followers, days=2.0),
        Scenario("giveaway", HONEST, honest.giveaway),
        Scenario("feed_likes", HONEST, rewrite=honest_delivery.feed_likes),
        Scenario("ended_views", HONEST, rewrite=honest_delivery.ended_views),
        Scenario("outage", HONEST, rewrite=honest_delivery.outage),
        _on_channels("sign_up_wave", HONEST, accounts.sign_up_wave, days=2.75, quiet_days=1.5),
        _on_likes("likes_only_hits", HONEST, accounts.likes_only_hits, days=4.25, quiet_days=2.0),
        _on_likes("likes_only_course", HONEST, accounts.likes_only_course, days=4.25, quiet_days=2.0),
    )
}
"""Quiet days come first, because an audit without history judges nothing. Scenarios over several days have more."""

QUIET = Scenario("quiet", HONEST, build=lambda _: [], days=0.5)
"""The background without a scenario."""
