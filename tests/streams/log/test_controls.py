"""Control frames: older workers skip them, nothing is lost in them, and one that comes again is recognised."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.controls import Answered, Asked, Control, Followed, Removed, Replayed, Ruled
from streams.log.controls import (
    CONTROL_VERSION,
    FEW,
    WEIGHT_MAX,
    ControlSender,
    ControlsSeen,
    by_actor_partition,
    decode_controls,
    is_control,
    to_actors,
    to_targets,
    weight_of,
)
from streams.log.frames import Frame, encode
from streams.log.hashing import actor_hash, actor_hashes, actor_partition, actor_partitions
from streams.log.versions import FrameError, decode, decode_actor_frame

ANSWERED = Answered(5, "case", "0v", 1, 2, 3, 4, 5)
hashes = st.integers(0, 2**62 - 1).map(lambda n: 2 * n)
ruled = st.lists(st.tuples(hashes, st.integers(0, 5), st.integers(0, 100), st.integers(0, 10**13)), max_size=9).map(
    lambda rows: Ruled(7, *(list(column) for column in zip(*rows, strict=True))) if rows else Ruled(7, [], [], [], [])
)
controls = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(
            ruled,
            st.just(ANSWERED),
            st.just(Followed(1, "v", 2, 3, 4, 5)),
            st.builds(Replayed, st.just(7), st.just("v"), st.just(9), st.lists(hashes, max_size=9)),
        ),
    ),
    max_size=9,
)


def sent(
    controls: list[tuple[int, Control]], position: int = 3, sender: ControlSender | None = None
) -> list[tuple[int, bytes]]:
    return (sender or ControlSender("actors/2")).frames(controls, position=position, now_ms=1_000)


@given(controls)
def test_each_partition_gets_its_records_in_order(controls: list[tuple[int, Control]]) -> None:
    found: list[tuple[int, Control]] = []
    for place, value in sent(controls):
        assert is_control(value)
        frame = decode_controls(value)
        assert (frame.source, frame.sequence[:2]) == ("actors/2", (1_000, 3))
        found += [(place, record) for record in to_targets(frame)]
    assert found == sorted(controls, key=lambda placed: placed[0])


def test_a_frame_of_events_is_no_control_frame_and_the_other_way_round() -> None:
    frame = encode(Frame(3, "views/0", 0, 1, 2, False, {"views": 1}))
    ((_, control),) = sent([(0, ANSWERED)])
    assert not is_control(frame)
    for reader in (decode, decode_actor_frame):
        with pytest.raises(FrameError):
            reader(control)
    with pytest.raises(FrameError, match="not a control frame"):
        decode_controls(msgspec.msgpack.encode([CONTROL_VERSION, 1]))


def test_records_of_a_kind_that_is_not_known_are_left_out_and_so_are_fields_added_later() -> None:
    later = [
        CONTROL_VERSION,
        "actors/2",
        [0, 1, 0],
        [["foretold", 1], ["followed", 1, "v", 2, 3, 4, 5, "more"]],
        "more",
    ]
    assert list(to_targets(decode_controls(msgspec.msgpack.encode(later)))) == [Followed(1, "v", 2, 3, 4, 5)]


@given(st.integers(1, 40_000), st.integers(1, 3))
def test_no_frame_is_too_large_for_the_log(actors: int, records: int) -> None:
    many = [2**62 - 2 - 2 * n for n in range(actors)]
    rulings = Ruled(7, many, [5] * actors, [100] * actors, [10**13] * actors)
    frames = sent([(1, rulings)] * records)
    assert max(len(value) for _, value in frames) < 600_000
    parts = [decode_controls(value) for _, value in frames]
    assert [frame.sequence for frame in parts] == [(1_000, 3, part) for part in range(len(parts))]
    found = [record for frame in parts for record in to_targets(frame)]
    assert [actor for record in found if isinstance(record, Ruled) for actor in record.actors] == many * records
    for frame in parts:
        weight = sum(map(weight_of, to_targets(frame)))
        assert weight <= WEIGHT_MAX or weight - FEW <= WEIGHT_MAX


def test_a_removal_and_a_finding_on_replays_are_split_and_a_question_never() -> None:
    many = list(range(0, 60_000, 2))
    frames = sent([(0, Removed(1, "case", "0v", 0.5, many))])
    found = [record for _, value in frames for record in to_actors(decode_controls(value))]
    assert len(found) > 1
    assert [actor for record in found if isinstance(record, Removed) for actor in record.actors] == many
    frames = sent([(0, Replayed(1, "v", 9, many))])
    found_of_targets = [record for _, value in frames for record in to_targets(decode_controls(value))]
    assert len(found_of_targets) > 1
    assert [actor for record in found_of_targets if isinstance(record, Replayed) for actor in record.actors] == many
    asked = Asked("case", "0v", 0, -1, 1, 2, 3, many)
    assert [list(to_actors(decode_controls(value))) for _, value in sent([(0, asked)])] == [[asked]]


def test_frames_that_come_again_are_not_new() -> None:
    sender, seen = ControlSender("actors/2"), ControlsSeen()
    first = [decode_controls(value) for _, value in sent([(0, ANSWERED)], 3, sender)]
    second = [decode_controls(value) for _, value in sent([(0, ANSWERED)], 9, sender)]
    assert [seen.take(frame) for frame in (*first, *second)] == [True, True]
    again = ControlsSeen(seen.dump())
    assert [again.take(frame) for frame in (*first, *second)] == [False, False]
    restored = ControlSender("actors/2")
    restored.epoch = sender.epoch
    assert [decode_controls(value) for _, value in sent([(0, ANSWERED)], 9, restored)] == second


def test_a_log_that_is_created_again_is_of_a_later_epoch() -> None:
    seen = ControlsSeen()
    assert seen.take(decode_controls(sent([(0, ANSWERED)], 900)[0][1]))
    ((_, later),) = ControlSender("actors/2").frames([(0, ANSWERED)], position=2, now_ms=2_000)
    assert seen.take(decode_controls(later))


@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=9), min_size=1, max_size=30), st.integers(1, 9)
)
def test_a_question_goes_to_the_partitions_of_its_actors(names: list[str], partitions: int) -> None:
    actors = [actor_hash(name) for name in names]
    split = by_actor_partition([Asked("case", "0v", 4, -1, 1, 2, 3, actors)], partitions)
    assert [place for place, _ in split] == sorted({actor_partition(actor, partitions) for actor in actors})
    assert sorted(actor for _, record in split for actor in record.actors) == sorted(actors)
    columns = actor_hashes(names)
    assert actor_partitions(columns | 1, partitions).tolist() == [
        actor_partition(actor, partitions) for actor in actors
    ]


def test_the_partitions_of_by_actor_are_all_used() -> None:
    places = {actor_partition(actor_hash(f"a{n}"), 8) for n in range(200)}
    assert places == set(range(8)), "the account bit is always 0"
