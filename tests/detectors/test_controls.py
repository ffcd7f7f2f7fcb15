"""Control records before an audit: a settlement from the first like to the last correction, restarts, failures."""

from __future__ import annotations

import random
from functools import cache
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from detectors.audit import Audit, AuditSettings
from detectors.cases.settlements import ACTED, EMPTY_ACCOUNTS, UNSETTLED, Settlements
from detectors.controls import AUTOMATED, Answered, Asked, Followed, Ruled
from detectors.events.event import Event
from detectors.events.key import key_of
from detectors.features import names as f
from detectors.lab.traffic.blocks import Packer
from detectors.records import Outcome
from detectors.state.ledger import QUARANTINED, VALID
from detectors.state.target_states import MemoryTargetStates
from tests.conduct import Conduct
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, by_tick

LIKE, FOLLOW = 1, 2
CUSTOMER = "item3"
ORDER_MS = START_MS + 150 * MINUTE_MS
HOUR_MS = 60 * MINUTE_MS
ACCOUNTS = 90
ITEMS = 16


def like(ts: int, actor: str, target: str, created: int) -> Event:
    """A like as a platform sends it that has only likes."""
    return Event(ts=ts, actor=actor, target=target, metric="like", actor_created_at=created)


@cache
def ordinary() -> tuple[Event, ...]:
    """Three hours of likes by accounts of years, two items each; one account in a hundred is new."""
    rng = random.Random(5)
    events = []
    for item in range(ITEMS):
        for minute in range(180):
            for _ in range(rng.randint(0, 2)):
                ts = START_MS + minute * MINUTE_MS + rng.randrange(MINUTE_MS)
                age = 1 if rng.random() < 0.01 else rng.randint(100, 1000)
                who, other = f"p{rng.randrange(1 << 40)}", f"item{(item + rng.randint(1, ITEMS - 1)) % ITEMS}"
                events.append(like(ts, who, f"item{item}", ts - age * DAY_MS))
                events.append(like(ts + rng.randrange(MINUTE_MS), who, other, ts - age * DAY_MS))
    return tuple(event for event in events if event.ts < START_MS + 180 * MINUTE_MS)


def new_accounts(*, stay: float) -> list[Event]:
    """Ninety accounts of one day like an item within minutes. A share of them goes on to like other items."""
    rng = random.Random(7)
    events = []
    for number in range(ACCOUNTS):
        ts = ORDER_MS + rng.randrange(12 * MINUTE_MS)
        created = ORDER_MS - rng.randrange(20 * HOUR_MS)
        events.append(like(ts, f"new{number}", CUSTOMER, created))
        if rng.random() < stay:
            events.append(like(ts + 20 * HOUR_MS, f"new{number}", f"item{rng.randrange(4, ITEMS)}", created))
    return events


