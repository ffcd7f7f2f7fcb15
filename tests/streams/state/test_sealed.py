"""A task that stops and is restored goes on as if it had never stopped, to the byte."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import msgspec
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.audit import AuditSettings
from detectors.events.event import Event
from detectors.platform.platform import Platform
from detectors.records import Outcome
from detectors.state.parts import DAYS, RULINGS
from detectors.state.target_state import STATE_VERSION, TargetState
from detectors.windows.crowd import Crowd
from streams.state.sealed import (
    META_KEY,
    SEAL_BYTES,
    DamagedError,
    StateError,
    agenda_of,
    decode_target,
    encode_target,
    unseal,
)
from streams.state.upgrades import UPGRADES
from streams.targets.changelog import dump_changes, load
from streams.targets.step import PartitionAudit
from tests.crowds import DAY_MS, HISTORY_MINUTES, MINUTE_MS, START_MS, bought, fold, in_order, ordinary, viral
from tests.mixes import learn
from tests.states import states_of
from tests.streams.pipeline import Pipeline, doubled, said

BURST_MS = START_MS + (HISTORY_MINUTES - 15) * MINUTE_MS


def _events(ids: bool) -> list[Event]:
    return in_order(
        ordinary(1, ids=ids),
        bought(2, "v3", begin=BURST_MS, ids=ids),
        bought(3, "v3", begin=BURST_MS - 30 * MINUTE_MS, minutes=3, ids=ids),
        bought(4, "v7", begin=BURST_MS + 7 * MINUTE_MS, minutes=3, per_minute=250, ids=ids),
        viral(5, "v5", begin=BURST_MS + 2 * MINUTE_MS, ids=ids),
    )


def _shuffled(events: list[Event], seed: int, jitter_ms: int) -> list[Event]:
    rng = random.Random(seed)
    return sorted(events, key=lambda e: e.ts + rng.randrange(jitter_ms))


@cache
def log_of(kind: str) -> tuple[bytes, ...]:
    """One partition's log, whole: history, two bought bursts on one target, one on another, a viral hit."""
    events = _events(ids=kind not in {"without ids", "two sources", "read again"})
    pipe = Pipeline(sources=2 if kind == "two sources" else 1, lateness_seconds=90 if kind == "duplicates" else 10)
    if kind == "duplicates":
        events = doubled(events, 6, 0.4, within=60)
    if kind == "late and undone":
        events = _shuffled(doubled(events, 7, 0.1, within=2000), 8, 40_000)
        for number, event in enumerate(events):
            event.undo = number % 17 == 0
    if kind == "historic and without actors":
        events = _with_history(events, 9)
    if kind == "two sources":
        for at in range(0, len(events), 160):
            part = events[at : at + 160]
            pipe.play([e for e in part if hash_of(e) == 0], source=0)
            pipe.play([e for e in part if hash_of(e) == 1], source=1)
    elif kind == "read again":
        _read_again(pipe, [msgspec.json.encode(event) for event in events])
    else:
        pipe.play(events, batch=12 if kind == "duplicates" else 40)
    pipe.finish(START_MS + 2 * DAY_MS)
    return tuple(pipe.logs[0])


def _read_again(pipe: Pipeline, values: list[bytes]) -> None:
    """An ingest worker that dies often before it commits: its frames overlap those already in the log."""
    rng = random.Random(9)
    at = 0
    while at < len(values):
        size = rng.randint(5, 60)
        pipe.send(values[at : at + size], first=at)
        at = max(0, min(at + size, len(values)) - (rng.randint(1, 100) if rng.random() < 0.3 else 0))


def hash_of(event: Event) -> int:
    """Which of two sources an event comes by."""
    return len(event.actor or "") % 2


