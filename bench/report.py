"""The table and bench/results.json."""

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
from bench.topic import PARTITIONS
from tests.brokers import KAFKA_VERSION

RESULTS = Path(__file__).parent / "results.json"
PROMISED_TO_PER_MESSAGE = 8.0
LIBRARIES = ("aiokafka", "faust-streaming", "msgspec", "river", "numpy")

WHAT = {
    "ceiling": "aiokafka getmany + decode, nothing else",
    "per_message": "Faust, one message at a time, same detectors",
    "truecount": "the worker, all roles, exactly once",
    "core": "pure core offline: decode to verdict",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the bench."""

    traffic: Traffic
    record_bytes: float
    parts: dict[str, Measured]
    date: str | None
    load_before: float

    def ratio(self, other: str) -> float:
        """Truecount's events/s over another's."""
        return self.parts["truecount"].events_s / self.parts[other].events_s

    @property
    def kept(self) -> bool:
        """Whether the promise holds."""
        return self.ratio("per_message") >= PROMISED_TO_PER_MESSAGE

    def as_dict(self) -> dict[str, Any]:
        """What results.json holds."""
        traffic = self.traffic
        return {
            **{f"{name}_events_s": round(part.events_s) for name, part in self.parts.items()},
            **{f"{name}_cpu_us_per_event": round(part.cpu_us, 2) for name, part in self.parts.items()},
            "ratios": {
                "truecount_to_ceiling": round(self.ratio("ceiling"), 3),
                "truecount_to_per_message": round(self.ratio("per_message"), 2),
                "promised_to_per_message": PROMISED_TO_PER_MESSAGE,
            },
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
        table = Table("", "what", "events", "events/s", "CPU µs/event", "truecount is")
        for name, part in self.parts.items():
            ratio = "" if name == "truecount" else f"{self.ratio(name):.2f} ×"
            row = (f"{part.events:,}", f"{part.events_s:,.0f}", f"{part.cpu_us:.1f}", ratio)
            table.add_row(name, WHAT[name], *row)
        Console(width=max(100, Console().width)).print(table)
        found = f"{self.ratio('per_message'):.1f} × one message at a time"
        print(f"{'kept' if self.kept else 'BROKEN'}: {found}; promised: {PROMISED_TO_PER_MESSAGE:.0f} ×")

    def write(self) -> None:
        """Write results.json."""
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(self.as_dict()), indent=2) + b"\n")


def commit() -> str | None:
    """The checked-out commit, "+" behind it if files differ from it; None without git."""
    git = shutil.which("git")
    if git is None:
        return None
    head = _git(git, "rev-parse", "--short", "HEAD")
    return head and head + ("+" if _git(git, "status", "--porcelain", "--untracked-files=no") else "")


def _git(git: str, *arguments: str) -> str | None:
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
