"""What is printed of a sample, and whether enough was noticed."""

from __future__ import annotations

import pytest

from tests.mutants.__main__ import report
from tests.mutants.campaign import Verdict
from tests.mutants.server import KILLED, SURVIVED, TIMEOUT
from tests.mutants.sites import Site


def verdict(kind: str, line: int = 1) -> Verdict:
    site = Site("detectors/state/some.py", line, 0, 0, "", "bound")
    return Verdict(site, kind, "-a < b\n+a <= b\n", "")


@pytest.mark.parametrize(("killed", "timeouts", "survived", "code"), [(84, 1, 15, 0), (84, 0, 16, 1), (0, 0, 0, 1)])
def test_eighty_five_of_a_hundred_must_be_noticed_and_what_does_not_end_is(
    killed: int, timeouts: int, survived: int, code: int
) -> None:
    verdicts = [verdict(KILLED)] * killed + [verdict(TIMEOUT)] * timeouts + [verdict(SURVIVED)] * survived
    assert report(verdicts, 7, len(verdicts)) == code


def test_each_survivor_is_named_with_its_difference(capsys: pytest.CaptureFixture[str]) -> None:
    report([verdict(SURVIVED, 9), verdict(KILLED, 8)], 7, 3)
    printed = capsys.readouterr().out
    assert "survived: detectors/state/some.py:9 (bound)\n-a < b\n+a <= b\n" in printed
    assert "some.py:8" not in printed
    assert "the time was over after 2 of 3" in printed
    assert "seed 7: sampled 2, killed 1, timeouts 0, survived 1: 50.0% noticed, 85% wanted" in printed