def _with_history(events: list[Event], seed: int) -> list[Event]:
    """A tenth without an actor, and beside them a snapshot in pieces: some of it twice, some of it known by its id."""
    rng = random.Random(seed)
    mixed = []
    for number, event in enumerate(events):
        if not (event.actor or "").startswith("bot") and rng.random() < 0.1:
            event.actor = None
        mixed.append(event)
        if number % 400 < 60:
            mixed.append(
                Event(
                    ts=rng.choice([START_MS - 900 * DAY_MS, START_MS, event.ts]),
                    actor=rng.choice([None, f"p{rng.randrange(9000)}"]),
                    target=event.target,
                    id=rng.choice([None, event.id, f"s{rng.randrange(400)}"]),
                    undo=rng.random() < 0.1,
                    history=True,
                )
            )
    return mixed


KINDS = (
    *("without ids", "unique ids", "duplicates", "late and undone", "two sources", "read again"),
    "historic and without actors",
)


def _settings(dedupe_ids: int) -> AuditSettings:
    return AuditSettings(dedupe_ids=dedupe_ids, config="sha256:test")


@cache
def _undisturbed(kind: str, dedupe_ids: int) -> tuple[tuple[bytes, ...], ...]:
    """What each record of the log makes an audit say that is never stopped."""
    audit = PartitionAudit(_settings(dedupe_ids))
    return tuple(_step(audit, value, offset) for offset, value in enumerate(log_of(kind)))


def _step(audit: PartitionAudit, value: bytes, offset: int) -> tuple[bytes, ...]:
    outcome = Outcome()
    audit.apply(value, offset, outcome)
    return tuple(said(outcome))


def _restored(saved: dict[bytes, bytes], log: tuple[bytes, ...], dedupe_ids: int) -> tuple[PartitionAudit, int]:
    audit = PartitionAudit(_settings(dedupe_ids))
    restored = load(audit, saved)
    assert restored is not None
    for offset in range(restored.replay_from, restored.position):
        audit.replay(log[offset], offset)
    return audit, restored.position


def _run_with_stops(kind: str, dedupe_ids: int, checkpoints: list[int], crashes: set[int]) -> None:
    """Apply the log, checkpoint at ``checkpoints``; where one is in ``crashes``, go on from what was saved."""
    log, expected = log_of(kind), _undisturbed(kind, dedupe_ids)
    saved: dict[bytes, bytes] = {}
    audit = PartitionAudit(_settings(dedupe_ids))
    position = 0
    for stop in [*sorted(set(checkpoints)), len(log)]:
        for offset in range(position, stop):
            assert _step(audit, log[offset], offset) == expected[offset], f"record {offset} of {kind}"
        position = stop
        for key, value in dump_changes(audit, position):
            assert value is not None
            saved[key] = value
        if stop in crashes:
            audit, position = _restored(dict(saved), log, dedupe_ids)
            assert position == stop


def test_the_undisturbed_run_has_cases_to_lose() -> None:
    for kind in KINDS:
        flags = [
            line for lines in _undisturbed(kind, 1000) for line in lines if b'"flag_id"' in line and b'"opened"' in line
        ]
        assert len(flags) >= 2, kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dedupe_ids", [pytest.param(100_000, marks=pytest.mark.slow), 30])
def test_a_task_restored_at_many_places_goes_on_byte_for_byte(kind: str, dedupe_ids: int) -> None:
    size = len(log_of(kind))
    rng = random.Random(f"{kind} {dedupe_ids}")
    checkpoints = sorted(rng.sample(range(1, size), 40))
    _run_with_stops(kind, dedupe_ids, checkpoints, set(rng.sample(checkpoints, 20)))


@pytest.mark.slow
@given(
    kind=st.sampled_from(KINDS),
    dedupe_ids=st.sampled_from([1, 7, 60, 400, 100_000]),
    stops=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=12),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_wherever_it_stops_nothing_is_lost_or_told_twice(
    kind: str, dedupe_ids: int, stops: list[tuple[float, bool]]
) -> None:
    size = len(log_of(kind))
    places = {round(where * size): crash for where, crash in stops}
    _run_with_stops(kind, dedupe_ids, list(places), {place for place, crash in places.items() if crash})


