"""Sums over partitions do not fall while a partition has no owner, and count none twice while it has two."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from deploy.grafana.audit import COUNTED
from deploy.grafana.panels import carried

TEST = """\
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: '{metric}{{partition="0", metric="view", part="valid", instance="a"}}', values: "{first}"}}
      - {{series: '{metric}{{partition="0", metric="view", part="valid", instance="b"}}', values: "{second}"}}
      - {{series: '{metric}{{partition="1", metric="view", part="valid", instance="b"}}', values: "50x20"}}
    promql_expr_test:
"""
AT = "      - {{expr: {expr}, eval_time: {minute}m, exp_samples: [{{labels: '{{}}', value: {value}}}]}}\n"


def check(promtool: str, directory: Path, *, first: str, second: str, values: dict[int, float]) -> None:
    """Partition 0 is first on worker a, then on worker b; check the sum at some minutes."""
    expr = json.dumps(f"sum({COUNTED})")
    text = TEST.format(metric="truecount_counted_events", first=first, second=second)
    text += "".join(AT.format(expr=expr, minute=minute, value=value) for minute, value in values.items())
    file = directory / "test.yml"
    file.write_text(text)
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_partition_without_an_owner_keeps_its_last_value(promtool: str, tmp_path: Path) -> None:
    check(
        promtool,
        tmp_path,
        first="100x4 stale",
        second="_x8 110x10",
        values={4: 150, 5: 150, 7: 150, 8: 160, 15: 160},
    )


def test_a_partition_whose_old_owner_is_still_scraped_is_counted_once(promtool: str, tmp_path: Path) -> None:
    check(promtool, tmp_path, first="100x6 stale", second="_x4 110x10", values={3: 150, 4: 160, 6: 160, 10: 160})


def test_parts_that_shrink_are_shown_at_once(promtool: str, tmp_path: Path) -> None:
    check(promtool, tmp_path, first="100x4 60x10", second="_x20", values={4: 150, 5: 110})


def test_the_labels_of_a_sum_are_those_that_were_asked_for() -> None:
    assert carried("a").startswith("(max by (partition) (a) or max by (partition) (last_over_time(a[")
