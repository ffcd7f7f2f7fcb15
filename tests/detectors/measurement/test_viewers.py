"""The viewers among the actors of likes: those who are in the target's open windows of views."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detectors.measurement.other_metrics import Viewers, viewers_among
from detectors.state.target_state import TargetState
from detectors.windows.crowd import Crowd, pack_row

actors = st.lists(st.integers(0, 12), max_size=14)


def crowd_of(some: list[int], nobody: int, *, folded: bool) -> Crowd:
    crowd = Crowd()
    crowd.take(b"".join(pack_row(actor, -1, -1, -1, -1, -1, -1) for actor in some), nobody)
    if folded:
        crowd.settle()
    return crowd


@given(actors.filter(bool), st.integers(0, 3), st.lists(st.tuples(actors, st.booleans()), max_size=3))
def test_every_like_by_somebody_in_a_window_of_views_is_counted_once(
    likes: list[int], nobody: int, windows: list[tuple[list[int], bool]]
) -> None:
    names = ("minutes", "hour", "day")
    state = TargetState(
        open={name: crowd_of(some, 0, folded=folded) for name, (some, folded) in zip(names, windows, strict=False)}
    )
    viewed = {actor for some, _ in windows for actor in some}
    found = float(sum(actor in viewed for actor in likes))
    assert viewers_among(crowd_of(likes, nobody, folded=False), state) == Viewers(found, found, len(set(likes)))


@given(actors.filter(bool), actors.filter(bool), st.booleans())
def test_views_in_quarantine_count_by_the_share_of_the_others(likes: list[int], views: list[int], folded: bool) -> None:
    window = crowd_of(views, 0, folded=folded)
    window.quarantined = len(views)
    assert viewers_among(crowd_of(likes, 0, folded=False), TargetState(open={"hour": window})).events == 0.0
    window.quarantined = 0
    found = float(sum(actor in views for actor in likes))
    assert viewers_among(crowd_of(likes, 0, folded=False), TargetState(open={"hour": window})).events == found


def test_without_views_nobody_is_a_viewer() -> None:
    assert viewers_among(crowd_of([1, 2, 2], 0, folded=False), None) == Viewers(0.0, 0.0, 2)
