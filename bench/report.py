"""Report of a run: a table, and bench/results.json."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.events import Traffic
from bench.measured import ROOT, Measured
from bench.testbed.brokers import KAFKA_VERSION
from bench.topic import PARTITIONS

RESULTS = Path(__file__).parent / "results.json"
PROMISED = {"ceiling": 0.25, "per_message": 12.0, "quix": 1.0}
"""Least ratio of truecount's events/s to those of each compared part."""
LIBRARIES = ("aiokafka", "faust-streaming", "msgspec", "river", "numpy")

LEADING = ("flag_latency_p99_s", "restore_s_per_million", "live_ratio")
"""Figures that are copied to the top of results.json."""

WHAT = {
    "ceiling": "aiokafka getmany + decode, nothing else",
    "per_message": "Faust, one message at a time, same detectors",
    "quix": "Quix Streams with its state store, same detectors, exactly once",
    "truecount": "the worker, all roles, exactly once",
    "two_workers": "two of them",
    "core": "pure core offline: decode to verdict",
}


@dataclass(frozen=True, slots=True)
class Run:
    """Results of one run of the benchmark."""

    traffic: Traffic
    record_bytes: float
    parts: dict[str, Measured]
    figures: dict[str, dict[str, Any]]
    """results of the parts that do not measure events per second"""
    date: str | None
    load_before: float

    def ratios(self) -> dict[str, float]:
        """Ratio of truecount's events/s to those of each other part."""
        own = self.parts.get("truecount")
        if own is None:
            return {}
        return {name: own.events_s / part.events_s for name, part in self.parts.items() if name != "truecount"}

    @property
    def promises_met(self) -> bool:
        """Whether all promised ratios that were measured are reached."""
        found = self.ratios()
        return all(found[name] >= promised for name, promised in PROMISED.items() if name in found)

    def as_dict(self) -> dict[str, Any]:
        """Content of results.json."""
        traffic = self.traffic
        return {
            **{f"{name}_events_s": round(part.events_s) for name, part in self.parts.items()},
            **{f"{name}_cpu_us_per_event": round(part.cpu_us, 2) for name, part in self.parts.items()},
            **{name: value for figures in self.figures.values() for name, value in figures.items() if name in LEADING},
            "ratios": {
                **{f"truecount_to_{name}": round(ratio, 3) for name, ratio in self.ratios().items()},
                **{f"promised_to_{name}": promised for name, promised in PROMISED.items()},
            },
            **self.figures,
            "events": {
                "count": traffic.events,
                "record_bytes": round(self.record_bytes, 1),
                "targets": traffic.targets,
                "span_seconds": traffic.span_seconds,
                "ids": traffic.ids,
                "seed": traffic.seed,
                "input_partitions": PARTITIONS,
            },
            "environment": {
                "date": self.date,
                "commit": commit(),
                "python": platform.python_version(),
                "cpus": os.cpu_count(),
                "load_before": round(self.load_before, 2),
                "kafka": KAFKA_VERSION,
                **{name: version(name) for name in LIBRARIES},
            },
        }

    def show(self) -> None:
        """Print the table."""
        table = Table("", "what", "events", "events/s", "CPU µs/event", "truecount is", "promised")
        ratios = self.ratios()
        for name, part in self.parts.items():
            ratio = f"{ratios[name]:.2f} ×" if name in ratios else ""
            promised = f"{PROMISED[name]:g} ×" if name in PROMISED else ""
            row = (f"{part.events:,}", f"{part.events_s:,.0f}", f"{part.cpu_us:.1f}", ratio, promised)
            table.add_row(name, WHAT[name], *row)
        if self.parts:
            Console(width=max(120, Console().width)).print(table)
        for name, figures in self.figures.items():
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
        missing = sorted(PROMISED.keys() - ratios.keys())
        if missing:
            print(f"not measured: truecount to {', '.join(missing)}")
        if len(missing) < len(PROMISED):
            print("all promises are met" if self.promises_met else "NOT MET: a ratio is below the promised one")

    def write(self) -> None:
        """Write results.json."""
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(self.as_dict()), indent=2) + b"\n")


def commit() -> str | None:
    """The checked-out commit, with "+" appended if files differ from it; None without git."""
    git = shutil.which("git")
    if git is None:
        return None
    head = _git(git, "rev-parse", "--short", "HEAD")
    return head and head + ("+" if _git(git, "status", "--porcelain", "--untracked-files=no") else "")


def _git(git: str, *arguments: str) -> str | None:
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
