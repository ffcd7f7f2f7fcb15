"""Runs the compared parts ``per_message`` and ``quix`` with the detectors of a fixed, earlier commit.

Both run truecount's detectors one window or one message at a time. If later detectors handle single rows faster or
slower, that must not change what the worker is compared with. So the whole tree of that commit is unpacked, and the
modules ``bench.per_message`` and ``bench.quix`` in it are run. They read the topic that bench/topic.py fills.
"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

from bench.measured import ROOT, PartError

COMMIT = "032993f44b2f43a41e6d5907e7d1548a1969ed3c"
"""The last commit before closings were processed as tables."""
FOLDERS = ("bench", "detectors", "streams")


def earlier_tree(directory: Path, *, root: Path = ROOT) -> Path:
    """Unpack the earlier commit into ``directory`` and return it. Raises PartError if that is not possible."""
    git = shutil.which("git")
    if git is None:
        raise PartError(f"per_message and quix run the detectors of commit {COMMIT[:8]}, but git is not installed")
    done = subprocess.run(
        [git, "archive", "--format=zip", COMMIT, *FOLDERS], cwd=root, capture_output=True, check=False
    )
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise PartError(
            f"per_message and quix run the detectors of commit {COMMIT[:8]}, which the history here does not have "
            f"(a shallow clone, or no repository): {reason}"
        )
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(BytesIO(done.stdout)) as archive:
        archive.extractall(directory)
    return directory
