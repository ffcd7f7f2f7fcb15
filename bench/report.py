"""Report of a run: a table, and bench/results.json."""

from __future__ import annotations

import math
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

from bench.earlier import COMMIT
from bench.events import Traffic
from bench.flink.building import FLINK_VERSION
from bench.measured import ROOT, Measured
from bench.testbed.brokers import KAFKA_VERSION
from bench.topic import PARTITIONS

RESULTS = Path(__file__).parent / "results.json"
PROMISED = {"ceiling": 0.4, "per_message": 18.0, "quix": 7.0, "flink_per_core": 1.0}
"""Least ratio of truecount's events/s to those of each compared part; per core: of events per CPU second."""
PER_CORE = "flink"
"""The part that is compared per core. A JVM uses several threads, so its events/s depend on the number of cores."""
AT_MOST = {
    ("truecount", "cpu_us_per_event"): 8.0,
    ("all_roles", "slowdown"): 2.0,
    ("day", "us_per_event"): 15.0,
    ("sparse", "us_per_event"): 40.0,
    ("tick", "nearly_empty_tick_us"): 50.0,
    ("closing", "usual_window_cpu_us"): 15.0,
    ("across", "flag_latency_p99_s"): 16.0,
    ("across", "unflagged_share"): 0.05,
    ("across", "sender_behind_s"): 2.0,
    ("across_rise", "flag_latency_p99_s"): 16.0,
}
"""Largest figure that is promised, by part and name of the figure.

A quantile over the flags of a few events, or at a lower rate, would say nothing about the others.
"""
LIBRARIES = ("aiokafka", "faust-streaming", "msgspec", "river", "numpy")

LEADING = {
    "flag_latency_p99_s": ("latency", "flag_latency_p99_s"),
    "across_flag_latency_p99_s": ("across", "flag_latency_p99_s"),
    "restore_s_per_million": ("restore", "restore_s_per_million"),
    "live_ratio": ("live", "live_ratio"),
    "day_us_per_event": ("day", "us_per_event"),
    "sparse_us_per_event": ("sparse", "us_per_event"),
}
"""Figures that are copied to the top of results.json: name there → part and name of the figure."""

WHAT = {
    "ceiling": "aiokafka getmany + decode, nothing else",
    "per_message": "Faust, one message at a time, earlier detectors",
    "quix": "Quix Streams with its state store, earlier detectors, exactly once",
    "flink": "Flink DataStream in Java, four features a window, no detectors, exactly once",
    "truecount": "the worker, ingest and targets, exactly once",
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
        """Ratio of truecount's events/s to those of each other part, and to Flink's events per CPU second."""
        own = self.parts.get("truecount")
        if own is None:
            return {}
        found = {name: own.events_s / part.events_s for name, part in self.parts.items() if name != "truecount"}
        if PER_CORE in self.parts:
            found[f"{PER_CORE}_per_core"] = self.parts[PER_CORE].cpu_us / own.cpu_us
        return found

    def misses(self) -> list[str]:
        """Each promise that was measured and is not met, as a sentence."""
        ratios = self.ratios()
        missed = [
            f"truecount is {ratios[name]:.2f} × {name.replace('_', ' ')}; promised: {promised:g} ×"
            for name, promised in PROMISED.items()
            if name in ratios and ratios[name] < promised
        ]
        for (part, name), promised in AT_MOST.items():
            found = self._figure(part, name)
            if found is not None and found > promised:
                missed.append(f"{part}: {name} {found:g}; promised: at most {promised:g}")
        return missed

    def not_measured(self) -> list[str]:
        """What was promised of a part that did not run."""
        lacking = [f"{part} {name}" for part, name in AT_MOST if self._figure(part, name) is None]
        return [f"truecount to {name.replace('_', ' ')}" for name in PROMISED if name not in self.ratios()] + lacking

    def _figure(self, part: str, name: str) -> float | None:
        """The figure of a part, None if the part did not run."""
        if part in self.parts:
            return self.parts[part].cpu_us
        if part not in self.figures:
            return None
        found: float | None = self.figures[part][name]
        return math.inf if found is None else found  # JSON has no NaN: no flag was seen

    def as_dict(self) -> dict[str, Any]:
        """Content of results.json."""
        traffic = self.traffic
        return {
            **{f"{name}_events_s": round(part.events_s) for name, part in self.parts.items()},
            **{f"{name}_cpu_us_per_event": round(part.cpu_us, 2) for name, part in self.parts.items()},
            **{name: self.figures[part][figure] for name, (part, figure) in LEADING.items() if part in self.figures},
            "ratios": {
                **{f"truecount_to_{name}": round(ratio, 3) for name, ratio in self.ratios().items()},
                **{f"promised_to_{name}": promised for name, promised in PROMISED.items()},
            },
            "promised_at_most": {f"{part}_{name}": promised for (part, name), promised in AT_MOST.items()},
            "misses": self.misses(),
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
                "flink": FLINK_VERSION,
                "detectors_of_per_message_and_quix": COMMIT[:8],
                **{name: version(name) for name in LIBRARIES},
            },
        }

    def show(self) -> None:
        """Print the table."""
        table = Table("", "what", "events", "events/s", "CPU µs/event", "truecount is", "promised")
        ratios = self.ratios()
        for name, part in self.parts.items():
            compared, unit = (f"{name}_per_core", " per core") if name == PER_CORE else (name, "")
            ratio = f"{ratios[compared]:.2f} ×{unit}" if compared in ratios else ""
            promised = f"{PROMISED[compared]:g} ×{unit}" if compared in PROMISED else ""
            row = (f"{part.events:,}", f"{part.events_s:,.0f}", f"{part.cpu_us:.1f}", ratio, promised)
            table.add_row(name, WHAT[name], *row)
        if self.parts:
            Console(width=max(120, Console().width)).print(table)
        for name, figures in self.figures.items():
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
        lacking, missed = self.not_measured(), self.misses()
        if lacking:
            print(f"not measured: {', '.join(lacking)}")
        for sentence in missed:
            print(f"NOT MET: {sentence}")
        if not missed and len(lacking) < len(PROMISED) + len(AT_MOST):
            print("all promises that were measured are met" if lacking else "all promises are met")

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