class Run:
    """An audit of one partition, and the conduct of its accounts beside it."""

    def __init__(self, *, answering: bool = True, **settings: Any) -> None:
        self.settings = AuditSettings(dedupe_ids=1000, **settings)
        self.audit = Audit(self.settings)
        self.conduct = Conduct(partitions=3) if answering else None
        self.outcome = Outcome()
        self._packer = Packer(1)
        self._position = 0
        self._stored: dict[tuple[bytes, str], bytes] = {}

    def take(self, events: list[Event], *, pieces: int = 1) -> None:
        """Take events in order of time, a block for each tick or for every few events of it."""
        for end, tick in by_tick(sorted(events, key=lambda event: event.ts)):
            self._position += 1
            for at in range(0, len(tick), -(-len(tick) // pieces)):
                for _, block in self._packer.pack(tick[at : at + -(-len(tick) // pieces)]):
                    self.audit.observe(block, self._position, self.outcome)
                    if self.conduct is not None:
                        self.conduct.observe(block)
            self.advance(end)

    def advance(self, now_ms: int) -> None:
        """Move event time, and pass on what is asked and answered at the next five minutes."""
        self.audit.advance(now_ms, self.outcome)
        if self.conduct is not None:
            self.conduct.ask(self.outcome.requests)
            for _, answer in self.conduct.answers(now_ms):
                self.audit.control(answer, self._position, self.outcome)

    def finish(self, *, restarts: bool = False) -> Run:
        """Let three days pass."""
        for hour in range(1, 76):
            self.advance(ORDER_MS + hour * HOUR_MS)
            if restarts:
                self.restart()
        return self

    def restart(self) -> None:
        """Go on with an audit that has loaded the stored state. There must be no open tick."""
        records = [(part.kind, list(part.take_changed())) for part in self.audit.parts]
        states = MemoryTargetStates()
        restarted = Audit(self.settings, states)
        for key, state in self.audit.target_states.states.items():  # type: ignore[attr-defined]  # it is in memory
            states[key] = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=type(state))
        for part, (kind, changed) in zip(restarted.parts, records, strict=True):
            for suffix, value in changed if not kind.keyed else ():
                self._stored[kind.prefix, suffix] = msgspec.msgpack.encode(value)
            for (prefix, suffix), value in self._stored.items():
                if prefix == kind.prefix:
                    part.load(suffix, msgspec.msgpack.decode(value, type=kind.type, strict=False))
        restarted.load(msgspec.msgpack.decode(msgspec.msgpack.encode(self.audit.dump()), strict=False))
        self.audit = restarted

    @property
    def ledger(self) -> tuple[int, int, int, dict[str, int]]:
        """Raw count and parts of the customer's likes."""
        ledger = self.audit.target_states[key_of(LIKE, CUSTOMER)].ledger
        return ledger.raw, ledger.valid, ledger.quarantined, ledger.invalid

    def outputs(self) -> bytes:
        """Flags, corrections and counts."""
        outcome = self.outcome
        return msgspec.json.encode([outcome.flags, outcome.corrections, outcome.counts])


def audited(*, stay: float, pieces: int = 1, restarts: bool = False, **more: Any) -> Run:
    run = Run(**more)
    run.take([*ordinary(), *new_accounts(stay=stay)], pieces=pieces)
    return run.finish(restarts=restarts)


@cache
def bought() -> Run:
    return audited(stay=0.0)


def test_accounts_of_one_day_on_a_platform_of_likes_are_taken_out_when_they_did_nothing_else() -> None:
    run = bought()
    (flag,) = [flag for flag in run.outcome.flags if flag.status in ("closed", "reversed")]
    assert (flag.target, flag.status, flag.verdict) == (CUSTOMER, "closed", "artificial")
    assert flag.reasons[-1].code == EMPTY_ACCOUNTS
    raw, valid, quarantined, invalid = run.ledger
    assert 0.8 * ACCOUNTS <= invalid[EMPTY_ACCOUNTS] <= ACCOUNTS
    assert (raw, quarantined) == (valid + sum(invalid.values()), 0)


def test_before_they_are_settled_their_likes_are_in_quarantine() -> None:
    run = Run()
    run.take([*ordinary(), *new_accounts(stay=0.0)])
    run.advance(ORDER_MS + 10 * HOUR_MS)
    assert run.ledger[2] >= 0.8 * ACCOUNTS
    assert [flag.verdict for flag in run.outcome.flags][-1] == "suspect"
    assert [type(request) for request in run.outcome.requests] == [Asked]


def test_a_wave_of_sign_ups_ends_with_nothing_taken_out() -> None:
    run = audited(stay=0.7)
    raw, valid, quarantined, invalid = run.ledger
    assert (raw, quarantined, invalid) == (valid, 0, {})
    assert run.outcome.flags[-1].status == "reversed"
    assert {c.reason for c in run.outcome.corrections if (c.from_, c.to) == (QUARANTINED, VALID)} == {ACTED}


def test_without_the_role_actors_everything_is_given_back() -> None:
    run = audited(stay=0.0, answering=False)
    assert run.ledger[2:] == (0, {})
    assert run.outcome.flags[-1].reasons[-1].code == UNSETTLED


def test_it_can_be_switched_off() -> None:
    assert audited(stay=0.0, settle_hours=0).outcome.flags == []


def test_the_outputs_do_not_depend_on_blocks_or_restarts() -> None:
    assert audited(stay=0.0, pieces=3).outputs() == bought().outputs()
    assert audited(stay=0.0, restarts=True).outputs() == bought().outputs()


@pytest.mark.parametrize("place", ["answer", "expire", "begin"])
def test_a_failure_costs_no_event(place: str) -> None:
    with patch.object(Settlements, place, side_effect=RuntimeError("injected")):
        run = Run()
        run.take([*ordinary(), *new_accounts(stay=0.0)])
        run.finish()
    assert run.outcome.failures == {"case": run.outcome.failures["case"]}
    assert run.ledger[0] == bought().ledger[0]
    run.finish()
    for hour in range(76, 200):
        run.advance(ORDER_MS + hour * HOUR_MS)
    assert run.ledger[2] == 0, "it is settled when nothing fails any more"


def test_an_answer_about_an_unknown_key_or_case_has_no_effect() -> None:
    run, outcome = bought(), Outcome()
    for key in (key_of(LIKE, CUSTOMER), key_of(LIKE, "nobody"), "", "x"):
        run.audit.control(Answered(0, "case", key, 1, 1, 1, 1, 1), 1, outcome)
    assert outcome == Outcome()


def test_new_followers_are_summed_by_hour_and_teach_the_platform() -> None:
    run = Run()
    run.take([Event(ts=START_MS, actor="a", target="channel", metric="follow")])
    for start in range(0, 12 * 5 * MINUTE_MS, 5 * MINUTE_MS):
        run.audit.control(Followed(START_MS + start, "channel", START_MS + start, 0, 10, 2), 1, run.outcome)
    run.audit.control(Followed(START_MS, "nobody", START_MS, 0, 10, 2), 1, run.outcome)
    run.audit.control(Followed(START_MS, "channel", START_MS, 0, 1, 2), 1, run.outcome)
    state = run.audit.target_states[key_of(FOLLOW, "channel")]
    assert state.followers is not None
    assert state.followers.of("day", START_MS // DAY_MS * DAY_MS) == (120, 24)
    assert run.audit.platforms[FOLLOW].shares[f.UNVIEWED][1] > 100


def test_rulings_are_stored_and_loaded() -> None:
    run = Run()
    run.take([like(START_MS, "a", "b", START_MS)])
    run.audit.control(Ruled(0, [2], [AUTOMATED], [90], [START_MS * 2]), 1, run.outcome)
    run.restart()
    assert len(run.audit.rulings.conduct) == 1