def test_a_checkpoint_after_every_record_through_a_case_changes_nothing() -> None:
    kind = "duplicates"
    lines = _undisturbed(kind, 500)
    opened = next(n for n, said_there in enumerate(lines) if any(b'"opened"' in line for line in said_there))
    around = list(range(opened - 15, min(opened + 40, len(lines))))
    _run_with_stops(kind, 500, around, set(around))


def test_what_did_not_change_is_not_written_again() -> None:
    log = log_of("without ids")
    audit = PartitionAudit(_settings(1000))
    for offset in range(200):
        audit.apply(log[offset], offset, Outcome())
    dump_changes(audit, 200)
    assert [key for key, _ in dump_changes(audit, 200)] == [META_KEY]


def test_without_a_meta_record_there_is_no_state() -> None:
    assert load(PartitionAudit(_settings(1)), {}) is None


def test_state_that_a_newer_worker_wrote_is_refused_with_a_sentence() -> None:
    meta = bytes((STATE_VERSION + 1,)) + b"sealed otherwise"
    with pytest.raises(StateError, match="newer truecount"):
        load(PartitionAudit(_settings(1)), {META_KEY: meta})


def test_records_of_version_1_are_read_and_go_on_byte_for_byte() -> None:
    log, expected = log_of("duplicates"), _undisturbed("duplicates", 400)
    audit, half = PartitionAudit(_settings(400)), len(log_of("duplicates")) // 2
    for offset in range(half):
        _step(audit, log[offset], offset)
    changes = dict(dump_changes(audit, half))
    rulings = {
        RULINGS.prefix: changes.pop(RULINGS.prefix)
    }  # newer than that; without it what comes is judged otherwise
    old = {key: _as_version_1(value[SEAL_BYTES:]) for key, value in changes.items()} | rulings

    audit, position = _restored(old, log, 400)

    assert position == half
    for offset in range(half, len(log)):
        assert _step(audit, log[offset], offset) == expected[offset]


def _as_version_1(payload: bytes) -> bytes:
    """Unsealed, and with the rows of open windows as lists; the weights of countries differ in their last bits."""
    state = _with_people_in_maps(msgspec.msgpack.decode(payload, strict=False))
    for window in state.get("open", {}).values():
        if window.get("rows"):
            window["rows"] = list(zip(*Crowd(rows=window["rows"]).columns(), strict=True))
    return msgspec.msgpack.encode(state)


def test_state_of_version_5_goes_on_and_nothing_was_counted_for_a_day_yet() -> None:
    log, expected = log_of("duplicates"), _undisturbed("duplicates", 400)
    audit, half = PartitionAudit(_settings(400)), len(log_of("duplicates")) // 2
    for offset in range(half):
        _step(audit, log[offset], offset)
    changes = {key: value for key, value in dump_changes(audit, half) if not key.startswith(DAYS.prefix)}
    saved = {key: _as_version_5(value[SEAL_BYTES:]) for key, value in changes.items()}
    saved[RULINGS.prefix] = changes[RULINGS.prefix]  # newer than both; without it what comes is judged otherwise

    audit, position = _restored(saved, log, 400)

    assert [len(days.keys) for _, days in audit.audit.intake.days()] == [0, 0, 0]
    for offset in range(half, len(log)):
        assert _step(audit, log[offset], offset) == expected[offset]
    assert position == half


def _as_version_5(payload: bytes) -> bytes:
    older = msgspec.msgpack.encode(_with_people_in_maps(msgspec.msgpack.decode(payload, strict=False)))
    return b"\x05" + xxhash.xxh32_digest(older, 5) + older


def _with_people_in_maps(state: Any) -> Any:
    """With the people of open windows as until version 8."""
    for window in state.get("open", {}).values() if isinstance(state, dict) else ():
        people = Crowd(sample=window.pop("sample", b"")).people.tolist()
        window["actors"] = {actor: events for actor, events, *_ in people}
        window["people"] = {actor: marks for actor, _, *marks in people}
    return state


