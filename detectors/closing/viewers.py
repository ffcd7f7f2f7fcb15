"""Likes and follows of closing windows by people who had viewed the target."""

from __future__ import annotations

from detectors.closing.table import Closing, ClosingTable
from detectors.features import names as f
from detectors.measurement.other_metrics import OtherMetrics, viewers_among, watch_buckets_of
from detectors.platform.lessons import FROM_VIEWS
from detectors.platform.platform import Platform
from detectors.reference.ended_views import longest_view_ms
from detectors.windows.scales import HOUR


def count_viewers(table: ClosingTable, closing: Closing, other: OtherMetrics, views: Platform) -> None:
    """Count the viewers among the actors of likes or follows.

    Their number is a feature of a window with a crowd, and part of the platform's baseline (``table.acts``).
    """
    from_views, is_hour = closing.scale.name in FROM_VIEWS, closing.scale.name == HOUR
    places = [
        place
        for place, teaching in enumerate(table.teaching)
        if (from_views and teaching.mix) or (place in table.windows and place in table.crowds)
    ]
    states = other.views_of([table.rows[place][0] for place in places])
    for place, views_state in zip(places, states, strict=True):
        key, state, crowd = table.rows[place]
        teaches = from_views and table.teaching[place].mix
        viewed = teaches and views_state is not None
        if teaches and is_hour:
            table.acts.append((crowd.n, viewed))
        teaches = viewed and state.case is None and not crowd.quarantined
        window = table.windows.get(place) if place in table.crowds else None
        if not teaches and window is None:
            continue
        viewers = viewers_among(crowd, views_state)
        if teaches and crowd.named and viewers.checkable == crowd.sampled_people():
            table.checked_acts.append((crowd.named, viewers.events))
        if window is not None:
            window.viewer_events = viewers.possible + closing.lessons.viewed.get(key, 0.0)
            emitted = viewers.checkable >= f.PEOPLE_MIN and closing.lessons.emits_every_view(views, table.metric)
            window.all_views_emitted = emitted
            if is_hour and not views.rates.emitted_at_start():
                window.longest_view_ms = longest_view_ms(watch_buckets_of(views_state))
