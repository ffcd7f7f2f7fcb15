"""Simulated traffic ends when it says, however slow the sender is, and its bought burst lies within."""

from __future__ import annotations

import pytest

from streams.offline.simulation import Simulation

START = 1_767_634_490.0


class Wall:
    """A clock that only moves when somebody sleeps or works."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("seconds", [7.0, 60.0])
def test_it_lasts_as_long_as_it_says_and_the_burst_is_within(seconds: float) -> None:
    wall = Wall()
    simulation = Simulation(seed=3, targets=200, rate=200, attack=True)
    events = [event for batch in simulation.live(wall, wall.sleep, seconds) for event in batch]
    assert seconds - 2 < wall.now - START <= seconds
    assert all(START * 1000 <= event.ts <= (START + seconds) * 1000 for event in events)
    bought = [event.ts for event in events if event.target == simulation.bought_target]
    assert len(bought) > 100
    assert [event.ts for event in events] == sorted(event.ts for event in events)


def test_a_slow_sender_does_not_make_it_longer() -> None:
    wall = Wall()
    sent = 0
    for batch in Simulation(seed=3, targets=200, rate=200, attack=True).live(wall, wall.sleep, 20):
        assert wall.now - START <= 20
        sent += len(batch)
        wall.now += 3  # the broker takes three seconds for each second of events
    assert wall.now - START < 24
    assert 0 < sent < 20 * 250


def test_a_longer_run_has_the_burst_as_it_comes() -> None:
    wall = Wall()
    simulation = Simulation(seed=3, targets=200, rate=20, attack=True)
    events = [event for batch in simulation.live(wall, wall.sleep, 3600) for event in batch]
    assert 3595 < wall.now - START <= 3600
    bought = [event.ts for event in events if event.target == simulation.bought_target]
    assert len(bought) > 100
