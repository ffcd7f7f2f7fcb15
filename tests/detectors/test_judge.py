"""The life of a case in an audit: opened, revised, closed, with its effect on the count."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec
import pytest
from river.anomaly import LocalOutlierFactor

from detectors.audit import Audit, AuditSettings
from detectors.events.event import Event
from detectors.events.key import VIEW, key_of
from detectors.intake.rules.reasons import DOUBLE_CLICK
from detectors.lab.traffic.blocks import Packer
from detectors.records import Flag, Outcome
from detectors.scoring.river_models import ConfiguredModel
from detectors.state.ledger import QUARANTINED, VALID
from tests.crowds import DAY_MS, MINUTE_MS, START_MS, TICK_MS, bought, by_tick, in_order, ordinary, viral

BURST_MS = START_MS + 100 * MINUTE_MS
HISTORY_MINUTES = 130
LATENESS_MS = 10_000


def audited(
    events: Iterable[Event], *, until: int = START_MS + DAY_MS, settings: AuditSettings | None = None
) -> tuple[Audit, Outcome]:
    """Views through one audit, a block every ten seconds."""
    audit, outcome, packer = Audit(settings or AuditSettings()), Outcome(), Packer(1)
    for position, (end, rows) in enumerate(by_tick(events)):
        for _, block in packer.pack(rows):
            audit.observe(block, position, outcome)
        audit.advance(end - LATENESS_MS, outcome)
    audit.advance(until, outcome)
    return audit, outcome


@cache
def burst() -> tuple[Audit, Outcome]:
    return audited(
        in_order(
            ordinary(1, minutes=HISTORY_MINUTES),
            bought(2, "v3", begin=BURST_MS),
            viral(3, "v5", begin=BURST_MS + MINUTE_MS),
        )
    )


def flags_of(outcome: Outcome, target: str) -> list[Flag]:
    return [flag for flag in outcome.flags if flag.target == target]


def test_a_bought_burst_is_flagged_as_artificial_with_its_reasons() -> None:
    first, *_, last = flags_of(burst()[1], "v3")
    assert first.status == "opened"
    assert last.status == "closed"
    assert last.verdict == "artificial"
    assert {"surge", "fresh_accounts"} <= {reason.code for reason in last.reasons}
    assert all(reason.text and 0 < reason.p <= 1 for reason in last.reasons)


def test_it_is_flagged_while_it_runs() -> None:
    first = flags_of(burst()[1], "v3")[0]
    assert first.until < BURST_MS + 2 * MINUTE_MS


def test_an_equally_large_surge_of_the_platforms_own_crowd_is_not_flagged() -> None:
    audit, outcome = burst()
    assert {flag.verdict for flag in flags_of(outcome, "v5")} <= {"explained"}
    ledger = audit.target_states[key_of(VIEW, "v5")].ledger
    assert ledger.valid + ledger.invalid.get(DOUBLE_CLICK, 0) == ledger.raw > 720


def test_nobody_else_is_flagged() -> None:
    assert {flag.target for flag in burst()[1].flags if flag.verdict != "explained"} == {"v3"}


def test_it_is_quarantined_back_to_where_it_began() -> None:
    outcome = burst()[1]
    onset = flags_of(outcome, "v3")[0].onset
    assert BURST_MS - 2 * TICK_MS <= onset <= BURST_MS + 2 * TICK_MS
    first = min(c.window["start"] for c in outcome.corrections if c.to == QUARANTINED)
    assert first <= BURST_MS + 2 * TICK_MS


def test_when_it_closes_what_it_held_becomes_invalid_for_its_reason() -> None:
    audit, outcome = burst()
    ledger = audit.target_states[key_of(VIEW, "v3")].ledger
    closed = flags_of(outcome, "v3")[-1]
    assert ledger.quarantined == 0
    assert sum(ledger.invalid.values()) - ledger.invalid[DOUBLE_CLICK] == closed.artificial.value
    assert closed.artificial.low <= closed.artificial.value <= closed.artificial.high
    assert closed.artificial.value == pytest.approx(720, rel=0.2)


def test_corrections_add_up_to_the_count_and_none_is_told_twice() -> None:
    audit, outcome = burst()
    parts: dict[tuple[str, str], int] = {}
    for correction in outcome.corrections:
        assert correction.count > 0
        for part, sign in ((correction.from_, -1), (correction.to, 1)):
            place = (correction.target, part)
            parts[place] = parts.get(place, 0) + sign * correction.count
    for (target, part), moved in parts.items():
        ledger = audit.target_states[key_of(VIEW, target)].ledger
        if part == VALID:
            assert ledger.valid == ledger.raw + moved - ledger.invalid.get(DOUBLE_CLICK, 0)
        else:
            assert ledger._part(part) == moved
    ids = [correction.correction_id for correction in outcome.corrections]
    assert len(set(ids)) == len(ids)


def test_revisions_of_a_flag_count_up_from_one() -> None:
    revisions = [flag.revision for flag in flags_of(burst()[1], "v3")]
    assert revisions == list(range(1, len(revisions) + 1))


def test_a_count_is_told_with_its_parts_and_never_as_of_an_earlier_moment() -> None:
    published: dict[str, tuple[int, int]] = {}
    for count in burst()[1].counts:
        assert count.raw == count.valid + count.quarantined + sum(count.invalid.values())
        before = published.get(count.target, (0, -1))
        assert count.revision == before[0] + 1
        assert count.as_of > before[1]
        published[count.target] = count.revision, count.as_of


def test_an_incident_and_its_slow_remainder_never_share_an_id() -> None:
    """A burst at the full hour begins where its hour's own window begins: two cases must not be one flag."""
    hour = (BURST_MS // (60 * MINUTE_MS) + 1) * 60 * MINUTE_MS
    _, outcome = audited(
        in_order(
            ordinary(1, minutes=240),
            bought(2, "v3", begin=hour, minutes=1),
            bought(4, "v3", begin=hour + 15 * MINUTE_MS, minutes=44, per_minute=12),
        )
    )
    revisions = [(flag.flag_id, flag.revision) for flag in outcome.flags]
    assert len(set(revisions)) == len(revisions)
    ids = [correction.correction_id for correction in outcome.corrections]
    assert len(set(ids)) == len(ids)


def test_a_second_burst_is_another_incident_of_the_same_target() -> None:
    _, outcome = audited(
        in_order(
            ordinary(1, minutes=180),
            bought(2, "v3", begin=BURST_MS, minutes=3),
            bought(4, "v3", begin=BURST_MS + 45 * MINUTE_MS, minutes=3),
        )
    )
    assert len({flag.flag_id for flag in flags_of(outcome, "v3")}) >= 2


def test_nothing_is_learned_from_a_case() -> None:
    """The platform's view of itself is the same, whether or not a burst was bought on it."""
    quiet = audited(ordinary(1, minutes=HISTORY_MINUTES))[0]
    noisy = audited(in_order(ordinary(1, minutes=HISTORY_MINUTES), bought(2, "v3", begin=BURST_MS, per_minute=600)))[0]
    for dimension in ("network", "agent"):
        calm, loud = quiet.platforms[0].mixes[dimension], noisy.platforms[0].mixes[dimension]
        strange = {bucket for bucket in loud.counts if bucket not in calm.counts}
        assert sum(loud.counts[bucket] for bucket in strange) < 0.005 * loud.total
    own, usual = (
        noisy.target_states[key_of(VIEW, "v3")].levels["minutes"],
        quiet.target_states[key_of(VIEW, "v3")].levels["minutes"],
    )
    assert own.mean < 1.5 * usual.mean


def test_without_any_history_nothing_is_flagged() -> None:
    _, outcome = audited(bought(2, "v3", begin=START_MS))
    assert outcome.flags == []


def test_an_audit_that_takes_all_events_at_once_and_one_that_takes_them_tick_by_tick_agree() -> None:
    events = in_order(ordinary(1, minutes=60), bought(2, "v3", begin=START_MS + 50 * MINUTE_MS))
    audit, outcome = Audit(AuditSettings()), Outcome()
    for _, block in Packer(1).pack(events):
        audit.observe(block, 0, outcome)
    audit.advance(START_MS + DAY_MS, outcome)
    _, other = audited(events)
    assert [_without_log(flag) for flag in outcome.flags] == [_without_log(flag) for flag in other.flags]
    assert outcome.corrections == other.corrections
    assert outcome.counts == other.counts


def _without_log(flag: Flag) -> dict[str, object]:
    line: dict[str, object] = msgspec.to_builtins(flag)
    return {key: value for key, value in line.items() if key != "log"}


class Raising:
    """A model that learns anything and can score nothing."""

    def score_one(self, x: dict[str, float]) -> float:
        raise KeyError(min(x))

    def learn_one(self, x: dict[str, float]) -> None:
        pass


def test_a_model_in_shadow_changes_no_word_and_one_that_raises_is_counted() -> None:
    models = (
        ConfiguredModel("neighbours", lambda: LocalOutlierFactor(n_neighbors=5), windows=40),
        ConfiguredModel("bad", Raising, windows=40),
    )
    crowds = (
        ordinary(1, minutes=HISTORY_MINUTES),
        bought(2, "v3", begin=BURST_MS),
        viral(3, "v5", begin=BURST_MS + MINUTE_MS),
    )
    _, outcome = audited(in_order(*crowds), settings=AuditSettings(models=models))
    assert (outcome.flags, outcome.corrections) == (burst()[1].flags, burst()[1].corrections)
    assert ("neighbours", "failed") not in outcome.witnesses
    assert outcome.witnesses["bad", "failed"] > 0
