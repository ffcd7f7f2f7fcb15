"""The virtual environment of Quix Streams, which is not a dependency of truecount: made once from its lock file."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from bench.measured import ROOT, PartError

INSTALL_SECONDS = 300.0


def quix_python() -> str:
    """Path of a Python interpreter with Quix Streams. Raises PartError if it cannot be installed."""
    lock = ROOT / "bench" / "requirements-quix.lock"
    home = ROOT / ".venv-quix"
    python = home / "bin" / "python"
    stamp = home / "installed"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    _run(sys.executable, "-m", "venv", "--clear", str(home))
    _run(str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock))
    stamp.write_text(wanted)
    return str(python)


def _run(*command: str | Path) -> None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        raise PartError(f"{' '.join(map(str, command))} took more than {INSTALL_SECONDS:.0f} s") from None
    if done.returncode != 0:
        errors = done.stderr.decode(errors="replace")[-2000:]
        raise PartError(f"Quix Streams could not be installed ({' '.join(map(str, command))}):\n{errors}")
