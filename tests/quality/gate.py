"""Figures of a run beside the recorded ones, and sentences for what fell behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from detectors.lab.measure import Report
from streams.offline.backtest import kind_of

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure that is held, which way is better, and how far it may fall behind (absolute, or a share of the base)."""

    name: str
    higher_is_better: bool
    slack: float
    share: float = 0.0
    first: float | None = None
    """least value where base has none, None if any will do"""


BOUNDS = (
    Bound("precision", higher_is_better=True, slack=0.02, first=0.95),
    Bound("recall", higher_is_better=True, slack=0.05),
    Bound("average_precision", higher_is_better=True, slack=0.05),
    Bound("removed_honest_per_million", higher_is_better=False, slack=50.0, share=0.2),
    Bound("detect_seconds", higher_is_better=False, slack=30.0, share=0.2),
    Bound("estimate_error", higher_is_better=False, slack=0.05),
    Bound("wrong_flags", higher_is_better=False, slack=0.0),
    Bound("removed_honest_small_share", higher_is_better=False, slack=0.002),
    Bound("settled_share", higher_is_better=True, slack=0.05, first=0.95),
    Bound("actor_recall", higher_is_better=True, slack=0.1),
    Bound("honest_automated_per_thousand", higher_is_better=False, slack=0.2),
)
"""Runs are seeded and deterministic, so nothing here is noise of a run: the slack is how much a change that helps
elsewhere may cost a scenario before somebody has to record it on purpose. A wrong flag has no slack."""


def figures_of(report: Report) -> Figures:
    """What is recorded of a report."""
    wrong = report.flags_on_scenario + report.flags_on_background
    values = {b.name: wrong if b.name == "wrong_flags" else getattr(report, b.name) for b in BOUNDS}
    return {name: value if value is None else round(value, 4) for name, value in values.items()}


def by_scenario(reports: Iterable[Report]) -> dict[str, Figures]:
    """Figures under "scenario/seed"."""
    return {f"{r.scenario}/{r.seed}": figures_of(r) for r in reports}


def fallen(base: dict[str, Figures], head: dict[str, Figures]) -> list[str]:
    """Sentences for every figure of head that is worse than base beyond its bound, or that only one of them has."""
    unrun, unrecorded = sorted(base.keys() - head.keys()), sorted(head.keys() - base.keys())
    said = [f"{run}: recorded in base, not run at head" for run in unrun]
    said += [f"{run}: not recorded in base; record it with make quality ARGS=--record" for run in unrecorded]
    for run in sorted(base.keys() & head.keys()):
        for bound in BOUNDS:
            sentence = _compared(bound, base[run].get(bound.name), head[run].get(bound.name), run)
            if sentence:
                said.append(f"{run}: {sentence}")
    return said


def _compared(bound: Bound, base: float | None, head: float | None, run: str) -> str | None:
    honest = kind_of(run.split("/", maxsplit=1)[0]) == "honest"
    if base is None or head is None:
        # Nothing removed where nothing was bought is as it should be; nothing found any more is a loss.
        if base is not None and not honest:
            return f"{bound.name} was {base:g} in base and has no value at head"
        if head is None or bound.first is None or honest or head >= bound.first:
            return None
        return f"{bound.name} had no value in base and is {head:g} at head; {bound.first:g} is asked of a first one"
    allowed = bound.slack + bound.share * base
    behind = base - head if bound.higher_is_better else head - base
    if behind <= allowed + 1e-9:
        return None
    return f"{bound.name} was {base:g} in base and is {head:g} at head; it may fall behind by {allowed:g}"