def test_people_of_version_6_are_known_but_for_how_long_they_watched() -> None:
    crowd = Crowd()
    fold(crowd, [(7, 1, 2, 3, 4, 5, 6), (8, 1, 2, 3, 4, 5, 6), (8, 1, 2, 3, 4, 5, 6)])
    state = _with_people_in_maps(msgspec.to_builtins(TargetState(open={"hour": crowd}), builtin_types=(bytes,)))
    people = state["open"]["hour"]["people"]
    state["open"]["hour"]["people"] = {actor: marks[:5] for actor, marks in people.items()}
    payload = msgspec.msgpack.encode(state)
    upgraded = decode_target(b"\x06" + xxhash.xxh32_digest(payload, 6) + payload)
    assert upgraded.open["hour"].people.tolist() == [(7, 1, 1, 2, 3, 4, 5, -1), (8, 2, 1, 2, 3, 4, 5, -1)]


def test_an_older_window_with_an_actor_of_whom_it_has_no_marks_is_damage() -> None:
    payload = msgspec.msgpack.encode({"open": {"hour": {"n": 1, "actors": {7: 1}, "people": {}}}})
    with pytest.raises(DamagedError):
        decode_target(b"\x08" + xxhash.xxh32_digest(payload, 8) + payload)


def test_a_platform_of_version_4_learns_what_its_countries_weigh() -> None:
    platform = Platform()
    for bucket in range(3000):
        learn(platform.mixes["network"], {bucket: 1 + bucket % 50})
    state = platform.dump()
    weights = state["mixes"]["network"].pop()
    upgraded = UPGRADES[4](msgspec.msgpack.decode(msgspec.msgpack.encode(state), strict=False))
    assert upgraded["mixes"]["network"][2] == pytest.approx(weights)


@given(
    watched=st.builds(TargetState, count_pending=st.booleans(), cusum=st.floats(0, 50)),
    flip=st.integers(0),
    bit=st.integers(0, 7),
)
def test_a_bit_that_has_flipped_is_noticed(watched: TargetState, flip: int, bit: int) -> None:
    value = bytearray(encode_target(watched))
    assert decode_target(bytes(value)) == watched
    value[flip % len(value)] ^= 1 << bit
    with pytest.raises(StateError):
        decode_target(bytes(value))


def test_a_glance_at_a_record_sees_what_is_still_to_come() -> None:
    audit = PartitionAudit(_settings(1000))
    log = log_of("without ids")
    for offset in range(len(log) // 2):
        audit.apply(log[offset], offset, Outcome())
    seen = 0
    for watched in states_of(audit.audit).values():
        assert agenda_of(encode_target(watched)) == watched.agenda()
        seen += len(watched.agenda().starts)
    assert seen > 10


@pytest.mark.parametrize(("version", "seed"), [(2, 0), (3, 3), (4, 4), (STATE_VERSION, STATE_VERSION)])
def test_a_record_is_read_by_the_checksum_of_its_version_and_by_no_other(version: int, seed: int) -> None:
    """Version 2 had a checksum without a seed; from the next on the version is the seed."""
    payload = msgspec.msgpack.encode({"a": 1})
    seeds = range(STATE_VERSION + 1)
    sealed = {seed: bytes((version,)) + xxhash.xxh32_digest(payload, seed) + payload for seed in seeds}
    assert unseal(sealed.pop(seed)) == (version, payload)
    for other in sealed.values():
        with pytest.raises(DamagedError):
            unseal(other)


@pytest.mark.parametrize("first", [0, 1])
def test_a_byte_that_is_no_version_with_a_checksum_is_damage(first: int) -> None:
    payload = msgspec.msgpack.encode({"a": 1})
    with pytest.raises(DamagedError):
        unseal(bytes((first,)) + xxhash.xxh32_digest(payload, 0) + payload)


@pytest.mark.parametrize("state", [{}, {"a": 1}, [], [1, 2]])
def test_what_has_neither_version_nor_checksum_is_of_version_1(state: object) -> None:
    value = msgspec.msgpack.encode(state)
    assert unseal(value) == (1, value)
