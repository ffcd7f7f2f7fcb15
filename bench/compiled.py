"""Compares compiled detection (``make compiled``) with the sources: CPU time of real days without Kafka.

``python -m bench.compiled`` prints the figures as JSON. Each traffic is audited by both in turn, ROUNDS times, and the
least CPU time of each counts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from bench.measured import ROOT, PartError, last_line_of

ROUNDS = 3
SHARES = {"day": "0.05", "sparse": "0.06", "tick": ""}
"""Traffic of ``bench.real_days`` → share of its time."""
FIGURES = {"day": "us_per_event", "sparse": "us_per_event", "tick": "nearly_empty_tick_us"}
BUILD_SECONDS, RUN_SECONDS = 1_200.0, 600.0


def compiled_python() -> Path:
    """The interpreter of the environment with compiled detection, made if it is missing. Raises PartError."""
    try:
        done = subprocess.run(["make", "compiled"], cwd=ROOT, capture_output=True, check=False, timeout=BUILD_SECONDS)
    except FileNotFoundError:
        raise PartError("compiled detection needs `make`, which is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise PartError(f"make compiled took more than {BUILD_SECONDS:.0f} s") from None
    if done.returncode != 0:
        errors = done.stderr.decode(errors="replace")[-2000:]
        raise PartError(f"make compiled failed, which needs a C compiler and Python's headers:\n{errors}")
    return ROOT / ".venv-compiled" / "bin" / "python"


def measure() -> dict[str, float]:
    """µs of CPU time of both, and the ratio, for each traffic."""
    python = compiled_python()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="truecount-bench-") as made:
        # A directory with nothing but the bench, so that the other packages are those of the environment.
        (Path(made) / "bench").symlink_to(ROOT / "bench")
        for traffic, share in SHARES.items():
            sources, compiled = [], []
            for _ in range(ROUNDS):
                sources.append(_run(traffic, share, Path(sys.executable), ROOT))
                compiled.append(_run(traffic, share, python, Path(made)))
            figures[f"{traffic}_sources_us"], figures[f"{traffic}_compiled_us"] = min(sources), min(compiled)
            figures[f"{traffic}_ratio"] = round(min(compiled) / min(sources), 2)
    return figures


def _run(traffic: str, share: str, python: Path, root: Path) -> float:
    arguments = [traffic, share] if share else [traffic]
    line = last_line_of("real_days", *arguments, deadline_seconds=RUN_SECONDS, python=str(python), root=root)
    figure: float = msgspec.json.decode(line)[FIGURES[traffic]]
    return figure


if __name__ == "__main__":
    print(msgspec.json.encode(measure()).decode(), flush=True)
