"""What corrections took out and did not give back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detectors.lab.removals import quarantined, remaining
from detectors.records import Correction

VALID, QUARANTINED = "valid", "quarantined"


def moved(source: str, to: str, count: int, span: tuple[int, int], flag: str = "f") -> Correction:
    window = {"start": span[0], "end": span[1]}
    return Correction("c", "t", "like", source, to, count, "surge", flag, window)


def test_what_is_quarantined_and_condemned_remains() -> None:
    corrections = [moved(VALID, QUARANTINED, 8, (0, 10)), moved(QUARANTINED, "accounts", 8, (0, 10))]
    assert [removal.count for removal in remaining(corrections)] == [8]


def test_a_flag_that_is_given_back_as_a_whole_leaves_nothing() -> None:
    corrections = [
        moved(VALID, QUARANTINED, 8, (0, 10)),
        moved(VALID, QUARANTINED, 3, (10, 20)),
        moved(VALID, QUARANTINED, 5, (0, 10), "other"),
        moved(QUARANTINED, VALID, 11, (0, 20)),
    ]
    assert [(removal.flag, removal.count) for removal in remaining(corrections)] == [("other", 5)]


def test_events_that_were_undone_in_quarantine_are_not_left_as_removed() -> None:
    corrections = [moved(VALID, QUARANTINED, 8, (0, 10)), moved(QUARANTINED, VALID, 7, (0, 10))]
    assert remaining(corrections) == []


def test_a_part_that_is_given_back_is_taken_from_all_movements_in_proportion() -> None:
    corrections = [
        moved(VALID, QUARANTINED, 80, (0, 10)),
        moved(VALID, QUARANTINED, 20, (10, 20)),
        moved(QUARANTINED, "empty_accounts", 75, (0, 20)),
        moved(QUARANTINED, VALID, 25, (0, 20)),
    ]
    assert [(removal.start_ms, removal.count) for removal in remaining(corrections)] == [(0, 60), (10, 15)]
    assert [removal.count for removal in quarantined(corrections)] == [80, 20]


def test_a_later_movement_is_not_given_back_by_an_earlier_correction() -> None:
    corrections = [
        moved(VALID, QUARANTINED, 8, (0, 10)),
        moved(QUARANTINED, VALID, 8, (0, 30)),
        moved(VALID, QUARANTINED, 2, (20, 30)),
    ]
    assert [(removal.start_ms, removal.count) for removal in remaining(corrections)] == [(20, 2)]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), st.data())
def test_as_many_events_are_given_back_as_the_correction_says(counts: list[int], data: st.DataObject) -> None:
    back = data.draw(st.integers(0, sum(counts)))
    whole = (0, 10 * len(counts))
    corrections = [moved(VALID, QUARANTINED, count, (10 * i, 10 * i + 10)) for i, count in enumerate(counts)]
    corrections.append(moved(QUARANTINED, "empty_accounts", sum(counts) - back, whole))
    left = remaining([*corrections, moved(QUARANTINED, VALID, back, whole)])
    assert sum(removal.count for removal in left) == sum(counts) - back
    assert all(0 < removal.count <= counts[removal.start_ms // 10] for removal in left)
