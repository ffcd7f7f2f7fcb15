"""Two million followers of one profile stay within the memory budget, in few bytes each."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_millions_of_followers_stay_within_the_budget() -> None:
    answer = subprocess.run([sys.executable, "-m", "bench.relations"], capture_output=True, check=True)
    figures = json.loads(answer.stdout)
    assert figures["followers"] == 2_000_000
    assert figures["kept"], figures
    assert figures["bytes_per_relation"] < 12
    assert figures["written_per_stored"] < 32
