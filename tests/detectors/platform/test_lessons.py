"""Windows that close together: where there are very many a sample teaches what crowds are like, and all are judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from detectors.audit import Audit, AuditSettings
from detectors.closing.closing import WindowClosing
from detectors.closing.table import Closing, ClosingTable, Row
from detectors.events.key import VIEW, Key, key_of
from detectors.lab.traffic.blocks import Packer
from detectors.measurement.window_view import HABIT_WINDOWS
from detectors.platform import platform as platforms
from detectors.platform.platform import Platform, Teaching
from detectors.records import Outcome
from detectors.windows.scales import Scale, ladder
from tests.crowds import MINUTE_MS, START_MS, bought, in_order, ordinary, viral
from tests.states import states_of

MINUTES = ladder(10)[1]
TARGETS = 80
TEACHERS_DEFAULT = platforms.TEACHERS
TEACHERS = 8
HISTORY_MINUTES = 5 * (HABIT_WINDOWS + 4)
BURST_MS = START_MS + HISTORY_MINUTES * MINUTE_MS


def audited(monkeypatch: pytest.MonkeyPatch) -> tuple[Audit, Outcome, Counter[int]]:
    """Eighty targets, of which one buys and one has a hit in the end; and how many windows taught, by their start."""
    taught: Counter[int] = Counter()
    teaching = Platform.teaching

    def recorded(self: Platform, scale: Scale, keys: Sequence[Key], start_ms: int) -> list[Teaching]:
        chosen = teaching(self, scale, keys, start_ms)
        if scale == MINUTES:
            taught[start_ms] += sum(each.crowd for each in chosen)
        return chosen

    monkeypatch.setattr(platforms, "TEACHERS", TEACHERS)
    monkeypatch.setattr(Platform, "teaching", recorded)
    audit, outcome, packer = Audit(AuditSettings()), Outcome(), Packer(1)
    events = in_order(
        ordinary(1, minutes=HISTORY_MINUTES + 10, targets=TARGETS),
        bought(2, "v3", begin=BURST_MS),
        viral(3, "v5", begin=BURST_MS),
    )
    for position, event in enumerate(events):
        for _, block in packer.pack([event]):
            audit.observe(block, position, outcome)
        audit.advance(event.ts - 10_000, outcome)
    return audit, outcome, taught


def test_a_sample_teaches_and_every_window_is_judged_and_teaches_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    audit, outcome, taught = audited(monkeypatch)
    first, *others = [taught[start] for start in sorted(taught)]
    assert first == TARGETS, "how many there will be is not known before"
    assert 0 < sum(others) <= 2 * TEACHERS * len(others)
    assert {(flag.target, flag.verdict) for flag in outcome.flags} == {("v3", "artificial"), ("v5", "explained")}
    levels = {state.levels["minutes"].windows for state in states_of(audit).values()}
    assert min(levels) >= HISTORY_MINUTES // 5


def test_of_most_crowds_only_the_count_is_learned_when_their_habits_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    tabulate, opened = WindowClosing._tabulate, {}

    def tabulated(self: WindowClosing, rows: list[Row], closing: Closing) -> ClosingTable:
        table = tabulate(self, rows, closing)
        if closing.order == 1:
            opened[closing.start] = len(table.crowds), len(table.windows)
        return table

    monkeypatch.setattr(WindowClosing, "_tabulate", tabulated)
    audited(monkeypatch)
    (crowds, windows), (last_crowds, last_windows) = (
        opened[start] for start in (min(opened), BURST_MS - 5 * MINUTE_MS)
    )
    assert windows == crowds
    assert last_windows < last_crowds / 2


def test_habits_are_asked_of_every_window_until_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    audit, _, _ = audited(monkeypatch)
    known = [state.habits["short"]["repeats"][1] for state in states_of(audit).values()]
    assert min(known) >= HABIT_WINDOWS
    assert sum(known) < len(known) * (HABIT_WINDOWS + 2)


def test_the_sample_is_the_same_after_a_restart() -> None:
    platform, restored = Platform(), Platform()
    platform.closed(MINUTES, 30_000, 3_000)
    restored.load(platform.dump())
    keys = [key_of(VIEW, f"v{n}") for n in range(30_000)]
    chosen = platform.teaching(MINUTES, keys, START_MS)
    assert chosen == restored.teaching(MINUTES, keys, START_MS)
    assert chosen != platform.teaching(MINUTES, keys, START_MS + 5 * MINUTE_MS)
    mixes, crowds = (sum(lessons) for lessons in zip(*chosen, strict=True))
    assert mixes == pytest.approx(30_000 / (30_000 // TEACHERS_DEFAULT), rel=0.3)
    assert crowds == pytest.approx(30_000 / (3_000 // TEACHERS_DEFAULT), rel=0.3)
