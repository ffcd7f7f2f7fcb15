"""A flag as lines of text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streams.evidence.text import plain

SHOWN_P = 0.1
"""A p-value of at least this is no evidence and is not shown."""


def flag_lines(flag: dict[str, Any]) -> list[str]:
    """The lines that the command line and the demo print for a flag."""
    from detectors.state.case import EXPLAINED
    from detectors.state.removals import RULE

    onset = datetime.fromtimestamp(flag["onset"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    expected, artificial = flag["expected"], flag["artificial"]
    artificial_text = f"about {artificial['value']:,} ({artificial['low']:,} to {artificial['high']:,}) artificial"
    if flag["verdict"] == EXPLAINED:
        artificial_text = "accounted for, so nothing is taken out"
    what = "observed where {} were expected"
    if flag["verdict"] == RULE:
        what, artificial_text = "removed by rules where {} are usual", "they were never valid, so nothing is corrected"
    target = plain(flag["target"])
    lines = [
        (
            f"{flag['verdict'].upper()} {flag['status']}: {flag['metric']}s of {target} since {onset} UTC, "
            f"score {flag['score']} (flag {flag['flag_id'][:8]}, revision {flag['revision']})"
        ),
        (
            f"   {flag['observed']:,} "
            + what.format(f"{expected['value']:,} ({expected['low']:,} to {expected['high']:,})")
            + f"; {artificial_text}"
        ),
    ]
    for reason in flag["reasons"]:
        rare = f"  (p = {reason['p']:.0e})" if reason["p"] < SHOWN_P else ""
        lines.append(f"   - {reason['text']}{rare}")
    return lines
